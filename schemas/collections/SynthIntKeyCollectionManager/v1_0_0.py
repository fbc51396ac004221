"""Collections with integer keys, 1.0.0 (week 2020.45): chains hold all dataset types of their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {
    "collection": ("collection_id", sa.BigInteger(), "collection", "collection_id"),
    "run": ("run_id", sa.BigInteger(), "run", "collection_id"),
}


def tables(registry: Builder) -> None:
    define(registry, sa.Text(), sa.Text())


def define(
    registry: Builder,
    name: sa.types.TypeEngine[Any],
    host: sa.types.TypeEngine[Any],
    dataset_type: sa.types.TypeEngine[Any] | None = None,
) -> None:
    """Define the tables for types of names, of hosts and, while chains had them, of dataset types."""
    registry.table(
        "collection",
        registry.autoincrement("collection_id"),
        sa.Column("name", name, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        registry.unique("name"),
    )
    registry.table(
        "run",
        registry.reference("collection", primary_key=True),
        sa.Column("host", host),
        *registry.timespan(),
        registry.reference_key("collection", ondelete="CASCADE"),
    )
    registry.table(
        "collection_chain",
        registry.reference("collection", column="parent", primary_key=True),
        sa.Column("position", sa.SmallInteger(), primary_key=True),
        registry.reference("collection", column="child"),
        *([sa.Column("dataset_type_name", dataset_type)] if dataset_type is not None else []),
        registry.reference_key("collection", column="parent", ondelete="CASCADE"),
        registry.reference_key("collection", column="child"),
    )
