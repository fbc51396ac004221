"""Dimensions 6.0.1 (week 2021.38): overlaps with the sky can be looked up by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.catalog import Builder


def tables(registry: Builder) -> None:
    base = registry.version("dimensions", "StaticDimensionRecordStorageManager", "6.0.0")
    base.define(registry, implied_nullable=True, overlap_index=True)
