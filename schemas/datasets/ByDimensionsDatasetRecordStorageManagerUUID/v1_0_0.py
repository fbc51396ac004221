"""Datasets with UUIDs, 1.0.0 (week 2021.16): as the integer ones, with another type of identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {"dataset": ("dataset_id", sa.Uuid(), "dataset", "id")}


def _base(registry: Builder) -> ModuleType:
    return registry.version("datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0")


def tables(registry: Builder) -> None:
    define(registry, _base(registry).utc_ingest_date(registry))


def define(registry: Builder, ingest_date: sa.Column[Any]) -> None:
    """Define the tables for a kind of ingest date."""
    key = sa.Column("id", sa.Uuid(), primary_key=True, comment="Identifier of the dataset.")
    _base(registry).define(registry, key, ingest_date)


def tags(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).tags(registry, name, dimensions)


def calibs(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).calibs(registry, name, dimensions)
