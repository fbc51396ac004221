"""Claims about the registration of instruments, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.create import CreateOptions, create_repository
from registrytool.errors import RegistryStateError
from registrytool.instruments.checks import check_instruments
from registrytool.instruments.library import bundled_definitions, load_definition, universe_file
from registrytool.instruments.register import (
    Difference,
    compare_instrument,
    export_instrument,
    register_instruments,
    remove_instrument,
)
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.records import insert_records
from registrytool.maintain.session import Session, change, reading
from registrytool.repository import Repository, open_repository
from tests.support.registries import assert_clean, make
from tests.unit.instruments.test_definition import GOOD, write

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.instruments.definition import InstrumentDefinition
    from tests.support.places import Place

pytestmark = pytest.mark.usefixtures("odd_namespace")

ODD = "Cam O'1 “%” :ü"


def edited(folder: Path, *replaced: tuple[str, str]) -> InstrumentDefinition:
    text = GOOD
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return load_definition(write(folder, text))


def rows_of(repository: Repository) -> dict[str, int]:
    with reading(repository) as session:
        names = [e.name for e in session.universe if e.has_table]
        counts = {n: session.scalar(sa.select(sa.func.count()).select_from(session.table(n))) for n in names}
    return {name: number for name, number in counts.items() if number}


def pfs_repository(place: Place) -> Repository:
    options = CreateOptions(place.url, place.namespace, ("27.0",), universe_file("pfs"))
    create_repository(place.folder, options)
    return open_repository(str(place.folder), db=place.url)


def test_all_bundled_instruments_fit_into_one_repository_and_are_what_their_definitions_say(place: Place) -> None:
    repository = make(place, "newest")
    definitions = [load_definition(n) for n in bundled_definitions() if load_definition(n).namespace == "daf_butler"]
    assert len(definitions) == 8
    plans = register_instruments(repository, definitions)
    assert [p.instrument for p in plans] == [d.name for d in definitions]
    with reading(repository) as session:
        for definition in definitions:
            assert compare_instrument(session, definition) == []
        assert check_instruments(session) == []
    before = rows_of(repository)
    again = register_instruments(repository, definitions)
    assert all(p.nothing for p in again)
    assert rows_of(repository) == before
    assert_clean(repository)


def test_pfs_has_its_own_universe(place: Place) -> None:
    repository = pfs_repository(place)
    register_instruments(repository, [load_definition("PFS")])
    assert rows_of(repository) == {
        "instrument": 1,
        "spectrograph": 5,
        "arm": 5,
        "physical_filter": 4,
        "detector": 22,
    }
    with reading(repository) as session:
        m1 = load_records(session, "detector", {"full_name": "m1"})
        assert [(r["id"], r["spectrograph"], r["arm"]) for r in m1] == [(-1, 1, "m")]
        assert check_instruments(session) == []
    assert_clean(repository)


def test_an_instrument_of_another_universe_is_refused(place: Place) -> None:
    repository = make(place, "newest")
    with pytest.raises(RegistryStateError) as caught:
        register_instruments(repository, [load_definition("PFS")])
    assert str(caught.value) == (
        f"The instrument PFS belongs to the universe pfs, and the registry of {repository.name} has daf_butler 8. "
        "Give a repository with the universe of the instrument."
    )
    assert rows_of(repository) == {}


@pytest.mark.parametrize("universe", [0, 2, 5])
def test_older_universes_get_the_columns_that_they_have(place: Place, universe: int) -> None:
    repository = make(place, f"dimensions-config={universe}")
    register_instruments(repository, [load_definition("LSSTComCam")])
    with reading(repository) as session:
        found = load_records(session, "instrument")
        assert [r.get("visit_system") for r in found] == [2 if universe >= 2 else None]
        assert compare_instrument(session, load_definition("LSSTComCam")) == []
    assert_clean(repository)


def test_a_dry_run_says_the_same_and_writes_nothing(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    definition = edited(tmp_path, ("name: Toy", f'name: "{ODD}"'))
    planned = register_instruments(repository, [definition], dry_run=True)
    assert rows_of(repository) == {}
    assert register_instruments(repository, [definition]) == planned
    assert planned[0].new == {"instrument": 1, "physical_filter": 2, "detector": 2}
    assert rows_of(repository) == {"instrument": 1, "physical_filter": 2, "detector": 2}


def test_another_definition_is_refused_by_register_and_shown_by_update(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [edited(tmp_path)])
    other = edited(tmp_path, ("band: r,", "band: i,"), ("full_name: R_0", "full_name: R_0, purpose: GUIDER"))
    with pytest.raises(RegistryStateError) as caught:
        register_instruments(repository, [other])
    assert str(caught.value) == (
        f"The registry of {repository.name} has another Toy: physical_filter r2: band is 'r' and should be 'i'; "
        "detector 0: purpose is None and should be 'GUIDER'. 'registrytool instrument update' changes what differs."
    )
    expected = (
        Difference("physical_filter", "r2", "band", "r", "i"),
        Difference("detector", 0, "purpose", None, "GUIDER"),
    )
    (planned,) = register_instruments(repository, [other], update=True, dry_run=True)
    with reading(repository) as session:
        assert tuple(compare_instrument(session, other)) == planned.changes == expected
    (done,) = register_instruments(repository, [other], update=True)
    assert done == planned
    with reading(repository) as session:
        assert compare_instrument(session, other) == []


def test_update_keeps_what_the_definition_does_not_have(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [edited(tmp_path)])
    line = '  - {physical_filter: r2, band: r, aliases: [red, "109"], wavelength_nm: [550, 700.5], doc: A filter.}\n'
    (plan,) = register_instruments(repository, [edited(tmp_path, (line, ""))], update=True)
    assert plan.nothing
    assert [str(d) for d in plan.extra] == ["physical_filter r2: is not in the definition"]
    assert rows_of(repository)["physical_filter"] == 2


def test_an_update_below_numbers_in_use_is_refused(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [edited(tmp_path)])
    with pytest.raises(RegistryStateError) as caught:
        register_instruments(repository, [edited(tmp_path, ("detector_max: 10", "detector_max: 1"))], update=True)
    assert str(caught.value) == (
        f"Cannot update Toy: detector_max would be 1, and the registry of {repository.name} has detector 1. "
        "Give a detector_max above it."
    )


def test_one_wrong_instrument_of_several_changes_nothing(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    with pytest.raises(RegistryStateError):
        register_instruments(repository, [load_definition("HSC"), load_definition("PFS")])
    assert rows_of(repository) == {}
    with pytest.raises(RegistryStateError) as caught:
        register_instruments(repository, [edited(tmp_path), edited(tmp_path)])
    assert str(caught.value) == "The instrument Toy is given 2 times. Give one definition of each instrument."


def test_two_repositories_with_contradicting_definitions_do_not_meet(place: Place, tmp_path: Path) -> None:
    first = make(place, "newest")
    options = CreateOptions(f"sqlite:///{tmp_path / 'second.sqlite3'}", None, ())
    create_repository(tmp_path / "second", options)
    second = open_repository(str(tmp_path / "second"))
    (tmp_path / "a").mkdir()
    one, other = edited(tmp_path), edited(tmp_path / "a", ("band: r,", "band: i,"))
    register_instruments(first, [one])
    register_instruments(second, [other])
    register_instruments(first, [one])
    for repository, band in ((first, "r"), (second, "i")):
        with reading(repository) as session:
            found = load_records(session, "physical_filter", {"name": "r2"})
        assert [r["band"] for r in found] == [band]


def test_a_removal_leaves_nothing_of_the_instrument_and_all_of_the_others(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [edited(tmp_path), load_definition("LSSTComCam")])
    shown = remove_instrument(repository, "Toy", dry_run=True)
    assert remove_instrument(repository, "Toy") == shown
    assert shown.registered == {"detector": 2, "physical_filter": 2}
    assert shown.dependants == {}
    with reading(repository) as session:
        assert [r["name"] for r in load_records(session, "instrument")] == ["LSSTComCam"]
        assert compare_instrument(session, load_definition("LSSTComCam")) == []
    with pytest.raises(RegistryStateError) as caught:
        remove_instrument(repository, "Toy")
    assert str(caught.value) == (f"The registry of {repository.name} has no instrument Toy. It has LSSTComCam.")
    assert_clean(repository)


def observe(session: Session, instrument: str, number: int = 7, obs_id: str = "x7") -> None:
    insert_records(session, "day_obs", [{"instrument": instrument, "id": 20200102}], on_conflict="skip")
    insert_records(session, "group", [{"instrument": instrument, "name": "g"}], on_conflict="skip")
    row = {"instrument": instrument, "id": number, "obs_id": obs_id, "day_obs": 20200102, "group": "g"}
    insert_records(session, "exposure", [{**row, "physical_filter": "empty"}])


def test_an_instrument_with_observations_is_removed_on_demand_only(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [edited(tmp_path)])
    change(repository, "observe", lambda s: observe(s, "Toy"))
    before = rows_of(repository)
    shown = remove_instrument(repository, "Toy", preview=True, dry_run=True)
    assert shown.dependants == {"day_obs": 1, "exposure": 1, "group": 1}
    for dry_run in (True, False):
        with pytest.raises(RegistryStateError) as caught:
            remove_instrument(repository, "Toy", dry_run=dry_run)
        assert str(caught.value).startswith("Cannot remove the instrument Toy: other records refer to it (")
        assert str(caught.value).endswith("Remove it with all of them with --cascade.")
    assert rows_of(repository) == before
    remove_instrument(repository, "Toy", cascade=True)
    assert rows_of(repository) == {}


@pytest.mark.parametrize("name", ["HSC", "VIRCAM"])
def test_an_exported_definition_is_that_of_the_registry(place: Place, tmp_path: Path, name: str) -> None:
    repository = make(place, "newest")
    register_instruments(repository, [load_definition(name)])
    with reading(repository) as session:
        found = load_definition(write(tmp_path, export_instrument(session, name), "exported.yaml"))
        assert compare_instrument(session, found) == []
    original = load_definition(name)
    assert found.record() == original.record()
    assert {f.key: f.band for f in found.filters} == {f.key: f.band for f in original.filters}
    assert [d.record() for d in found.detectors] == [d.record() for d in original.detectors]


def test_doctor_finds_what_is_odd(place: Place, tmp_path: Path) -> None:
    # Before this version a band could be missing.
    repository = make(place, "dimensions=StaticDimensionRecordStorageManager/6.0.1")
    (tmp_path / "b").mkdir()
    toy_a = edited(tmp_path)
    toy_b = load_definition(write(tmp_path / "b", GOOD.replace("name: Toy", "name: Toy B", 1)))
    register_instruments(repository, [toy_a, toy_b])

    def spoil(session: Session) -> None:
        table = session.table("physical_filter")
        session.execute(sa.update(table).where(table.c.instrument == "Toy B", table.c.name == "r2").values(band=None))
        insert_records(session, "detector", [{"instrument": "Toy", "id": 99, "full_name": "far"}])
        observe(session, "Toy")
        observe(session, "Toy B", 8)

    change(repository, "spoil", spoil)
    with reading(repository) as session:
        found = check_instruments(session, [toy_a, toy_b])
    assert [(f.check, f.severity, f.instrument, f.message) for f in found] == [
        ("filter-without-band", "error", "Toy B", "The filter r2 of Toy B has no band."),
        (
            "number-out-of-range",
            "warning",
            "Toy",
            "The detector numbers 99 of Toy are not within 0 and detector_max, which is 10.",
        ),
        (
            "same-obs-id",
            "warning",
            "Toy, Toy B",
            "The observation x7 (exposure 7 of Toy, 8 of Toy B) is there more than once.",
        ),
        (
            "contradiction",
            "warning",
            "Toy B",
            "Toy B contradicts its definition: physical_filter r2: band is None and should be 'r'.",
        ),
    ]
