"""Dimension records that registrytool writes are those that the client writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.maintain.dependants import delete_records
from registrytool.maintain.record_transfer import diff_records, export_records, import_records
from registrytool.maintain.records import insert_records, iter_records, update_records
from registrytool.maintain.session import change as edit
from registrytool.maintain.session import reading
from registrytool.repository import open_repository
from tests.client.conftest import password_of
from tests.support.registries import assert_clean, make, make_state
from tests.support.twins import record_rows, twin

if TYPE_CHECKING:
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository
    from tests.client.conftest import Client
    from tests.support.places import Place


def copy_records(source: Repository, target: Repository) -> None:
    with reading(source) as session:
        names = [e.name for e in session.universe if e.has_table]
        records = {name: list(iter_records(session, name)) for name in names}

    def work(session: Session) -> None:
        for name, rows in records.items():
            assert insert_records(session, name, rows).inserted == len(rows)

    edit(target, "copy the records", work)


@pytest.mark.parametrize("universe", [0, 2, 8])
def test_records_and_their_overlaps_are_those_that_the_client_wrote(
    client: Client, place: Place, universe: int, tmp_path: Path
) -> None:
    client.make(place, universe=universe)
    source = open_repository(str(place.folder), db=place.url)
    with reading(source) as session:
        state = session.state
    target = make_state(twin(place, tmp_path / "twin"), state)
    copy_records(source, target)
    expected, found = record_rows(source), record_rows(target)
    assert found == expected
    overlaps: list[Any] = [row for name, rows in found.items() if name.endswith("_skypix_overlap") for row in rows]
    assert len(overlaps) > 100


def test_export_files_go_from_one_to_the_other(client: Client, place: Place, tmp_path: Path) -> None:
    client.make(place)
    source = open_repository(str(place.folder), db=place.url)
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    export_records(source, ours)
    client.run("client_records.py", place.folder, "export", theirs, password=password_of(place))
    with reading(source) as session:
        state = session.state
    first = make_state(twin(place, tmp_path / "first"), state)
    import_records(first, theirs)
    assert record_rows(first) == record_rows(source)
    # The client imports into an empty repository of its own, since it would not find the password of the other.
    second = tmp_path / "second"
    client.run("client_records.py", second, "import", ours)
    assert list(diff_records(source, open_repository(str(second)))) == []


def test_files_of_the_oldest_universe_become_what_the_client_makes_of_them(
    client: Client, place: Place, tmp_path: Path
) -> None:
    file = Path(client.run("client_records.py", tmp_path / "theirs", "import-oldest").strip())
    repository = make(place)
    import_records(repository, file)
    differences = list(diff_records(repository, open_repository(str(tmp_path / "theirs"))))
    # The client cannot ask the camera's software when a day begins; registrytool knows it of this camera.
    assert {d.element for d in differences} == {"day_obs"}
    assert all(d.second == {"timespan": None} for d in differences)


def test_changes_are_those_that_the_client_makes(client: Client, place: Place, tmp_path: Path) -> None:
    client.make(place)
    other = tmp_path / "theirs"
    client.run("client_records.py", other, "import", exported(place, tmp_path / "start.yaml"))
    repository = open_repository(str(place.folder), db=place.url)
    with reading(repository) as session:
        region = next(r["region"] for r in iter_records(session, "tract") if r["region"] is not None)
        chosen = next(iter_records(session, "visit", session.table("visit").c.region.is_not(None)))
    key = {n: chosen[n] for n in ("instrument", "id")}
    change = json.dumps({**key, "target_name": "other", "region": region.hex()})
    client.run("client_records.py", other, "change-visit", change)

    def work(session: Session) -> None:
        update_records(session, "visit", [{**key, "target_name": "other", "region": region}])

    edit(repository, "change a visit", work)
    assert list(diff_records(repository, open_repository(str(other)))) == []
    assert overlaps(repository) == overlaps(open_repository(str(other)))
    # The client cannot delete records; it opens what is left, and writes to it.
    edit(repository, "delete", lambda s: delete_records(s, "visit", key, cascade=True))
    client.content(place.folder, password_of(place), then_write=True)
    with reading(repository) as session:
        assert list(iter_records(session, "visit", key)) == []
    assert_clean(repository)


def exported(place: Place, file: Path) -> Path:
    export_records(open_repository(str(place.folder), db=place.url), file)
    return file


def overlaps(repository: Repository) -> dict[str, Any]:
    return {name: rows for name, rows in record_rows(repository).items() if "_skypix_overlap" in name}
