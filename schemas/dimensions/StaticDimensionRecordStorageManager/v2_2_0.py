"""Dimensions 2.2.0 (week 2020.34): validity ranges are ranges of PostgreSQL, which needs btree_gist from here on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

    from registrytool.catalog import Builder, Catalog

NEWER = ("dimensions", "StaticDimensionRecordStorageManager", "3.2.0")


def universe(catalog: Catalog) -> dict[str, Any]:
    """Return the universe, which was part of the code: bands are called abstract filters."""
    text = json.dumps(catalog.version(*NEWER).universe(catalog))
    config: dict[str, Any] = json.loads(text.replace('"band"', '"abstract_filter"'))
    return config


def column_type(registry: Builder, name: str, length: int | None) -> sa.types.TypeEngine[Any] | None:
    """Return the type of a column where it is not that of today."""
    found: sa.types.TypeEngine[Any] | None = registry.version(*NEWER).column_type(registry, name, length)
    return found


def tables(registry: Builder) -> None:
    registry.version(*NEWER).tables(registry)
