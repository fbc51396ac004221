"""Raw files, from headers to datasets and files, on both databases; killed at bad moments, and given bad files."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError, RegistryToolError
from registrytool.instruments import ingest
from registrytool.instruments.headers import read_headers
from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.observation import BadFile
from registrytool.instruments.photodiode import ingest_photodiode
from registrytool.instruments.placement import JOURNALS, Transfer
from registrytool.instruments.sources import find_files
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import change, reading
from tests.support import forks, raws
from tests.support.registries import assert_clean, make, migrate
from tests.support.twins import record_rows

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

COPY = IngestOptions(transfer=Transfer.COPY)


def files_of(repository: Repository) -> set[str]:
    """Return the files of the datastore, as paths in it."""
    assert repository.root is not None
    found = (p.relative_to(repository.root) for p in repository.root.rglob("*") if p.is_file() or p.is_symlink())
    return {str(p) for p in found if p.name not in ("butler.yaml", "gen3.sqlite3")}


def records_of(repository: Repository) -> set[str]:
    """Return the paths that the registry knows, each of one dataset that exists."""
    with reading(repository) as session:
        if "file_datastore_records" not in session.recorded.tables:
            return set()
        records, dataset = session.table("file_datastore_records"), session.table("dataset")
        join = records.join(dataset, dataset.c.id == records.c.dataset_id)
        return set(session.connection.scalars(sa.select(records.c.path).select_from(join)))


def test_bad_files_are_named_and_the_rest_is_ingested(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    good = raws.hsc(tmp_path / "good.fits", 2, 50)
    same = raws.hsc(tmp_path / "same.fits", 2, 50)
    unknown = raws.hsc(tmp_path / "filter.fits", 4, 50, FILTER01="Q")
    lacking = raws.hsc(tmp_path / "lacking.fits", 6, 50, EXP__ID=None, FRAMEID=None)
    nameless = raws.hsc(tmp_path / "nameless.fits", 6, 50, FILTER01=None)
    wrong = raws.hsc(tmp_path / "wrong.fits", 6, 50, EXPTIME="long")
    detector = raws.hsc(tmp_path / "detector.fits", 8, 50, DET__ID=199)
    other = raws.megaprime(tmp_path / "other.fits")
    (cut := tmp_path / "cut.fits").write_bytes(good.read_bytes()[:-2880])
    (text := tmp_path / "text.fits").write_text("no FITS")
    (empty := tmp_path / "empty.fits").touch()
    (folder := tmp_path / "folder.fits").mkdir()
    raws.hsc(tmp_path / "sidecar.fits", 10, 50)
    (tmp_path / "sidecar.json").write_text('{"EXPTIME": ')
    gone = tmp_path / "gone.fits"
    files = [
        good, same, unknown, lacking, nameless, wrong, detector, other, cut, text, empty, folder,
        tmp_path / "sidecar.fits", gone,
    ]  # fmt: skip
    options = IngestOptions((raws.cameras()[0],), transfer=Transfer.COPY)
    report = ingest_raws(repository, [str(f) for f in files], options)
    reasons = {Path(b.file).name: b.reason for b in report.bad}
    assert report.datasets == 1
    assert reasons["same.fits"] == f"It has the same exposure and detector as {good}."
    assert reasons["filter.fits"] == "The instrument HSC has no filter 'Q'."
    assert reasons["detector.fits"] == "The instrument HSC has no detector 199."
    assert reasons["lacking.fits"] == "Its header has no EXP-ID, which exposure_group is taken from."
    assert reasons["nameless.fits"] == "Its header has no FILTER01, which physical_filter is taken from."
    assert reasons["wrong.fits"] == (
        "Its header does not give exposure_time: could not convert string to float: 'long'."
    )
    assert reasons["other.fits"] == "Its header is one for MegaPrime, not for HSC."
    size = good.stat().st_size
    assert reasons["cut.fits"] == (
        f"The file is cut off: the data of HDU 0 should end at byte {size - 2880 + 32}, and the file does at "
        f"{size - 2880}."
    )
    assert reasons["text.fits"] == "It is not a FITS file."
    assert reasons["empty.fits"] == "It is empty."
    assert reasons["folder.fits"] == "It is a folder that cannot be searched."
    assert reasons["gone.fits"] == "It does not exist."
    assert reasons["sidecar.fits"].startswith(
        f"Its sidecar {tmp_path}/sidecar.json is none of astro_metadata_translator: Expecting "
    )
    assert len(reasons) == len(files) - 1
    assert records_of(repository) == files_of(repository)
    before = record_rows(repository)
    with pytest.raises(RegistryStateError) as caught:
        ingest_raws(repository, [str(unknown)], IngestOptions(fail_fast=True))
    assert caught.value.message == f"Cannot ingest {unknown}: the instrument HSC has no filter 'Q'."
    assert record_rows(repository) == before


@pytest.mark.parametrize("at", ["w_2020_45", "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0"])
def test_old_registries_number_what_is_ingested(at: str, place: Place, tmp_path: Path) -> None:
    repository = make(place, at)
    raws.register(repository, raws.cameras()[0])
    files = [str(raws.hsc(tmp_path / f"{n}.fits", 2, n)) for n in (49, 50)]
    options = IngestOptions(transfer=Transfer.COPY)
    assert ingest_raws(repository, files, options).datasets == 2
    (readings := tmp_path / "Photodiode_20130617_2.txt").write_text("0.0 1e-9\n0.1 2e-9\n")
    assert ingest_photodiode(repository, "HSC", [str(readings)]).datasets == 1
    assert ingest_raws(repository, files, dataclasses.replace(options, existing="skip")).skipped == 2
    assert ingest_photodiode(repository, "HSC", [str(readings)]).skipped == 1
    with reading(repository) as session:
        assert sorted(session.connection.scalars(sa.select(session.table("dataset").c.id))) == [1, 2, 3]
    assert records_of(repository) == files_of(repository)
    assert_clean(repository)


def test_instruments_must_be_registered(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    file = str(raws.hsc(tmp_path / "a.fits"))
    assert ingest_raws(repository, [file], COPY).bad == (BadFile(file, "The instrument HSC is not registered."),)
    assert files_of(repository) == set()


def test_what_is_ingested_is_refused_skipped_or_updated(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    file = str(raws.hsc(tmp_path / "a.fits", 2, 50))
    assert ingest_raws(repository, [file], COPY).datasets == 1
    report = ingest_raws(repository, [file], COPY)
    assert report.bad == (BadFile(file, "It is ingested already (exposure 2, detector 50 of HSC)."),)
    skip = IngestOptions(transfer=Transfer.COPY, existing="skip")
    assert ingest_raws(repository, [file], skip).skipped == 1
    more = str(raws.hsc(tmp_path / "b.fits", 2, 51, OBJECT="other"))
    assert ingest_raws(repository, [more], skip).bad == (
        BadFile(
            more, "The exposure 2 of HSC is there with another target_name ('STRIPE82L', and the header says 'other')."
        ),
    )
    report = ingest_raws(repository, [more], IngestOptions(transfer=Transfer.COPY, existing="update"))
    assert (report.datasets, report.updated, report.bad) == (1, 1, ())
    with reading(repository) as session:
        assert [r["target_name"] for r in load_records(session, "exposure")] == ["other"]


@pytest.mark.parametrize("way", list(Transfer))
def test_each_way_brings_the_file_to_its_place(tmp_path: Path, way: Transfer, dialect: str, place: Place) -> None:
    if dialect == "postgresql" and way is not Transfer.COPY:
        # What differs is in the file system.
        way = Transfer.MOVE
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    folder = place.folder / "here" if way is Transfer.IN_PLACE else tmp_path / "in"
    file = raws.hsc(folder / "a.fits", 2, 50)
    content = file.read_bytes()
    assert ingest_raws(repository, [str(file)], IngestOptions(transfer=way)).datasets == 1
    (path,) = records_of(repository)
    assert file.exists() == (way is not Transfer.MOVE)
    if way is Transfer.DIRECT:
        assert path == f"file://{file}"
        return
    target = place.folder / path
    assert target.read_bytes() == content
    assert target.is_symlink() == (way in (Transfer.SYMLINK, Transfer.RELSYMLINK))
    if way in (Transfer.AUTO, Transfer.LINK, Transfer.HARDLINK):
        assert target.samefile(file)


def test_another_file_in_the_place_is_never_overwritten(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    file = raws.hsc(tmp_path / "a.fits", 2, 50)
    name = "HSC/raw/all/raw/20130617/HSCE00000002/raw_HSC_HSC-R_HSCE00000002_1_12_HSC_raw_all.fits"
    target = place.folder / name
    target.parent.mkdir(parents=True)
    target.write_text("mine")
    report = ingest_raws(repository, [str(file)], COPY)
    assert report.bad == (BadFile(str(file), f"There is another file in the place of {file}: {target}."),)
    assert target.read_text() == "mine"
    target.write_bytes(file.read_bytes())
    assert ingest_raws(repository, [str(file)], COPY).datasets == 1


def test_index_files_need_no_header(place: Place, tmp_path: Path) -> None:
    from astro_metadata_translator.indexing import index_files

    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    raws.hsc(tmp_path / "in" / "a.fits", 2, 50)
    raws.hsc(tmp_path / "in" / "b.fits", 2, 51)
    index, _, _ = index_files(["a.fits", "b.fits"], str(tmp_path / "in"), 1, True, "translated")
    file = tmp_path / "in" / "_index.json"
    raws.hsc(tmp_path / "in" / "d.fits", 2, 52)
    file.write_text(json.dumps({**index, "c.fits": index["a.fits"], "d.fits": {"exposure_id": "x"}}))
    # The software of this translator is not installed, and not needed.
    definition = dataclasses.replace(raws.cameras()[0], translator="lsst.obs.nowhere.Translator")
    report = ingest_raws(repository, [str(file)], IngestOptions((definition,), transfer=Transfer.COPY))
    missing = str(tmp_path / "in" / "c.fits")
    assert report.datasets == 2
    assert report.bad[0] == BadFile(missing, f"The index {file} names it, and it does not exist.")
    assert report.bad[1].file == str(tmp_path / "in" / "d.fits")
    assert report.bad[1].reason.startswith(f"What the index {file} says of it is of no use: ")
    assert len(report.bad) == 2
    with pytest.raises(ConfigurationError) as caught:
        ingest_raws(repository, [str(tmp_path / "in" / "a.fits")], IngestOptions((definition,)))
    assert caught.value.message == "There is no header translator lsst.obs.nowhere.Translator."


def test_many_processes_read_the_same_as_one(tmp_path: Path) -> None:
    for number in range(60):
        raws.hsc(tmp_path / f"{number:03d}.fits", 2 * number + 2, number % 50)
    files = find_files([tmp_path])
    one = list(read_headers(files, processes=1))
    assert list(read_headers(files, processes=2)) == one
    assert len(one) == 60


KILLED = """
import os, signal, sys
from pathlib import Path
from registrytool.instruments import ingest, placement
from registrytool.maintain import session
from registrytool.repository import open_repository

def main():
    folder, url, moment, *files = sys.argv[1:]
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == "placing":
        real, calls = placement._place, []
        def place(*a):
            calls.append(a)
            if len(calls) == 3:
                die()
            real(*a)
        placement._place = place
    elif moment == "inserting":
        ingest.store_records = die
    elif moment == "committed":
        placement.Journal.done = die
    elif moment == "writing":
        placement.json.dump = die
    elif moment == "journal":
        placement.Journal.place = die
    repository = open_repository(folder, db=url)
    ingest.ingest_raws(repository, files, ingest.IngestOptions(transfer=placement.Transfer.MOVE, processes=1))

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("moment", ["writing", "journal", "placing", "inserting", "committed"])
def test_a_kill_leaves_nothing_half_ingested(place: Place, tmp_path: Path, moment: str) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    files = [raws.hsc(tmp_path / "in" / f"{n}.fits", 2, n) for n in range(5)]
    contents = {f.read_bytes() for f in files}
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    ended = forks.finished(forks.file(program), program, place.folder, place.url, moment, *files)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    committed = records_of(repository)
    assert len(committed) == (5 if moment == "committed" else 0)
    report = ingest_raws(repository, [str(f) for f in files], IngestOptions(transfer=Transfer.MOVE, existing="skip"))
    assert report.bad == ()
    assert report.skipped == len(committed)
    assert report.recovered == (2 if moment == "placing" else 5 if moment == "inserting" else 0)
    assert records_of(repository) == files_of(repository)
    assert {(place.folder / p).read_bytes() for p in records_of(repository)} == contents
    assert not any(f.exists() for f in files)
    assert list((place.folder / JOURNALS).iterdir()) == []
    assert_clean(repository)


def test_a_refused_commit_leaves_no_file(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from registrytool.instruments import ingest

    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    file = raws.hsc(tmp_path / "a.fits", 2, 50)
    before = record_rows(repository)

    def fail(*_: Any) -> None:
        message = "No."
        raise RegistryStateError(message)

    monkeypatch.setattr(ingest, "store_records", fail)
    with pytest.raises(RegistryToolError, match=r"No\."):
        ingest_raws(repository, [str(file)], COPY)
    assert files_of(repository) == set()
    assert record_rows(repository) == before
    assert file.exists()
    assert os.listdir(place.folder / JOURNALS) == []  # noqa: PTH208


def test_files_are_ingested_as_the_universe_is_after_a_migration_that_came_between(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    file = raws.hsc(tmp_path / "raw.fits", 2)

    def migrate_and_change(*words: Any, **more: Any) -> Any:
        migrate(repository, "dimensions-config=6")
        return change(*words, **more)

    monkeypatch.setattr(ingest, "change", migrate_and_change)
    report = ingest_raws(repository, [str(file)], COPY)

    assert (report.datasets, report.bad) == (1, ())
    assert records_of(repository) == files_of(repository)
    assert_clean(repository)
