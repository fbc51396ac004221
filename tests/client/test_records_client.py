"""Dimension records that registrytool writes are those that the client writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registrytool.maintain.records import insert_records, iter_records
from registrytool.maintain.session import change, reading
from registrytool.repository import open_repository
from tests.support.registries import make_state
from tests.support.twins import record_rows, twin

if TYPE_CHECKING:
    from pathlib import Path

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

    change(target, "copy the records", work)


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
