"""Opaque tables 0.1.0 (week 2020.32): as 0.2.0, with strings of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: Columns by which a table of file records is recognised.
RECORD_COLUMNS = ("dataset_id", "path", "formatter", "storage_class", "component", "checksum", "file_size")


def tables(registry: Builder) -> None:
    registry.table("opaque_meta", sa.Column("table_name", sa.String(128), primary_key=True))


def records(registry: Builder, name: str) -> None:
    """Define a table of file records; each file datastore can have its own."""
    registry.table(
        name,
        registry.reference("dataset", column="dataset_id", primary_key=True),
        sa.Column("path", sa.String(256), nullable=False),
        sa.Column("formatter", sa.String(128), nullable=False),
        sa.Column("storage_class", sa.String(64), nullable=False),
        sa.Column("component", sa.String(32), primary_key=True),
        sa.Column("checksum", sa.String(128)),
        sa.Column("file_size", sa.BigInteger()),
        registry.index("path"),
    )
