"""Attributes 1.0.1 (week 2023.12): the same table; digests of schemas are no longer kept in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: Whether the attributes hold a digest of the tables of each manager.
DIGESTS = False


def tables(registry: Builder) -> None:
    registry.table(
        "butler_attributes",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
