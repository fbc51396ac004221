"""Collections with their names as keys, 0.1.0 (week 2020.32): the first version that registries recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

#: How other tables refer to ours: usual column, type, table, target column.
REFERENCES = {
    "collection": ("collection_name", sa.String(64), "collection", "name"),
    "run": ("run_name", sa.String(64), "run", "name"),
}


#: SQLite refuses the check of a length that there is not.
DIALECTS = ("postgresql",)


def tables(registry: Builder) -> None:
    registry.version("collections", "NameKeyCollectionManager", "1.0.0").define(
        registry, sa.String(64), sa.String(128), sa.String(128)
    )
