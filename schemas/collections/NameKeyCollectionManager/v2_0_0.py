"""Collections with their names as keys, 2.0.0 (week 2020.46): collections have documentation strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {
    "collection": ("collection_name", sa.Text(), "collection", "name"),
    "run": ("run_name", sa.Text(), "run", "name"),
}


def tables(registry: Builder) -> None:
    registry.table(
        "collection",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("doc", sa.Text()),
    )
    # Run and chain have strings without a length, unlike all other tables.
    registry.table(
        "run",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("host", sa.Text()),
        *registry.timespan(),
        registry.reference_key("collection", column="name", ondelete="CASCADE"),
    )
    registry.table(
        "collection_chain",
        sa.Column("parent", sa.String(), primary_key=True),
        sa.Column("position", sa.SmallInteger(), primary_key=True),
        sa.Column("child", sa.String(), nullable=False),
        registry.reference_key("collection", column="parent", ondelete="CASCADE"),
        registry.reference_key("collection", column="child"),
    )
