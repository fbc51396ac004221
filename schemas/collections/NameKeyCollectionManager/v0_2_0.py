"""Collections with their names as keys, 0.2.0 (September 2020): names of any length."""

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
    registry.version("collections", "NameKeyCollectionManager", "1.0.0").define(
        registry, sa.Text(), sa.Text(), sa.Text()
    )
