"""Attributes 1.0.0 (week 2020.39): what a registry says about itself, including digests of its schemas."""

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
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
