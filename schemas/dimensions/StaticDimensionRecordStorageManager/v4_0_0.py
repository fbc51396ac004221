"""Dimensions 4.0.0 (September 2020): strings of any length, reasons of observations, no labels of calibrations."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder, Catalog


def universe(catalog: Catalog) -> dict[str, Any]:
    """Return the universe, which was part of the code: universe 0 before exposures knew their day and number."""
    config = copy.deepcopy(catalog.released_universe("daf_butler", "0"))
    exposure, visit = config["elements"]["exposure"], config["elements"]["visit"]
    exposure["keys"][1] = {"name": "name", "type": "string", "length": 64}
    exposure["metadata"] = [f for f in exposure["metadata"] if f["name"] not in ("day_obs", "seq_num")]
    visit["metadata"] = [f for f in visit["metadata"] if f["name"] != "day_obs"]
    visit["metadata"].insert(1, {"name": "seeing", "type": "float"})
    return config


def tables(registry: Builder) -> None:
    """Define the tables of all elements and of their overlaps with the common pixels."""
    newer = registry.version("dimensions", "StaticDimensionRecordStorageManager", "6.0.0")
    common = str(registry.universe.config["skypix"]["common"])
    for element in registry.universe:
        if not element.has_table:
            continue
        newer.define_element(registry, element, implied_nullable=True)
        if element.spatial:
            registry.table(
                f"{element.name}_{common}_overlap",
                *(registry.dimension(name, primary_key=True) for name in element.required),
                sa.Column(common, sa.BigInteger(), primary_key=True),
                *(key for name in element.required for key in registry.dimension_key(name)),
            )
