"""Dimensions 6.0.2 (week 2022.23): implied dimensions cannot be NULL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.catalog import Builder


def tables(registry: Builder) -> None:
    base = registry.version("dimensions", "StaticDimensionRecordStorageManager", "6.0.0")
    base.define(registry, implied_nullable=False, overlap_index=True)
