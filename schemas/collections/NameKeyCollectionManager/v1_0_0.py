"""Collections with their names as keys, 1.0.0 (week 2020.45): chains hold all dataset types of their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {
    "collection": ("collection_name", sa.Text(), "collection", "name"),
    "run": ("run_name", sa.Text(), "run", "name"),
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
        sa.Column("name", name, primary_key=True),
        sa.Column("type", sa.SmallInteger(), nullable=False),
    )
    # Run and chain have strings without a length, unlike all other tables.
    registry.table(
        "run",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("host", host),
        *registry.timespan(),
        registry.reference_key("collection", column="name", ondelete="CASCADE"),
    )
    registry.table(
        "collection_chain",
        sa.Column("parent", sa.String(), primary_key=True),
        sa.Column("position", sa.SmallInteger(), primary_key=True),
        sa.Column("child", sa.String(), nullable=False),
        *([sa.Column("dataset_type_name", dataset_type)] if dataset_type is not None else []),
        registry.reference_key("collection", column="parent", ondelete="CASCADE"),
        registry.reference_key("collection", column="child"),
    )
