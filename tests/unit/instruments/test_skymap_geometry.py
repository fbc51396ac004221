"""Sky maps: their numbers, hashes and corners are those of public exports."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import pytest
from lsst.sphgeom import ConvexPolygon, Region, UnitVector3d

from registrytool.errors import ConfigurationError, DefinitionError
from registrytool.instruments.library import load_definition
from registrytool.instruments.skymap import bundled_skymaps, load_skymap
from registrytool.instruments.skymap_geometry import SkyMapDefinition, TractCentre
from registrytool.instruments.visit_groups import visit_regions
from registrytool.maintain.overlaps import overlap_pixels
from tests.support.areas import shared_area
from tests.support.public_regions import DISCRETE, HSC, HSC_POINTINGS, LSSTCAM, RINGS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CI_HSC = SkyMapDefinition(
    "discrete/ci_hsc",
    tracts=(TractCentre(320.36749197602893, 0.3131554006070023, 1.4388796242707318),),
    pixel_scale_arcsec=0.168,
    tract_overlap_deg=0.0,
)
#: Rounding of the software that wrote the export of 2020, in radians: 4 nanoarcseconds.
ROUNDING = 2e-14


def polygon(corners: Iterable[tuple[float, float, float]]) -> ConvexPolygon:
    return ConvexPolygon.convexHull([UnitVector3d(*corner) for corner in corners])


def furthest(one: ConvexPolygon, other: ConvexPolygon) -> float:
    pairs = zip(one.getVertices(), other.getVertices(), strict=True)
    return max(abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True))


def decoded(text: str) -> ConvexPolygon:
    region = Region.decode(bytes.fromhex(text))
    assert isinstance(region, ConvexPolygon)
    return region


def test_the_rings_of_hsc_have_the_hash_and_the_numbers_of_the_public_export() -> None:
    found = load_skymap("hsc_rings_v1")
    assert base64.b64encode(found.hash) == b"4p/p8QCONZ82o2d+fWnMQ5N20eY="
    assert (found.tract_max, found.patch_grid()) == (18938, (9, 9))
    assert found.patch_count == 18938 * 81


@pytest.mark.parametrize(("tract", "patch"), list(RINGS))
def test_regions_of_the_rings_are_those_of_the_public_export(tract: int, patch: int | None) -> None:
    found = load_skymap("hsc_rings_v1").tract(tract)
    if patch is None:
        assert (found.nx, found.ny) == (9, 9)
        corners = found.corners
    else:
        assert (found.patches[patch].id, found.patches[patch].cell_x) == (patch, patch % 9)
        corners = found.patches[patch].corners
    ours, theirs = polygon(corners), decoded(RINGS[tract, patch])
    assert furthest(ours, theirs) < ROUNDING
    assert overlap_pixels(ours.encode(), "htm", 7) == overlap_pixels(theirs.encode(), "htm", 7)


def test_a_discrete_sky_map_is_that_of_the_public_export() -> None:
    assert base64.b64encode(CI_HSC.hash) == b"Kt7swQ9e5zUif7fo1Onj3ezH+Ts="
    assert (CI_HSC.tract_max, CI_HSC.patch_grid()) == (1, (16, 16))
    ours = polygon(CI_HSC.tract(0).corners)
    assert furthest(ours, decoded(DISCRETE)) < 1e-15


def test_patches_with_cells_reach_beyond_the_tract() -> None:
    cells = load_skymap("lsst_cells_v1")
    (first, *_) = cells.tract(0).patches
    corner = cells.tract(0).corners[0]
    assert not polygon(cells.tract(0).corners).contains(UnitVector3d(*first.corners[0]))
    distance = math.acos(sum(a * b for a, b in zip(corner, first.corners[0], strict=True)))
    assert math.degrees(distance) * 3600 / 0.2 == pytest.approx(200 * math.sqrt(2), rel=1e-3)


def test_the_poles_have_a_tract_each() -> None:
    rings = load_skymap("hsc_rings_v1")
    for number, z in ((0, -1.0), (rings.tract_max - 1, 1.0)):
        assert polygon(rings.tract(number).corners).contains(UnitVector3d(0.0, 0.0, z))


@pytest.mark.parametrize(("visit", "number"), list(HSC))
def test_corners_of_hsc_are_where_the_public_export_has_them(visit: int, number: int) -> None:
    definition = load_definition("HSC")
    found = definition.on_sky(definition.detector(number), *HSC_POINTINGS[visit])
    assert found is not None
    ours, theirs = polygon(found), decoded(HSC[visit, number])
    assert ours.contains(theirs.getCentroid())
    for corner in theirs.getVertices():
        nearest = min(math.dist(corner, vertex) for vertex in ours.getVertices())
        # A detector is 700 arcseconds long.
        assert math.degrees(nearest) * 3600 < 2


@pytest.mark.parametrize("visit", [903334, 903342])
def test_regions_of_hsc_from_headers_cover_those_of_the_public_export(visit: int) -> None:
    pointing = dict(zip(("tracking_ra", "tracking_dec", "sky_angle"), HSC_POINTINGS[visit], strict=True))
    _, regions = visit_regions(load_definition("HSC"), pointing)
    detectors = [number for known, number in HSC if known == visit]
    assert len(detectors) >= 3
    for number in detectors:
        ours, theirs = decoded(regions[number].hex()), decoded(HSC[visit, number])
        assert ours.contains(theirs.getCentroid())
        # What is asked for is 0.9.
        assert shared_area(ours, theirs) > 0.995


@pytest.mark.parametrize(("exposure", "number"), list(LSSTCAM))
def test_detectors_of_lsstcam_are_where_the_public_export_has_them(exposure: int, number: int) -> None:
    pointing, region = LSSTCAM[exposure, number]
    definition = load_definition("LSSTCam")
    found = definition.on_sky(definition.detector(number), *pointing)
    assert found is not None
    ours, theirs = polygon(found), decoded(region)
    assert ours.contains(theirs.getCentroid())
    for corner in theirs.getVertices():
        nearest = min(math.dist(corner, vertex) for vertex in ours.getVertices())
        # A detector is 800 arcseconds long.
        assert math.degrees(nearest) * 3600 < 5


@pytest.mark.parametrize("name", ["DECam", "MegaPrime", "LSSTComCam", "LSSTCam-imSim"])
def test_corners_of_detectors_do_not_overlap(name: str) -> None:
    definition = load_definition(name)
    boxes = []
    for detector in definition.detectors:
        assert detector.corners_mm is not None
        xs, ys = zip(*detector.corners_mm, strict=True)
        boxes.append((min(xs), max(xs), min(ys), max(ys)))
    for i, (left, right, low, high) in enumerate(boxes):
        for other in boxes[:i]:
            assert right <= other[0] or other[1] <= left or high <= other[2] or other[3] <= low


@pytest.mark.parametrize("name", bundled_skymaps())
def test_each_bundled_sky_map_is_named_as_its_file(name: str) -> None:
    assert load_skymap(name).name == name


GOOD = """\
format_version: 1
name: small
discrete:
  - {ra_deg: 10, dec_deg: -5, radius_deg: 0.1}
pixel_scale_arcsec: 0.5
tract_overlap_deg: 0
patch_inner_dimensions: [500, 500]
patch_border: 10
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "discrete:",
            "rings: {num_rings: 3}\ndiscrete:",
            "line 3, rings: must be there, or discrete with a list of tracts, and not both",
        ),
        ("dec_deg: -5", "dec_deg: -95", "line 4, discrete[0].dec_deg: is -95, and must lie between -90 and 90"),
        ("radius_deg: 0.1", "radius_deg: 0", "line 4, discrete[0].radius_deg: is 0, and must lie between 0 and 45"),
        ("name: small", "name: small\nprojection: STG", "line 3, projection: is STG, and only TAN is known"),
        ("[500, 500]", "[500]", "line 7, patch_inner_dimensions: must be two numbers of pixels, 1 or more each"),
        ("scale_arcsec: 0.5", "scale_arcsec: -1", "line 5, pixel_scale_arcsec: is -1, and must be more than 0"),
    ],
)
def test_a_wrong_sky_map_is_refused_with_the_reason(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_skymap(path)
    assert caught.value.faults == [fault]


def test_an_unknown_sky_map_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_skymap("nowhere")
    assert str(caught.value) == (
        "There is no file nowhere, and no sky map of that name comes with registrytool. "
        f"Known sky maps: {', '.join(bundled_skymaps())}."
    )
