"""Dimensions 0.2.0 (August 2020): exposures and visits know their target, programme and angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

    from registrytool.catalog import Builder, Catalog

NEWER = ("dimensions", "StaticDimensionRecordStorageManager", "1.2.0")

#: Columns of validity ranges, on both databases.
TIMESPAN = ("datetime_begin", "datetime_end")


def universe(catalog: Catalog) -> dict[str, Any]:
    """Return the universe, which was part of the code."""
    config: dict[str, Any] = catalog.version(*NEWER).universe(catalog)
    return config


def column_type(registry: Builder, name: str, length: int | None) -> sa.types.TypeEngine[Any] | None:
    """Return the type of a column where it is not that of today."""
    found: sa.types.TypeEngine[Any] | None = registry.version(*NEWER).column_type(registry, name, length)
    return found


def tables(registry: Builder) -> None:
    registry.version(*NEWER).tables(registry)
