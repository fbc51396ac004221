"""Visits and their regions in the registry, and readings of photodiodes, on both databases and on old universes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.library import load_definition
from registrytool.instruments.photodiode import ingest_photodiode
from registrytool.instruments.placement import Transfer
from registrytool.instruments.visits import VisitOptions, define_visits
from registrytool.maintain.dependants import delete_records
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.records import insert_records, update_records
from registrytool.maintain.session import change, reading
from tests.support import raws
from tests.support.registries import assert_clean, make
from tests.support.twins import record_rows, twin

if TYPE_CHECKING:
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository
    from tests.support.places import Place

CAMERA = raws.camera("Cam", {"f": "r"}, (1, 2), visit_systems=("one-to-one", "by-seq-start-end"))


def add_exposures(repository: Repository, *numbers: int) -> None:
    """Put in exposures of which 1 to 3 are one sequence, and the others are single."""

    def work(session: Session) -> None:
        known = session.table("exposure").c
        for number in numbers:
            start, end = (1, 3) if number <= 3 else (number, number)
            row = {
                "instrument": "Cam", "id": number, "obs_id": f"o{number}", "physical_filter": "f", "day_obs": 20250101,
                "group": f"{start}", "group_name": f"{start}", "group_id": start, "seq_num": number, "seq_start": start,
                "seq_end": end, "tracking_ra": 1.0, "tracking_dec": 2.0, "sky_angle": 3.0, "azimuth": float(number),
                "exposure_time": 15.0,
            }  # fmt: skip
            if "group" in known:
                insert_records(session, "day_obs", [{"instrument": "Cam", "id": 20250101}], on_conflict="skip")
                insert_records(session, "group", [{"instrument": "Cam", "name": f"{start}"}], on_conflict="skip")
            insert_records(session, "exposure", [{k: v for k, v in row.items() if k in known}])

    change(repository, "add exposures", work)


def visits_of(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    rows = record_rows(repository)
    return {name: rows[name] for name in ("visit", "visit_definition", "visit_system", "visit_system_membership")}


def test_it_does_not_matter_when_visits_are_defined(place: Place, tmp_path: Path) -> None:
    whole = make(place)
    raws.register(whole, CAMERA)
    add_exposures(whole, 1, 2, 3, 4)
    planned = define_visits(whole, CAMERA, dry_run=True)
    report = define_visits(whole, CAMERA)
    assert planned == report
    assert (report.visits, report.existing, report.conflicts) == (5, 0, ())
    again = define_visits(whole, CAMERA)
    assert (again.visits, again.updated, again.existing, again.conflicts) == (0, 0, 5, ())
    piecemeal = make(twin(place, tmp_path / "twin"))
    raws.register(piecemeal, CAMERA)
    for number in (1, 4, 2, 3):
        add_exposures(piecemeal, number)
        define_visits(piecemeal, CAMERA, VisitOptions(exposures=(number,)))
    assert visits_of(piecemeal) == visits_of(whole)
    assert_clean(piecemeal)


def test_visits_that_are_there_change_on_demand_only(place: Place) -> None:
    repository = make(place)
    raws.register(repository, CAMERA)
    add_exposures(repository, 4)
    define_visits(repository, CAMERA)
    exposure = {"instrument": "Cam", "id": 4, "target_name": "x"}
    change(repository, "update", lambda s: update_records(s, "exposure", [exposure]))
    report = define_visits(repository, CAMERA)
    assert report.conflicts == ("Visit 4 is there with other values, and stays as it is.",)
    assert define_visits(repository, CAMERA, VisitOptions(update=True), dry_run=True).updated == 1
    assert define_visits(repository, CAMERA, VisitOptions(update=True)).updated == 1
    with reading(repository) as session:
        assert [v["target_name"] for v in load_records(session, "visit")] == ["x"]


@pytest.mark.parametrize("universe", ["0", "1", "2", "5", "7"])
def test_visits_are_defined_on_old_universes(place: Place, universe: str) -> None:
    dimensions = "6.0.0" if universe in ("0", "1") else "6.0.2"
    repository = make(place, f"dimensions-config=daf_butler/{universe}", f"dimensions={dimensions}")
    raws.register(repository, load_definition("HSC"))
    definition = load_definition("HSC")

    def work(session: Session) -> None:
        known = session.table("exposure").c
        row = {
            "instrument": "HSC", "id": 4, "obs_id": "o4", "physical_filter": "HSC-R", "day_obs": 20250101,
            "group": "4", "group_name": "4", "group_id": 4, "seq_num": 4, "seq_start": 4, "seq_end": 4,
            "tracking_ra": 1.0, "tracking_dec": 2.0, "sky_angle": 3.0,
        }  # fmt: skip
        if "group" in known:
            insert_records(session, "day_obs", [{"instrument": "HSC", "id": 20250101}])
            insert_records(session, "group", [{"instrument": "HSC", "name": "4"}])
        insert_records(session, "exposure", [{k: v for k, v in row.items() if k in known}])

    change(repository, "add", work)
    gone = {"instrument": "HSC", "id": 111}
    change(repository, "lose a detector", lambda s: delete_records(s, "detector", gone))
    planned = define_visits(repository, definition, dry_run=True)
    report = define_visits(repository, definition)
    assert planned == report
    assert (report.visits, report.regions) == (1, len(definition.detectors) - 1)
    again = VisitOptions(update=True)
    planned = define_visits(repository, definition, again, dry_run=True)
    assert planned == define_visits(repository, definition, again)
    assert (planned.updated, planned.existing, planned.regions) == (0, 1, 0)
    assert define_visits(repository, definition).existing == 1
    rows = record_rows(repository)
    assert len(rows["visit_definition"]) == len(rows["visit_system"]) == 1
    assert len(rows.get("visit_system_membership", [0])) == 1
    assert len(rows["visit_skypix_overlap"]) > 1
    assert_clean(repository)


def test_photodiodes_belong_to_exposures_or_are_named(place: Place, tmp_path: Path) -> None:
    from astropy.io import fits

    repository = make(place)
    raws.register(repository, CAMERA)
    add_exposures(repository, 4, 5, 6)
    change(
        repository, "name",
        lambda s: update_records(s, "exposure", [{"instrument": "Cam", "id": 6, "obs_id": "MC_C_20250101_000006"}]),
    )  # fmt: skip
    contents = {
        "Photodiode_Readings_20250101_000004.txt": "# time current\n0.0 1e-9\n0.1, 2e-9\n",
        "Photodiode_Readings_20250101_000005.txt": "0.0 1e-9 3\n",
        "Photodiode_Readings_20250102_000005.txt": "0.0 1e-9\n",
        "photodiode.txt": "0.0 1e-9\n",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    table = fits.BinTableHDU.from_columns([fits.Column(name="TIME", format="2D", array=[[0.0, 1.0]])])
    ready = tmp_path / "MC_C_20250101_000006_photodiode.fits"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(ready)
    files = [*(str(tmp_path / n) for n in contents), str(ready)]
    report = ingest_photodiode(repository, "Cam", files)
    assert report.datasets == 2
    assert {Path(b.file).name: b.reason for b in report.unmatched} == {
        "Photodiode_Readings_20250101_000005.txt": "It has not two columns of numbers: some lines have more or fewer.",
        "Photodiode_Readings_20250102_000005.txt": "There is no exposure of Cam with number 5 of 20250102.",
        "photodiode.txt": "Its name does not say to which exposure it belongs.",
    }
    stored = sorted(place.folder.rglob("photodiode_Cam*.fits"))
    with fits.open(stored[1]) as hdus:
        assert (hdus[1].header["OBSTYPE"], hdus[1].header["DAY_OBS"], hdus[1].header["SEQ_NUM"]) == (
            "PHOTODIODE",
            20250101,
            4,
        )
        assert hdus[1].data["TIME"][0].tolist() == [0.0, 0.1]
        assert hdus[1].data["CURRENT"][0].tolist() == [1e-9, 2e-9]
    assert stored[0].read_bytes() == ready.read_bytes()
    again = ingest_photodiode(repository, "Cam", files)
    assert (again.datasets, again.skipped) == (0, 2)
    assert_clean(repository)


def test_raws_bring_their_visits_along(place: Place, tmp_path: Path, run: Any) -> None:
    repository = make(place)
    raws.register(repository, load_definition("HSC"))
    raws.hsc(tmp_path / "in" / "a.fits", 2, 50)
    (tmp_path / "in" / "b.fits").write_text("no FITS")
    done = run(
        "-q", "raw", "ingest", place.folder, tmp_path / "in", "--db", place.url, "--transfer", "copy", "--define-visits"
    )
    assert done.exit_code == 4
    assert done.stdout == (
        "1 dataset and 1 exposure new, 0 exposures changed, 0 datasets skipped, 1 file left out.\n"
        "HSC: 1 visit defined, 0 there already.\n"
    )
    assert done.stderr.startswith(f"{tmp_path}/in/b.fits: It is not a FITS file.\n")
    assert ingest_raws(repository, [], IngestOptions(transfer=Transfer.COPY)).datasets == 0
    with reading(repository) as session:
        assert len(load_records(session, "visit_detector_region")) == len(load_definition("HSC").detectors)
