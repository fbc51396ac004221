"""Dimension universes.  Facts: the Butler registry format, sections 4.6, 4.7 and 10."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registrytool.errors import ContentError
from registrytool.models import ComponentVersion
from registrytool.universe import Universe, docs, same_universe, with_docs, without_docs
from tests.support.content_states import CATALOG

if TYPE_CHECKING:
    from collections.abc import Mapping


def released(version: int) -> Universe:
    return Universe(config(version))


def config(version: int) -> dict[str, Any]:
    return CATALOG.universe_config(ComponentVersion("dimensions-config", "daf_butler", str(version)))


def small(elements: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "namespace": "small", "skypix": {}, "elements": elements, **more}


def test_the_order_of_universe_8_is_that_of_the_clients() -> None:
    order = (
        "band instrument skymap ssp_hypothesis_table day_obs detector group physical_filter ssp_balanced_index "
        "ssp_hypothesis_bundle subfilter tract visit_system exposure patch visit visit_definition "
        "visit_detector_region visit_system_membership"
    )
    assert [e.name for e in released(8)] == order.split()


def test_skypix_dimensions_come_after_band_by_system_and_level() -> None:
    names = list(released(8).order)
    skypix = [f"healpix{i}" for i in range(1, 18)] + [f"htm{i}" for i in range(1, 25)]
    assert names[1 : 2 + len(skypix)] == [*skypix, "instrument"]


def test_universe_0_has_no_healpix_and_the_default_namespace() -> None:
    universe = released(0)
    assert (universe.namespace, universe.version) == ("daf_butler", 0)
    assert not universe.is_known("healpix1")
    assert universe.is_known("htm24")
    assert not universe.is_known("htm25")


@pytest.mark.parametrize(
    ("name", "required", "implied"),
    [
        ("band", ("band",), ()),
        ("physical_filter", ("instrument", "physical_filter"), ("band",)),
        ("exposure", ("instrument", "exposure"), ("day_obs", "group", "physical_filter")),
        ("visit", ("instrument", "visit"), ("day_obs", "physical_filter")),
        ("patch", ("skymap", "tract", "patch"), ()),
        ("visit_detector_region", ("instrument", "detector", "visit"), ()),
        ("visit_definition", ("instrument", "exposure", "visit"), ()),
        ("ssp_balanced_index", ("ssp_hypothesis_table", "ssp_balanced_index"), ()),
    ],
)
def test_required_and_implied_dimensions_are_in_the_order_of_the_universe(
    name: str, required: tuple[str, ...], implied: tuple[str, ...]
) -> None:
    element = released(8)[name]
    assert (element.required, element.implied) == (required, implied)


@pytest.mark.parametrize("version", range(9))
def test_instrument_and_skymap_are_the_governors_of_all_released_universes(version: int) -> None:
    assert [e.name for e in released(version).governors] == ["instrument", "skymap"]


def test_band_has_no_table_and_all_others_have() -> None:
    assert [e.name for e in released(8) if not e.has_table] == ["band"]


def test_elements_without_keys_are_no_dimensions() -> None:
    names = [e.name for e in released(8) if not e.is_dimension]
    assert names == ["visit_definition", "visit_detector_region", "visit_system_membership"]


def test_topology_says_what_has_regions_and_timespans() -> None:
    universe = released(8)
    assert [e.name for e in universe if e.spatial] == ["tract", "patch", "visit", "visit_detector_region"]
    assert [e.name for e in universe if e.temporal] == ["day_obs", "exposure", "visit"]
    assert universe.governor(universe["patch"]) == "skymap"


def test_checked_fields_are_alternate_keys_and_what_cannot_be_null() -> None:
    universe = released(8)
    assert {e.name: set(e.checked_fields) for e in universe if e.checked_fields} == {
        "detector": {"full_name"},
        "exposure": {"obs_id"},
        "skymap": {"hash"},
        "visit": {"name"},
        "visit_system": {"name"},
        "patch": {"cell_x", "cell_y"},
    }


def test_sorting_unknown_dimensions_is_refused() -> None:
    with pytest.raises(ContentError, match="Universe daf_butler 8 has no dimension planet, star"):
        released(8).sorted(["visit", "planet", "star"])


def test_a_circle_of_dependencies_is_refused() -> None:
    elements = {"a": {"requires": ["b"]}, "b": {"implies": ["c"]}, "c": {"requires": ["a"]}, "d": {}}
    with pytest.raises(ContentError, match="The dimensions a, b, c depend on each other in a circle"):
        Universe(small(elements))


def test_an_undefined_dependency_is_refused() -> None:
    with pytest.raises(ContentError, match="The dimension a depends on ghost, which is not defined"):
        Universe(small({"a": {"requires": ["ghost"]}}))


@pytest.mark.parametrize("broken", [{}, {"version": 1}, {"version": "x", "elements": {}}, {"elements": {}}])
def test_what_is_no_universe_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ContentError, match="This is not a dimension universe"):
        Universe(broken)


def test_a_region_without_a_governor_is_refused() -> None:
    universe = Universe(small({"a": {"keys": [{"name": "id", "type": "int"}]}}, topology={"spatial": {"f": ["a"]}}))
    with pytest.raises(ContentError, match="The element a has regions, but none of its dimensions is a governor"):
        universe.governor(universe["a"])


# -- documentation strings ----------------------------------------------------


def test_documentation_strings_make_no_difference() -> None:
    universe = config(8)
    assert without_docs(universe) != universe
    assert same_universe(universe, without_docs(universe))
    assert not same_universe(universe, config(7))


def test_documentation_strings_are_put_where_they_belong() -> None:
    universe = config(8)
    mine = {path: f"mine: {path}" for path, _ in docs(universe)}
    assert "/elements/exposure/metadata/can_see_sky" in mine

    changed = with_docs(universe, mine)

    assert dict(docs(changed)) == mine
    assert same_universe(changed, universe)
    assert dict(docs(universe)) != mine


def test_documentation_strings_of_what_does_not_exist_are_left_out() -> None:
    universe = config(5)
    changed = with_docs(universe, {"/elements/group": "of universe 6"})
    assert changed == universe
