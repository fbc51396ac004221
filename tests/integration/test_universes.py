"""Universes of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registrytool.config import parse_yaml
from registrytool.errors import RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration
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


def test_dimensions_that_another_universe_derives_from_others_are_refused(place: Place) -> None:
    # Universe 2 tells datasets of a visit and one of its visit systems from datasets of a visit; universe 1 does not.
    repository = make(place, "w_2022_23")
    groups = (("instrument", "visit"), ("instrument", "visit", "visit_system"))
    fill_registry(repository, groups=groups, calibration=groups[0])
    before = read_content(repository)
    options = MigrateOptions(("dimensions-config=1",), accept_loss=True, backup=False)

    with pytest.raises(RegistryStateError) as caught:
        apply_migration(repository, options)

    assert str(caught.value) == (
        "Dataset types of this registry have the dimension visit_system beside others that decide it in daf_butler 1 "
        "(table dataset_tags_00000001): they cannot be told from types without it there. "
        "Stay at the present universe, or remove these dataset types."
    )
    assert read_content(repository) == before
