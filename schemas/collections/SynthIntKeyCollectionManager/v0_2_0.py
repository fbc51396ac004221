"""Collections with integer keys, 0.2.0 (September 2020): names of any length."""

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
        registry, sa.Text(), sa.Text(), sa.Text()
    )
