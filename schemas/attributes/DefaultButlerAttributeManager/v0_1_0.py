"""Attributes 0.1.0 (week 2020.32): as 1.0.0, with strings of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: Whether the attributes hold a digest of the tables of each manager.
DIGESTS = True


def tables(registry: Builder) -> None:
    registry.table(
        "butler_attributes",
        sa.Column("name", sa.String(1024), primary_key=True),
        sa.Column("value", sa.String(65535), nullable=False),
    )
