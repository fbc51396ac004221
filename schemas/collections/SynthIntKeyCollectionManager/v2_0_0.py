"""Collections with integer keys, 2.0.0 (week 2020.46): collections have documentation strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {
    "collection": ("collection_id", sa.BigInteger(), "collection", "collection_id"),
    "run": ("run_id", sa.BigInteger(), "run", "collection_id"),
}


def tables(registry: Builder) -> None:
    registry.table(
        "collection",
        registry.autoincrement("collection_id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("doc", sa.Text()),
        registry.unique("name"),
    )
    registry.table(
        "run",
        registry.reference("collection", primary_key=True),
        sa.Column("host", sa.Text()),
        *registry.timespan(),
        registry.reference_key("collection", ondelete="CASCADE"),
    )
    registry.table(
        "collection_chain",
        registry.reference("collection", column="parent", primary_key=True),
        sa.Column("position", sa.SmallInteger(), primary_key=True),
        registry.reference("collection", column="child"),
        registry.reference_key("collection", column="parent", ondelete="CASCADE"),
        registry.reference_key("collection", column="child"),
    )
