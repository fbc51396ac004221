"""How much polygons on the sky have in common."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from lsst.sphgeom import Vector3d

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsst.sphgeom import ConvexPolygon

Point = tuple[float, float]


def shared_area(one: ConvexPolygon, other: ConvexPolygon) -> float:
    """Return which part of the larger of two convex polygons both have; on a plane that touches the sky between them.

    Parameters
    ----------
    one, other : `lsst.sphgeom.ConvexPolygon`
        Polygons of some degrees at most.
    """
    axis = other.getCentroid()
    north = Vector3d(0.0, 0.0, 1.0)
    east = north.cross(axis)

    def flat(polygon: ConvexPolygon) -> list[Point]:
        x, y = east / east.getNorm(), axis.cross(east) / east.getNorm()
        return [(v.dot(x) / v.dot(axis), v.dot(y) / v.dot(axis)) for v in map(Vector3d, polygon.getVertices())]

    ours, theirs = flat(one), flat(other)
    return _area(_common(ours, theirs)) / max(_area(ours), _area(theirs))


def _closed(points: Sequence[Point]) -> Sequence[tuple[Point, Point]]:
    return list(pairwise([*points, points[0]])) if points else []


def _area(points: Sequence[Point]) -> float:
    """Return the area, positive for corners that run against the clock."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in _closed(points)) / 2


def _common(points: Sequence[Point], bounds: Sequence[Point]) -> Sequence[Point]:
    """Cut off what lies to the right of each edge of the bounds."""
    for a, b in _closed(bounds):

        def side(p: Point, a: Point = a, b: Point = b) -> float:
            return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])

        kept: list[Point] = []
        for p, q in _closed(points):
            if side(p) >= 0:
                kept.append(p)
            if (side(p) >= 0) != (side(q) >= 0):
                t = side(p) / (side(p) - side(q))
                kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        points = kept
    return points
