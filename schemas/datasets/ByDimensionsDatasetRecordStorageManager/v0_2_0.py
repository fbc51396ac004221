"""Datasets with integer identifiers, 0.2.0 (September 2020): names of any length.

Tables of runs and tags are called dataset_collection and the dimensions, as bits in hexadecimal digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {"dataset": ("dataset_id", sa.BigInteger(), "dataset", "id")}

#: Column of dataset_type with the dimensions, after which the tables of runs and tags are called.
ENCODED = ("dimensions_encoded",)


def _newer(registry: Builder) -> ModuleType:
    return registry.version("datasets", "ByDimensionsDatasetRecordStorageManager", "0.3.0")


def tables(registry: Builder) -> None:
    newer = _newer(registry)
    newer.define(
        registry,
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the dataset type, unique."),
        sa.Column("storage_class", sa.Text(), nullable=False, comment="How datasets look in Python."),
        newer.dimensions_encoded(sa.Text()),
    )


def tags(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    """Define the table of run and tag membership for a group of dimensions."""
    _newer(registry).tags(registry, name, dimensions)
