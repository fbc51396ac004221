"""Collections with integer keys, 0.1.0 (week 2020.32): the first version that registries recorded."""

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
    registry.version("collections", "SynthIntKeyCollectionManager", "1.0.0").define(
        registry, sa.String(64), sa.String(128), sa.String(128)
    )
