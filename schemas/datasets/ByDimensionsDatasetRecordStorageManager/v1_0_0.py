"""Datasets with integer identifiers, 1.0.0 (week 2020.45): ingest dates and collection summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {"dataset": ("dataset_id", sa.BigInteger(), "dataset", "id")}


def utc_ingest_date(registry: Builder) -> sa.Column[Any]:
    """Return the column with the time of ingestion, in UTC, filled by the database."""
    now = "CURRENT_TIMESTAMP" if registry.dialect == "sqlite" else "now()"
    return sa.Column(
        "ingest_date", sa.TIMESTAMP(), nullable=False, server_default=sa.text(now), comment="When it was ingested."
    )


def tables(registry: Builder) -> None:
    key = registry.autoincrement("id", comment="Number of the dataset.")
    define(registry, key, utc_ingest_date(registry))


def define(registry: Builder, key: sa.Column[Any], ingest_date: sa.Column[Any]) -> None:
    """Define the tables for a kind of dataset identifier and of ingest date."""
    registry.table(
        "dataset_type",
        registry.autoincrement("id", comment="Number that other tables use for the dataset type."),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the dataset type, unique."),
        sa.Column("storage_class", sa.Text(), nullable=False, comment="How datasets look in Python."),
        sa.Column("dimensions_key", sa.BigInteger(), nullable=False, comment="Number of the group of dimensions."),
        sa.Column("tag_association_table", sa.Text(), nullable=False, comment="Table of runs and tags."),
        sa.Column("calibration_association_table", sa.Text(), comment="Table of validity ranges, if it has any."),
        registry.unique("name"),
    )
    registry.table(
        "dataset",
        key,
        sa.Column("dataset_type_id", sa.BigInteger(), nullable=False, comment="Dataset type."),
        ingest_date,
        registry.reference("run"),
        registry.foreign_key(("dataset_type_id",), "dataset_type", ("id",)),
        registry.reference_key("run", ondelete="CASCADE"),
    )
    registry.table(
        "collection_summary_dataset_type",
        registry.reference("collection", primary_key=True),
        sa.Column("dataset_type_id", sa.BigInteger(), primary_key=True),
        registry.reference_key("collection", ondelete="CASCADE"),
        registry.foreign_key(("dataset_type_id",), "dataset_type", ("id",), ondelete="CASCADE"),
    )
    for governor in registry.universe.governors:
        registry.table(
            f"collection_summary_{governor.name}",
            registry.reference("collection", primary_key=True),
            registry.dimension(governor.name, primary_key=True),
            registry.reference_key("collection", ondelete="CASCADE"),
            *registry.dimension_key(governor.name),
        )


def _association_keys(registry: Builder, dimensions: Sequence[str]) -> list[Any]:
    collection = registry.reference_name("collection")
    keys: list[Any] = [
        registry.foreign_key(("dataset_type_id",), "dataset_type", ("id",)),
        registry.reference_key("dataset", ondelete="CASCADE"),
        registry.reference_key("collection", ondelete="CASCADE"),
    ]
    summary = (collection, "dataset_type_id")
    keys.append(registry.foreign_key(summary, "collection_summary_dataset_type", summary))
    for name in dimensions:
        keys.extend(registry.dimension_key(name))
        if name in registry.universe and registry.universe[name].governor:
            summary = (collection, name)
            keys.append(registry.foreign_key(summary, f"collection_summary_{name}", summary))
    return keys


def tags(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    """Define the table of run and tag membership for a group of dimensions."""
    registry.table(
        name,
        sa.Column("dataset_type_id", sa.BigInteger(), nullable=False),
        registry.reference("dataset", primary_key=True),
        registry.reference("collection", primary_key=True),
        *(registry.dimension(d) for d in dimensions),
        registry.unique("dataset_type_id", registry.reference_name("collection"), *dimensions),
        *_association_keys(registry, dimensions),
    )


def calibs(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    """Define the table of validity ranges for a group of dimensions."""
    timespan = registry.timespan(nullable=False)
    collection = registry.reference_name("collection")
    registry.table(
        name,
        registry.autoincrement("id"),
        sa.Column("dataset_type_id", sa.BigInteger(), nullable=False),
        registry.reference("dataset"),
        registry.reference("collection"),
        *(registry.dimension(d) for d in dimensions),
        *timespan,
        *_association_keys(registry, dimensions),
        registry.index("dataset_type_id", collection, *dimensions, *(c.name for c in timespan)),
    )
