"""Claims about groups of dimensions: what the client makes of the same names."""

from __future__ import annotations

import pytest

from registrytool.catalog import Catalog
from registrytool.errors import RegistryStateError
from registrytool.maintain.dataset_types import dimension_group
from registrytool.universe import Universe

UNIVERSE = Universe(Catalog.find().universe_config(Catalog.find().newest("dimensions-config", "daf_butler")))

# As lsst-daf-butler 30.2026.4300 answers: names, required dimensions, implied ones.
CASES = [
    ("", "", ""),
    ("band", "band", ""),
    ("visit", "instrument visit", "band day_obs physical_filter"),
    ("subfilter physical_filter", "instrument physical_filter subfilter", "band"),
    ("physical_filter band", "instrument physical_filter", "band"),
    ("exposure visit", "instrument exposure visit", "band day_obs group physical_filter"),
    ("patch visit", "instrument skymap tract patch visit", "band day_obs physical_filter"),
    ("htm7 patch", "htm7 skymap tract patch", ""),
    ("healpix9 instrument", "healpix9 instrument", ""),
    ("visit_system visit", "instrument visit_system visit", "band day_obs physical_filter"),
]


@pytest.mark.parametrize(("wanted", "required", "implied"), CASES)
def test_a_group_is_completed_as_the_client_does(wanted: str, required: str, implied: str) -> None:
    found, everything = dimension_group(UNIVERSE, wanted.split())
    assert found == tuple(required.split())
    assert set(everything) == {*required.split(), *implied.split()}
    assert everything == UNIVERSE.sorted(list(everything))


@pytest.mark.parametrize("name", ["vist", "visit_detector_region", "", "htm99", "htm"])
def test_what_is_no_dimension_is_refused(name: str) -> None:
    with pytest.raises(RegistryStateError) as caught:
        dimension_group(UNIVERSE, ["instrument", name])
    assert caught.value.message == f"Universe daf_butler 8 has no dimension {name!r}."
