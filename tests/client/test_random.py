"""Claims that hold for whatever is done and asked: seeded random operations and conditions, by us and by the client.

Each operation is done in one copy of a repository with registrytool and in another one through the client's Python
API; each condition is a question to both about one repository.  ``REGISTRYTOOL_RANDOM`` says how many times as much is
tried, and ``REGISTRYTOOL_RANDOM_SEED`` what.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.maintain.find import Query, find_datasets, plan_search
from registrytool.maintain.record_reading import iter_records
from registrytool.maintain.session import reading
from tests.support.equivalence import repository_of
from tests.support.random_conditions import Conditions
from tests.support.random_steps import Known, Step, steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.equivalence import MakeTwins, Twins

TIMES = int(os.environ.get("REGISTRYTOOL_RANDOM", "1"))
SEED = int(os.environ.get("REGISTRYTOOL_RANDOM_SEED", "20261130"))
STEPS, CONDITIONS = 30, 200

ALL_DATASETS = """
stored = {str(row["dataset_id"]) for row in butler._datastore._table.fetch()}
answer = [
    (str(r.id), r.datasetType.name, r.run, str(r.id) in stored)
    for t in registry.queryDatasetTypes()
    for r in butler.query_datasets(t, "*", find_first=False, limit=None, explain=False)
]
"""
#: What each program raises, or nothing.
IN_TURN = """
answer = []
for program in programs:
    try:
        exec(program)
    except Exception as error:
        # It trips over collections that have none of the type, where there is nothing to be taken away.
        trips = "Calibration primary key for internal use only" in str(error)
        answer.append(None if trips else f"{type(error).__name__}: {error}")
        registry.refresh()
    else:
        answer.append(None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(TIMES))
def test_what_is_done_at_random_is_what_the_client_does(turn: int, twins: MakeTwins, tmp_path: Path) -> None:
    two = twins(*((), ("--name-key", "--datasets-version", "1.0.0"))[turn % 2])
    datasets = sorted({tuple(row) for row in two.client(ALL_DATASETS)})
    drawn = steps(Random(f"{SEED} {turn}"), STEPS, [Known(*row) for row in datasets], tmp_path)  # noqa: S311 (no secret)
    ours = [done_by_us(two, step) for step in drawn]
    theirs = two.client(f"programs = {[step.program for step in drawn]!r}{IN_TURN}")

    for number, (step, refused, raised) in enumerate(zip(drawn, ours, theirs, strict=True)):
        assert (refused is None) is (raised is None), f"step {number}: {step}\nwe: {refused}\nthey: {raised}"
    assert None in theirs
    two.assert_changed()
    two.assert_same()
    assert two.check("dataset", "orphans", "{repo}", "--files").exit_code == 0


def done_by_us(two: Twins, step: Step) -> str | None:
    """Carry out a step; return what is said if it is refused."""
    for words in step.words:
        done = two.run(*[str(two.ours.folder) if word == "{repo}" else word for word in words])
        if done.exit_code != 0:
            assert done.exit_code in (2, 3, 4), done
            return done.stderr
    return None


PLACES = {
    "raw": (("HSC", "LSSTCam"), ("HSC/raw/all", "LSSTCam/raw/all")),
    "calexp": (("HSC", "LSSTCam"), ("u/ann/best", "u/ann/chain", "u/ann/run/2", "u/ann/chain/outer")),
    "deepCoadd": (("discrete", "rings_v1"), ("coadds/ü/“deep”", "u/ann/chain/outer")),
}


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(TIMES))
def test_what_is_asked_at_random_finds_what_the_client_finds(turn: int, twins: MakeTwins) -> None:
    two = twins()
    random = Random(f"{SEED} {turn}")  # noqa: S311 (no secret)
    values = values_of(two)
    questions = []
    for _ in range(CONDITIONS):
        name = random.choice(sorted(PLACES))
        governors, places = PLACES[name]
        where = Conditions(random, name, values).draw(random.choice(governors))
        questions.append((name, random.sample(places, random.randint(1, 2)), where, random.random() < 0.5))
    theirs = two.client_in_ours(f"""
answer = [
    sorted({{str(r.id) for r in butler.query_datasets(n, c, where=w, find_first=f, limit=None, explain=False)}})
    for n, c, w, f in {questions!r}
]
""")
    with reading(repository_of(two.ours)) as session:
        for (name, chosen, where, first), found in zip(questions, theirs, strict=True):
            search = plan_search(session, Query((name,), tuple(chosen), where, first))
            assert sorted(str(d.id) for d in find_datasets(session, search)) == found, (name, chosen, where, first)
    # Most find something, and less than all.
    assert len([ids for ids in theirs if ids]) > CONDITIONS // 3


def values_of(two: Twins) -> dict[str, list[Any]]:
    """Return values of records, by kind."""
    with reading(repository_of(two.ours)) as session:
        rows = [row for element in ("exposure", "visit", "patch") for row in iter_records(session, element)]
        ingested = set(session.connection.scalars(sa.select(session.table("dataset").c.ingest_date)))
    found = {
        "whole": {row[n] for row in rows for n in ("id", "seq_num", "day_obs", "tract") if row.get(n) is not None}
        | {0, 1},
        "real": {row[n] for row in rows for n in ("exposure_time", "zenith_angle") if row.get(n) is not None},
        "text": {
            row[n] for row in rows for n in ("name", "physical_filter", "observation_type", "skymap") if row.get(n)
        }
        | {"g", "r", "u/ann/run/2", "u/ann/best", "SCIENCE"},
        "time": {row["timespan"].begin_ns for row in rows if row.get("timespan")} | ingested,
    }
    return {kind: sorted(v for v in some if "'" not in str(v)) for kind, some in found.items()}
