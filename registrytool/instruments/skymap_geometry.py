"""Tracts and patches of sky maps: numbers, boxes in pixels, corners on the sky; pure.

A tract is a square in a gnomonic or other zenithal projection around its centre, x to the west and y to the north.  It
is divided into patches of one size, and made larger until they fit.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Cells:
    """Division of patches into cells.

    Attributes
    ----------
    inner : `int`
        Size of a cell, in pixels.
    border : `int`
        Pixels that a cell reaches beyond its inner part.
    per_patch : `int`
        Number of cells along a side of the inner part of a patch.
    in_border : `int`
        Number of cells in the border of a patch.
    """

    inner: int = 150
    border: int = 50
    per_patch: int = 20
    in_border: int = 1


@dataclass(frozen=True, slots=True)
class TractCentre:
    """A tract at a given place.

    Attributes
    ----------
    ra_deg, dec_deg : `float`
        Its centre, ICRS, in degrees.
    radius_deg : `float`
        Half of its side, in degrees.
    """

    ra_deg: float
    dec_deg: float
    radius_deg: float


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of a tract.

    Attributes
    ----------
    id : `int`
        Number within the tract.
    cell_x, cell_y : `int`
        Column and row.
    corners : `tuple`, shape (4, 3)
        Unit vectors of the corners with the border.
    """

    id: int
    cell_x: int
    cell_y: int
    corners: tuple[_Vector, ...]


@dataclass(frozen=True, slots=True)
class Tract:
    """A part of the sky.

    Attributes
    ----------
    id : `int`
        Number within the sky map.
    nx, ny : `int`
        Numbers of patches.
    corners : `tuple`, shape (4, 3)
        Unit vectors of the corners.
    patches : `tuple` [`Patch`]
        The patches in the order of their numbers.
    """

    id: int
    nx: int
    ny: int
    corners: tuple[_Vector, ...]
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class SkyMapDefinition:
    """What a file says about a sky map.

    Attributes
    ----------
    name : `str`
        Name in registries.
    num_rings : `int` or `None`
        Number of rings of equal declination; `None` for a discrete sky map.
    ra_start_deg : `float`
        Right ascension of the first tract of each ring, in degrees.
    tracts : `tuple` [`TractCentre`]
        Tracts of a discrete sky map.
    pixel_scale_arcsec : `float`
        Size of a pixel at the centre of a tract.
    tract_overlap_deg : `float`
        By how much neighbouring tracts overlap at least, in degrees.
    rotation_deg : `float`
        By how much the y axis is turned away from north, in degrees.
    patch_inner_dimensions : `tuple` [`int`, `int`]
        Size of the inner part of a patch, in pixels.
    patch_border : `int`
        Pixels that a patch reaches beyond its inner part, within the tract.
    cells : `Cells` or `None`
        Division of patches into cells, instead of the two before.
    """

    name: str
    num_rings: int | None = None
    ra_start_deg: float = 0.0
    tracts: tuple[TractCentre, ...] = ()
    pixel_scale_arcsec: float = 0.333
    tract_overlap_deg: float = 1.0
    rotation_deg: float = 0.0
    patch_inner_dimensions: tuple[int, int] = (4000, 4000)
    patch_border: int = 100
    cells: Cells | None = None

    @property
    def hash(self) -> bytes:
        """SHA-1 of the parameters, as the format defines it."""
        overlap = (self.tract_overlap_deg, self.pixel_scale_arcsec, b"TAN", self.rotation_deg)
        inner = self.patch_inner_dimensions
        if self.cells is None:
            packed = struct.pack("<iiidd3sd", *inner, self.patch_border, *overlap)
        else:
            cells = self.cells
            sizes = (cells.inner, cells.inner, cells.border, cells.per_patch, cells.in_border)
            packed = struct.pack("<iiiiidd3sd", *sizes, *overlap)
        if self.num_rings is not None:
            own = b"RingsSkyMap", struct.pack("<id", self.num_rings, self.ra_start_deg)
        else:
            places = [t.ra_deg for t in self.tracts] + [t.dec_deg for t in self.tracts]
            places += [t.radius_deg for t in self.tracts]
            own = b"DiscreteSkyMap", struct.pack(f"<{len(places)}d", *places)
        return hashlib.sha1(own[0] + packed + own[1]).digest()  # noqa: S324 (as the format has it)

    @property
    def tract_max(self) -> int:
        """Number of tracts."""
        return len(self.tracts) if self.num_rings is None else sum(self._rings()) + 2

    def iter_tracts(self) -> Iterator[Tract]:
        """Compute the tracts, one after the other, in the order of their numbers."""
        for number, centre in enumerate(self._centres()):
            yield self._tract(number, *centre)

    def tract(self, number: int) -> Tract:
        """Compute one tract.

        Raises
        ------
        IndexError
            There is none of that number.
        """
        for i, centre in enumerate(self._centres()):
            if i == number:
                return self._tract(number, *centre)
        message = f"The sky map {self.name} has no tract {number}."
        raise IndexError(message)

    def patch_grid(self) -> tuple[int, int]:
        """Return the highest numbers of patches of a tract along x and y."""
        sizes = [self._box(radius)[2] for radius in {radius for _, _, radius in self._centres()}]
        return max(n[0] for n in sizes), max(n[1] for n in sizes)

    @property
    def patch_count(self) -> int:
        """Number of patches of all tracts."""
        sizes: dict[float, int] = {}
        total = 0
        for _, _, radius in self._centres():
            if radius not in sizes:
                nx, ny = self._box(radius)[2]
                sizes[radius] = nx * ny
            total += sizes[radius]
        return total

    def _rings(self) -> list[int]:
        """Return the number of tracts of each ring, from south to north."""
        assert self.num_rings is not None  # noqa: S101 (only asked of rings)
        size = math.pi / (self.num_rings + 1)
        numbers = []
        for i in range(self.num_rings):
            start = size * (i + 0.5) - 0.5 * math.pi
            # Tracts of a ring touch where it is longest.
            nearest = min(math.fabs(start), math.fabs(start + size))
            numbers.append(int(2 * math.pi * math.cos(nearest) / size) + 1)
        return numbers

    def _centres(self) -> Iterator[tuple[float, float, float]]:
        """List right ascension, declination and half size of all tracts, in radians."""
        if self.num_rings is None:
            for t in self.tracts:
                yield math.radians(t.ra_deg), math.radians(t.dec_deg), math.radians(t.radius_deg)
            return
        size = math.pi / (self.num_rings + 1)
        yield 0.0, -0.5 * math.pi, 0.5 * size
        for ring, number in enumerate(self._rings()):
            dec = size * (ring + 1) - 0.5 * math.pi
            for i in range(number):
                ra = (2 * math.pi * i / number + math.radians(self.ra_start_deg)) % (2 * math.pi)
                yield ra, dec, 0.5 * size
        yield 0.0, 0.5 * math.pi, 0.5 * size

    @property
    def _patch_size(self) -> tuple[tuple[int, int], int]:
        """Inner size and border of patches, in pixels."""
        if self.cells is None:
            return self.patch_inner_dimensions, self.patch_border
        side = self.cells.inner * self.cells.per_patch
        return (side, side), self.cells.in_border * self.cells.inner + self.cells.border

    def _box(self, radius: float) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Return the lower left pixel of a tract relative to its centre, its size, and the numbers of its patches."""
        scale = math.radians(self.pixel_scale_arcsec / 3600.0)
        reach = math.tan(radius + math.radians(self.tract_overlap_deg)) / scale
        # The four points at that distance in the directions of the axes of the sky, seen along those of the tract.
        turn = math.radians(self.rotation_deg)
        half = reach * max(math.fabs(math.cos(turn)), math.fabs(math.sin(turn)))
        low, high = math.floor(-half + 0.5), math.ceil(half + 0.5) - 1
        begin, size, number = [], [], []
        for inner in self._patch_size[0]:
            extent = high - low + 1
            count = -(-extent // inner)
            begin.append(low - (inner * count - extent) // 2)
            size.append(inner * count)
            number.append(count)
        return (begin[0], begin[1]), (size[0], size[1]), (number[0], number[1])

    def _tract(self, number: int, ra: float, dec: float, radius: float) -> Tract:
        begin, size, (nx, ny) = self._box(radius)
        (width, height), border = self._patch_size
        project = _Projection(ra, dec, math.radians(self.pixel_scale_arcsec / 3600.0), math.radians(self.rotation_deg))

        def corners(x0: int, y0: int, x1: int, y1: int) -> tuple[_Vector, ...]:
            # Pixels are numbered by their centres.
            left, right, low, high = x0 - 0.5, x1 - 0.5, y0 - 0.5, y1 - 0.5
            return tuple(
                project(x + begin[0], y + begin[1]) for x, y in ((left, low), (right, low), (right, high), (left, high))
            )

        patches = []
        for y in range(ny):
            for x in range(nx):
                box = [x * width - border, y * height - border, (x + 1) * width + border, (y + 1) * height + border]
                if self.cells is None:
                    box = [max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])]
                patches.append(Patch(nx * y + x, x, y, corners(*box)))
        return Tract(number, nx, ny, corners(0, 0, *size), tuple(patches))


class _Projection:
    """From pixels relative to the centre of a tract to the sky."""

    def __init__(self, ra: float, dec: float, scale: float, turn: float) -> None:
        sin_ra, cos_ra, sin_dec, cos_dec = math.sin(ra), math.cos(ra), math.sin(dec), math.cos(dec)
        self._axis = (cos_dec * cos_ra, cos_dec * sin_ra, sin_dec)
        east, north = (-sin_ra, cos_ra, 0.0), (-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec)
        cos_turn, sin_turn = scale * math.cos(turn), scale * math.sin(turn)
        self._x = tuple(-cos_turn * e + sin_turn * n for e, n in zip(east, north, strict=True))
        self._y = tuple(sin_turn * e + cos_turn * n for e, n in zip(east, north, strict=True))

    def __call__(self, x: float, y: float) -> _Vector:
        """Return the unit vector of a pixel."""
        a, b, c = (a + x * u + y * v for a, u, v in zip(self._axis, self._x, self._y, strict=True))
        length = math.sqrt(a * a + b * b + c * c)
        return a / length, b / length, c / length
