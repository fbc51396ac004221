"""Dimensions 6.0.0 (week 2020.45): the tables follow from the universe that the registry stores."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder
    from registrytool.universe import Element


def tables(registry: Builder) -> None:
    define(registry, implied_nullable=True, overlap_index=False)


def define(registry: Builder, *, implied_nullable: bool, overlap_index: bool) -> None:
    """Define the tables of all elements, of their overlaps with the sky, and of groups of dimensions."""
    for element in registry.universe:
        if element.has_table:
            define_element(registry, element, implied_nullable=implied_nullable)
            if element.spatial:
                _skypix_overlap(registry, element, overlap_index=overlap_index)
    for family, other in combinations(registry.universe.spatial_families, 2):
        for a in family:
            for b in other:
                _overlap(registry, *sorted((a, b), key=lambda e: registry.universe.order[e.name]))
    registry.table("dimension_graph_key", registry.autoincrement("id"))
    registry.table(
        "dimension_graph_definition",
        sa.Column("dimension_graph_id", sa.BigInteger(), primary_key=True),
        sa.Column("dimension_name", sa.Text(), primary_key=True),
        registry.foreign_key(("dimension_graph_id",), "dimension_graph_key", ("id",), ondelete="CASCADE"),
    )


def define_element(registry: Builder, element: Element, *, implied_nullable: bool) -> None:
    """Define the table of an element."""
    others = [name for name in element.required if name != element.name]
    columns: list[sa.Column[Any]] = [registry.dimension(name, primary_key=True) for name in others]
    if element.is_dimension:
        columns.append(
            sa.Column(element.key.name, registry.column_type(element.key.type, element.key.length), primary_key=True)
        )
    columns.extend(registry.dimension(name, nullable=implied_nullable) for name in element.implied)
    columns.extend(
        sa.Column(field.name, registry.column_type(field.type, field.length))
        for field in (*element.keys[1:], *element.metadata)
    )
    if element.spatial:
        columns.append(sa.Column("region", registry.column_type("region")))
    if element.temporal:
        columns.extend(registry.timespan())
    registry.table(
        element.name,
        *columns,
        *(registry.unique(*others, field.name) for field in element.keys[1:]),
        *(key for name in (*others, *element.implied) for key in registry.dimension_key(name)),
    )


def _skypix_overlap(registry: Builder, element: Element, *, overlap_index: bool) -> None:
    governor = registry.universe.governor(element)
    pixelization = ("skypix_system", "skypix_level")

    def head() -> list[sa.Column[Any]]:
        return [
            sa.Column("skypix_system", sa.String(16), primary_key=True),
            sa.Column("skypix_level", sa.SmallInteger(), primary_key=True),
        ]

    summary = f"{element.name}_skypix_overlap_summary"
    registry.table(
        summary,
        *head(),
        registry.dimension(governor, primary_key=True),
        *registry.dimension_key(governor),
    )
    indexes = [registry.index(*pixelization, "skypix_index", *element.required)] if overlap_index else []
    registry.table(
        f"{element.name}_skypix_overlap",
        *head(),
        *(registry.dimension(name, primary_key=True) for name in element.required),
        sa.Column("skypix_index", sa.BigInteger(), primary_key=True),
        registry.foreign_key((*pixelization, governor), summary, (*pixelization, governor), ondelete="CASCADE"),
        *(key for name in element.required for key in registry.dimension_key(name)),
        *indexes,
    )


def _overlap(registry: Builder, a: Element, b: Element) -> None:
    """Define the tables for overlaps of two elements, which have always been empty."""
    governors = [registry.universe.governor(a), registry.universe.governor(b)]
    rest = [name for element in (a, b) for name in element.required if name not in governors]
    for name, dimensions in (
        (f"{a.name}_{b.name}_overlap_summary", governors),
        (f"{a.name}_{b.name}_overlap", [*governors, *rest]),
    ):
        registry.table(
            name,
            *(registry.dimension(d, primary_key=True) for d in dimensions),
            *(key for d in dimensions for key in registry.dimension_key(d)),
        )
