"""Datasets with UUIDs, 2.0.0 (week 2024.41): ingest dates are TAI nanoseconds and have no default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {"dataset": ("dataset_id", sa.Uuid(), "dataset", "id")}


def _base(registry: Builder) -> ModuleType:
    return registry.version("datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0")


def tables(registry: Builder) -> None:
    ingest_date = sa.Column("ingest_date", sa.BigInteger(), nullable=False, comment="When it was ingested.")
    _base(registry).define(registry, ingest_date)


def tags(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).tags(registry, name, dimensions)


def calibs(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).calibs(registry, name, dimensions)
