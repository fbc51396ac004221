"""Online migrations of several steps that are killed anywhere: they go on, or they go back to where they began."""

from __future__ import annotations

import contextlib
import json
import random
from typing import TYPE_CHECKING

import pytest

from registrytool.database import Database
from registrytool.errors import RegistryBusyError
from registrytool.online.engine import Pace
from registrytool.online.operation import OnlineOptions, abort_online, migrate_online
from registrytool.repository import open_repository
from registrytool.state import LOG_PREFIX, ONLINE_RUN, read_attributes
from tests.integration import test_online
from tests.integration.test_crash import CRASHES, SEED, fill_registry
from tests.integration.test_online import QUICK, connected, content, everything, in_the_way, twin_of
from tests.support.killing import killed_at, points_of
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place, Run
    from tests.support.postgres import PostgresServer

online_place = test_online.online_place

#: Two steps of dimensions come first, then that of datasets.
TARGETS = ("dimensions=6.0.2", "datasets=2.0.0")


@pytest.fixture
def few(online_place: Place) -> Repository:
    """Make a registry of datasets 1.0.0 and dimensions 6.0.0."""
    repository = make(online_place, "w_2023_32", "dimensions=6.0.0")
    fill_registry(online_place.url, online_place.namespace, 400)
    return repository


def without_log(repository: Repository) -> tuple[object, ...]:
    """Read all that there is but the log, which tells of what was undone too."""
    structure, attributes, others = everything(repository)
    return structure, {n: v for n, v in attributes.items() if not n.startswith(LOG_PREFIX)}, others, rows(repository)


def rows(repository: Repository) -> object:
    return {name: found for name, found in content(repository).items() if name != "butler_attributes"}


def words_of(repository: Repository) -> tuple[str, ...]:
    return (repository.url.render_as_string(hide_password=False), "--namespace", str(repository.namespace))


@pytest.mark.slow
def test_a_run_of_several_steps_that_is_killed_goes_on_or_goes_back_to_the_start(
    few: Repository, postgres: PostgresServer, run: Run
) -> None:
    start = without_log(few)
    options = [word for target in TARGETS for word in ("--to", target)]
    command = ("--online", *options, "--yes", "--batch-rows", "100", "--pause", "0")
    whole = twin_of(few, postgres)
    points = points_of("migrate", *words_of(whole), *command)
    end = without_log(whole)
    begun = next(n for n, point in enumerate(points, start=1) if point.startswith("INSERT INTO"))
    chance = random.Random(SEED)  # noqa: S311
    count = max(3, CRASHES)
    length = (len(points) - begun) // count
    moments = [begun + 1 + length * number + chance.randrange(length) for number in range(count)]

    for number, moment in enumerate(moments):
        subject = twin_of(few, postgres)
        assert killed_at(moment, "migrate", *words_of(subject), *command)
        when = f"killed before {points[moment - 1]} ({moment} of {len(points)})"

        # The first rows are written by the run itself, but for those before which it may be killed as well.
        outcome = run("migrate", *words_of(subject), "--abort" if number % 2 else "--resume")

        if outcome.exit_code:
            assert "There is no online migration of" in outcome.stderr, when
            assert without_log(subject) in (start, end), when
        else:
            assert without_log(subject) == (start if number % 2 else end), when
        assert_clean(subject)
        postgres.drop_database(subject.url.render_as_string(hide_password=False))
    postgres.drop_database(whole.url.render_as_string(hide_password=False))


@pytest.mark.slow
def test_going_back_can_be_killed_anywhere_and_repeated(few: Repository, postgres: PostgresServer, run: Run) -> None:
    start = without_log(few)
    # Two steps are finished, the third is built.
    stopped_by_a_reader(few, "dataset", *TARGETS)
    whole = twin_of(few, postgres)
    points = points_of("migrate", *words_of(whole), "--abort")
    assert without_log(whole) == start
    chance = random.Random(SEED)  # noqa: S311
    length = len(points) // 3
    command = ("migrate", *words_of(few), "--abort")

    killed = [moment for part in range(3) if killed_at(moment := length * part + chance.randint(1, length), *command)]

    # What is done already is not done again, so that the last one may come to its end.
    assert len(killed) >= 2
    outcome = run(*command)
    assert outcome.exit_code == 0 or "There is no online migration of" in outcome.stderr, outcome.stderr
    assert without_log(few) == start, [points[moment - 1] for moment in killed]
    assert_clean(few)
    postgres.drop_database(whole.url.render_as_string(hide_password=False))


def stopped_by_a_reader(repository: Repository, table: str, *targets: str) -> None:
    """Migrate online until a step that changes a table that somebody reads."""
    with in_the_way(repository, f"SELECT count(*) FROM {table}"), pytest.raises(RegistryBusyError):
        migrate_online(repository, OnlineOptions(targets=targets, pace=QUICK, wait_s=0.2))


def test_going_back_undoes_the_steps_that_are_finished_as_well(few: Repository) -> None:
    start = without_log(few)
    stopped_by_a_reader(few, "dataset", *TARGETS)
    with Database.of(few).read() as connection:
        record = json.loads(read_attributes(connection, few.namespace)[ONLINE_RUN])
    assert len(record["finished"]) == 2

    report = abort_online(few, OnlineOptions(pace=QUICK))

    assert report.aborted == record["step"]
    assert report.stays is None
    assert len(report.steps) == 2
    assert without_log(few) == start
    assert_clean(few)


def test_a_step_that_cannot_be_undone_without_a_loss_stays_and_is_named(few: Repository, run: Run) -> None:
    stopped_by_a_reader(few, "instrument", "datasets=2.0.0", "dimensions-config=5")
    with contextlib.closing(connected(few)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE dataset SET ingest_date = ingest_date + 1 WHERE ingest_date % 2 = 0")
        count = cursor.rowcount

    outcome = run("migrate", *words_of(few), "--abort")

    assert outcome.exit_code == 0, outcome.stderr
    name = "ByDimensionsDatasetRecordStorageManagerUUID"
    shown = open_repository(words_of(few)[0]).name
    assert outcome.stdout.splitlines() == [
        f"{shown}: what was built for dimensions-config daf_butler 4 -> 5 is taken away.",
        (
            f"datasets={name}/2.0.0 stays, since going back online is refused (The step datasets {name} 2.0.0 -> 1.0.0 "
            f"would lose the nanoseconds of the ingest dates of {count} datasets); 'registrytool migrate {shown} --to "
            f"datasets={name}/1.0.0' does it while the repository is closed."
        ),
    ]
    assert_clean(few)
    with Database.of(few).read() as connection:
        assert ONLINE_RUN not in read_attributes(connection, few.namespace)


def test_the_pace_is_kept(few: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("registrytool.online.engine.time.sleep", pauses.append)

    migrate_online(few, OnlineOptions(targets=("datasets=2.0.0",), pace=Pace(batch_rows=100, pause_s=12.5)))

    # 400 datasets: after each full batch; the one after them finds nothing.
    assert pauses.count(12.5) == 4
    assert_clean(few)
