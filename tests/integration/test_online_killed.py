"""Online migrations of several steps that are killed anywhere: they go on, or they go back to where they began."""

from __future__ import annotations

import contextlib
import json
import random
from typing import TYPE_CHECKING

import pytest

from registrytool.database import Database
from registrytool.errors import RegistryBusyError
from registrytool.online.operation import OnlineOptions, abort_online, migrate_online
from registrytool.repository import open_repository
from registrytool.state import LOG_PREFIX, ONLINE_RUN, read_attributes
from tests.integration import test_online
from tests.integration.test_crash import CRASHES, SEED
from tests.integration.test_online import QUICK, connected, content, everything, in_the_way, twin_of
from tests.support.killing import killed_at, points_of
from tests.support.registries import assert_clean

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

online_place, many = test_online.online_place, test_online.many

#: Two steps of dimensions come first, then that of datasets.
TARGETS = ("dimensions=6.0.2", "datasets=2.0.0")


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
    many: Repository, postgres: PostgresServer, run: Run
) -> None:
    start = without_log(many)
    options = [word for target in TARGETS for word in ("--to", target)]
    command = ("--online", *options, "--yes", "--batch-rows", "500", "--pause", "0")
    whole = twin_of(many, postgres)
    points = points_of("migrate", *words_of(whole), *command)
    end = without_log(whole)
    begun = next(n for n, point in enumerate(points, start=1) if point.startswith("INSERT INTO"))
    chance = random.Random(SEED)  # noqa: S311
    count = max(4, CRASHES)
    length = (len(points) - begun) // count
    moments = [begun + 1 + length * number + chance.randrange(length) for number in range(count)]

    for number, moment in enumerate(moments):
        subject = twin_of(many, postgres)
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


def stopped_by_a_reader(repository: Repository, table: str, *targets: str) -> None:
    """Migrate online until a step that changes a table that somebody reads."""
    with in_the_way(repository, f"SELECT count(*) FROM {table}"), pytest.raises(RegistryBusyError):
        migrate_online(repository, OnlineOptions(targets=targets, pace=QUICK, wait_s=0.2))


def test_going_back_undoes_the_steps_that_are_finished_as_well(many: Repository) -> None:
    start = without_log(many)
    stopped_by_a_reader(many, "dataset", *TARGETS)
    with Database.of(many).read() as connection:
        record = json.loads(read_attributes(connection, many.namespace)[ONLINE_RUN])
    assert len(record["finished"]) == 2

    report = abort_online(many, OnlineOptions(pace=QUICK))

    assert report.aborted == record["step"]
    assert report.stays is None
    assert len(report.steps) == 2
    assert without_log(many) == start
    assert_clean(many)


def test_a_step_that_cannot_be_undone_without_a_loss_stays_and_is_named(many: Repository, run: Run) -> None:
    stopped_by_a_reader(many, "instrument", "datasets=2.0.0", "dimensions-config=5")
    with contextlib.closing(connected(many)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE dataset SET ingest_date = ingest_date + 1 WHERE ingest_date % 2 = 0")
        count = cursor.rowcount

    outcome = run("migrate", *words_of(many), "--abort")

    assert outcome.exit_code == 0, outcome.stderr
    name = "ByDimensionsDatasetRecordStorageManagerUUID"
    shown = open_repository(words_of(many)[0]).name
    assert outcome.stdout.splitlines() == [
        f"{shown}: what was built for dimensions-config daf_butler 4 -> 5 is taken away.",
        (
            f"datasets={name}/2.0.0 stays, since going back online is refused (The step datasets {name} 2.0.0 -> 1.0.0 "
            f"would lose the nanoseconds of the ingest dates of {count} datasets); 'registrytool migrate {shown} --to "
            f"datasets={name}/1.0.0' does it while the repository is closed."
        ),
    ]
    assert_clean(many)
    with Database.of(many).read() as connection:
        assert ONLINE_RUN not in read_attributes(connection, many.namespace)
