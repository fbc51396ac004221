"""Datasets with integer identifiers, 0.3.0 (week 2020.39): calibrations have validity ranges of their own.

Dataset types hold their dimensions as bits in base 64, one for each dimension of the universe, and tables are called
after the same bits in hexadecimal digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {"dataset": ("dataset_id", sa.BigInteger(), "dataset", "id")}

#: Columns of dataset_type: the dimensions, tables of runs and tags, tables of validity ranges.
ENCODED = ("dimensions_encoded", "tag_association_table", "calibration_association_table")


def tables(registry: Builder) -> None:
    define(
        registry,
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the dataset type, unique."),
        sa.Column("storage_class", sa.Text(), nullable=False, comment="How datasets look in Python."),
        dimensions_encoded(sa.Text()),
        sa.Column("tag_association_table", sa.Text(), nullable=False, comment="Table of runs and tags."),
        sa.Column("calibration_association_table", sa.Text(), comment="Table of validity ranges, if it has any."),
    )


def dimensions_encoded(kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    """Return the column with the dimensions."""
    return sa.Column("dimensions_encoded", kind, nullable=False, comment="Dimensions, as bits in base 64.")


def define(registry: Builder, *columns: sa.Column[Any]) -> None:
    """Define the tables for some columns of dataset types."""
    registry.table(
        "dataset_type",
        registry.autoincrement("id", comment="Number that other tables use for the dataset type."),
        *columns,
        registry.unique("name"),
    )
    registry.table(
        "dataset",
        registry.autoincrement("id", comment="Number of the dataset."),
        sa.Column("dataset_type_id", sa.BigInteger(), nullable=False, comment="Dataset type."),
        registry.reference("run"),
        registry.foreign_key(("dataset_type_id",), "dataset_type", ("id",)),
        registry.reference_key("run", ondelete="CASCADE"),
    )


def _association_keys(registry: Builder, dimensions: Sequence[str]) -> list[Any]:
    return [
        registry.foreign_key(("dataset_type_id",), "dataset_type", ("id",)),
        registry.reference_key("dataset", ondelete="CASCADE"),
        registry.reference_key("collection", ondelete="CASCADE"),
        *(key for name in dimensions for key in registry.dimension_key(name)),
    ]


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
