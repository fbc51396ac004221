"""Many change the same things at the same time, registrytool and the client among each other: nothing is lost."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.maintain.certifications import check_certifications
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collections import CollectionType, ensure_collection, load_collections
from registrytool.maintain.dataset_types import ensure_dataset_type, load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.records import insert_records
from registrytool.maintain.session import Session, change, reading
from registrytool.repository import open_repository
from tests.support import contend, forks
from tests.support.registries import assert_clean

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.client.conftest import Client
    from tests.support.places import Place

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.parametrize("dialect", ["postgresql"])]

#: Those that are clients; the others are registrytool.
CLIENTS = (2, 5)
MANY = 8
#: How many changes each of them makes when all do everything at once.
STRIFE = int(os.environ.get("REGISTRYTOOL_STRIFE", "8"))


@dataclass(frozen=True)
class Result:
    """What one of them says."""

    done: list[str]
    refused: list[str]
    failed: list[str]
    longest_s: float


@pytest.fixture
def repository(client: Client, place: Place) -> Repository:
    """Make a repository in which each of them has datasets and collections of its own."""
    client.make(place, "--empty")
    repository = open_repository(str(place.folder), db=place.url)

    def work(session: Session) -> None:
        insert_records(session, "instrument", [{"name": "Cam", "detector_max": 99, "visit_max": 9, "exposure_max": 9}])
        rows = [{"instrument": "Cam", "id": i, "full_name": f"d{i}"} for i in range(MANY)]
        insert_records(session, "detector", rows)
        bias = ensure_dataset_type(session, "bias", ["detector"], "StructuredDataDict", is_calibration=True)
        for name in ("chain", *(f"link{i}" for i in range(MANY))):
            ensure_collection(session, name, CollectionType.CHAINED)
        ensure_collection(session, "calib", CollectionType.CALIBRATION)
        ensure_collection(session, "shared", CollectionType.RUN)
        for i in range(MANY):
            run = ensure_collection(session, f"calib/{i}", CollectionType.RUN)
            insert_datasets(session, bias, run, [{"instrument": "Cam", "detector": 0}])
            for turn in range(12):
                ensure_collection(session, f"run/{i}/{turn}", CollectionType.RUN)

    change(repository, "prepare", work)
    return repository


def strive(repository: Repository, client: Client, kind: str, rounds: int) -> list[Result]:
    """Let all of them do something at once, and return what each says."""
    folder = repository.root
    assert folder is not None
    password = str(repository.url.password)
    ours, theirs = {}, {}
    for number in range(MANY):
        words = (folder, kind, number, rounds)
        if number in CLIENTS:
            theirs[number] = client.begin("client_contend.py", *words, password=password)
        else:
            ours[number] = forks.Forked(contend.main, "contend.py", *words, environment={"PGPASSWORD": password})
    deadline = time.monotonic() + 240
    while not all((folder / f"ready{number}").exists() for number in range(MANY)):
        assert time.monotonic() < deadline, "not all of them came up"
        assert all(p.poll() in (None, 0) for p in ours.values()), "one of them ended before it began"
        time.sleep(0.05)
    (folder / "go").touch()
    told = {number: finish() for number, finish in theirs.items()}
    told |= {number: process.communicate(timeout=900)[0] for number, process in ours.items()}
    results = [Result(**json.loads(told[number])) for number in range(MANY)]
    for file in ("go", *(f"ready{number}" for number in range(MANY))):
        (folder / file).unlink()
    assert [r.failed for r in results] == [[]] * MANY
    return results


def test_no_edit_of_a_chain_is_lost(repository: Repository, client: Client) -> None:
    results = strive(repository, client, "chain", 12)

    assert [r.refused for r in results] == [[]] * MANY
    with reading(repository) as session:
        children = load_collections(session)["chain"].children
    expected = [name for result in results for name in result.done]
    assert len(expected) == MANY * 8
    assert Counter(children) == Counter(expected)
    # Each one's own are in the order in which it put them there.
    for number in range(MANY):
        own = [int(name.rsplit("/", 1)[1]) for name in children if name.startswith(f"run/{number}/")]
        front, end = [turn for turn in own if turn % 2], [turn for turn in own if turn % 2 == 0]
        assert own == front + end
        assert front == sorted(front, reverse=True)
        assert end == sorted(end)
    assert_clean(repository)


def test_chains_that_would_make_a_circle_together_do_not(repository: Repository, client: Client) -> None:
    # The client looks for circles before it locks anything, so that two of them can make one: one of them takes part.
    edit_chain(repository, ChainEdit("link5", ChainMode.EXTEND, ("link6",)))
    results = strive(repository, client, "circle", 1)

    with reading(repository) as session:
        collections = load_collections(session)
        for number in range(MANY):
            name = f"link{number}"
            below = {
                c.name
                for child in collections[name].children
                for c in collections.flatten([child], set(CollectionType))
            }
            assert name not in below
    assert sum(len(r.refused) for r in results) >= 1
    assert_clean(repository)


def test_certifications_never_overlap(repository: Repository, client: Client) -> None:
    results = strive(repository, client, "certify", 10)

    with reading(repository) as session:
        assert check_certifications(session).problems == ()
        table = session.table("dataset_calibs_00000001")
        held = session.scalar(sa.select(sa.func.count()).select_from(table))
    # For each turn one at most; those who came later were told.
    assert held == sum(len(r.done) for r in results)
    assert 5 <= held <= 10
    assert sum(len(r.refused) for r in results) == MANY * 10 - held
    assert_clean(repository)


def test_all_who_register_get_the_one_dataset_type(repository: Repository, client: Client) -> None:
    results = strive(repository, client, "register", 8)

    assert [r.refused for r in results] == [[]] * MANY
    assert [r.done for r in results] == [[f"type{i}" for i in range(8)]] * MANY
    with reading(repository) as session:
        assert set(load_dataset_types(session)) == {"bias", *(f"type{i}" for i in range(8))}
        assert {f"new/{i}" for i in range(8)} <= set(load_collections(session))
    assert_clean(repository)


def test_insertion_and_removal_in_one_run_leave_no_orphan(repository: Repository, client: Client) -> None:
    strive(repository, client, "run", 10)

    with reading(repository) as session:
        report = find_orphans(session)
        assert report.clean, report
        dataset, tags = session.table("dataset"), session.table("dataset_tags_00000001")
        untagged = ~sa.exists().where(tags.c.dataset_id == dataset.c.id)
        assert session.rows(sa.select(dataset.c.id).where(untagged)) == []
    assert_clean(repository)


def test_everything_at_once_leaves_nothing_half_done(repository: Repository, client: Client) -> None:
    results = strive(repository, client, "mix", STRIFE)

    done = Counter(name for result in results for name in result.done)
    assert done["put"] > MANY, done
    # Whoever is refused is told why, and the database's own words are not among that.
    told = [text for n, result in enumerate(results) for text in result.refused if n not in CLIENTS]
    assert [text for text in told if "the database says" in text] == []
    with reading(repository) as session:
        assert [o for o in find_orphans(session, files=True).found if not o.harmless] == []
        assert check_certifications(session).problems == ()
    assert_clean(repository)
