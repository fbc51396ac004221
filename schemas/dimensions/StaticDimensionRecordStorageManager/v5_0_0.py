"""Dimensions 5.0.0 (week 2020.39): as 4.0.0; the number belongs to the work on calibration collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.catalog import Builder, Catalog

BASE = ("dimensions", "StaticDimensionRecordStorageManager", "4.0.0")


def universe(catalog: Catalog) -> Mapping[str, Any]:
    """Return the universe, which was part of the code."""
    config: Mapping[str, Any] = catalog.version(*BASE).universe(catalog)
    return config


def tables(registry: Builder) -> None:
    registry.version(*BASE).tables(registry)
