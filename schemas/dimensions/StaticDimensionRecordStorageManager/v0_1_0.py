"""Dimensions 0.1.0 (week 2020.32): the first version that registries recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

    from registrytool.catalog import Builder, Catalog

NEWER = ("dimensions", "StaticDimensionRecordStorageManager", "0.2.0")

#: Columns of validity ranges, on both databases.
TIMESPAN = ("datetime_begin", "datetime_end")

_LATER = {
    "exposure": {"target_name", "science_program", "tracking_ra", "tracking_dec", "sky_angle", "zenith_angle"},
    "visit": {"target_name", "science_program", "zenith_angle"},
}


def universe(catalog: Catalog) -> dict[str, Any]:
    """Return the universe, which was part of the code: exposures and visits know less."""
    config: dict[str, Any] = catalog.version(*NEWER).universe(catalog)
    for name, later in _LATER.items():
        element = config["elements"][name]
        element["metadata"] = [f for f in element["metadata"] if f["name"] not in later]
    return config


def column_type(registry: Builder, name: str, length: int | None) -> sa.types.TypeEngine[Any] | None:
    """Return the type of a column where it is not that of today."""
    found: sa.types.TypeEngine[Any] | None = registry.version(*NEWER).column_type(registry, name, length)
    return found


def tables(registry: Builder) -> None:
    registry.version(*NEWER).tables(registry)
