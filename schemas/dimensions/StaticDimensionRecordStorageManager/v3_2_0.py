"""Dimensions 3.2.0 (September 2020): abstract filters are called bands; all strings have a length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder, Catalog

NEWER = ("dimensions", "StaticDimensionRecordStorageManager", "4.0.0")


def universe(catalog: Catalog) -> dict[str, Any]:
    """Return the universe, which was part of the code: with labels of calibrations."""
    config: dict[str, Any] = catalog.version(*NEWER).universe(catalog)
    elements = config["elements"]
    for name in ("exposure", "visit"):
        elements[name]["metadata"] = [f for f in elements[name]["metadata"] if f["name"] != "observation_reason"]
    elements["calibration_label"] = {
        "doc": "Label of a validity range of calibrations.",
        "keys": [{"name": "name", "type": "string", "length": 128}],
        "requires": ["instrument"],
    }
    config["topology"]["temporal"]["calibration_labels"] = ["calibration_label"]
    return config


def column_type(_registry: Builder, name: str, length: int | None) -> sa.types.TypeEngine[Any] | None:
    """Return the type of a column where it is not that of today: all strings have a length.

    Regions and digests are bytes in base 64, of which the length was not checked.
    """
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "string": sa.String(length),
        "hash": sa.VARCHAR(56),
        "region": sa.VARCHAR(2732),
    }
    return types.get(name)


def tables(registry: Builder) -> None:
    registry.version(*NEWER).tables(registry)
