"""Universes of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registrytool.config import parse_yaml
from registrytool.models import ComponentVersion
from registrytool.universe import Universe
from tests.support.content_states import CATALOG
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from tests.support.places import Place

SPECTRA = Path(__file__).parents[1] / "data" / "universes" / "spectra.yaml"
GROUPS = ((), ("spectrograph",), ("spectrograph", "pointing", "camera", "arm"), ("survey", "field", "healpix9"))
VERSION = ComponentVersion("dimensions-config", "spectra", "3")


def test_the_universe_is_really_another_one() -> None:
    universe = Universe(parse_yaml(SPECTRA.read_text()))
    assert [e.name for e in universe.governors] == ["spectrograph", "survey"]
    assert "exposure" not in universe
    assert not universe.is_known("htm7")


def test_a_registry_of_another_universe_is_made_and_holds_rows_in_every_table(place: Place) -> None:
    repository = make(place, universe=SPECTRA)
    fill_registry(repository, groups=GROUPS, calibration=("spectrograph",))

    assert_clean(repository, CATALOG.newest_state().replace(VERSION))
    content = read_content(repository)
    assert content["design"].columns[:3] == ("spectrograph", "id", "name")
    assert "collection_summary_survey" in content
    assert "field_pointing_overlap" in content
    assert "arm" not in content


def test_a_registry_of_another_universe_is_migrated_but_for_its_universe(odd_namespace: str, place: Place) -> None:
    old = ("w_2022_23",)
    repository = make(place, *old, universe=SPECTRA)
    fill_registry(repository, groups=GROUPS, calibration=("spectrograph",))
    before = read_content(repository)

    migrate(repository, "newest")

    assert_clean(repository, CATALOG.newest_state().replace(VERSION))
    after = read_content(repository)
    for table in before.keys() - {"butler_attributes", "dataset"}:
        assert after[table].of(before[table].columns) == before[table].of(before[table].columns), table


def test_dimensions_of_another_universe_go_back_to_older_versions(place: Place) -> None:
    repository = make(place, universe=SPECTRA)
    fill_registry(repository, groups=GROUPS, calibration=("spectrograph",))
    before = read_content(repository)

    migrate(repository, "dimensions=6.0.0")
    migrate(repository, "newest")

    assert_clean(repository, CATALOG.newest_state().replace(VERSION))
    assert {t: sorted(c.rows, key=repr) for t, c in read_content(repository).items()} == {
        t: sorted(c.rows, key=repr) for t, c in before.items()
    }
