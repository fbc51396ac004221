"""Online migrations: what others write meanwhile is kept, whatever is killed, and going back leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.inspection import inspect
from registrytool.introspect import read_structure
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.session import change
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.online.engine import Pace
from registrytool.online.operation import OnlineOptions, abort_online, migrate_online, resume_online
from registrytool.online.record import new_record
from registrytool.repository import open_repository
from registrytool.state import read_attributes
from registrytool.verify import verify_registry
from tests.integration.test_crash import fill_registry as fill_datasets
from tests.support import forks
from tests.support.places import ODD_NAMESPACE, Place
from tests.support.registries import assert_clean, make
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from registrytool.structure import Structure
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

CATALOG = Catalog.find()
QUICK = Pace(batch_rows=500, pause_s=0.0)


@pytest.fixture
def online_place(postgres: PostgresServer, tmp_path: Path) -> Iterator[Place]:
    url = postgres.new_database()
    folder = tmp_path / "repo"
    folder.mkdir()
    yield Place("postgresql", url, ODD_NAMESPACE, folder)
    postgres.drop_database(url)


def twin_of(repository: Repository, server: PostgresServer) -> Repository:
    url = server.new_database(repository.url.render_as_string(hide_password=False))
    return open_repository(url, namespace=repository.namespace)


def content(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    return {name: table.of(sorted(table.columns)) for name, table in read_content(repository).items()}


def everything(repository: Repository) -> tuple[Structure, dict[str, str], list[tuple[Any, ...]]]:
    """Read structure, attributes, and the triggers and functions that no structure shows."""
    database = Database.of(repository)
    with database.read() as connection:
        others = connection.execute(
            sa.text(
                "SELECT proname FROM pg_proc WHERE pronamespace = CAST(:n AS regnamespace) UNION ALL "
                "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            ),
            {"n": connection.dialect.identifier_preparer.quote(str(database.namespace))},
        )
        return (
            read_structure(connection, database.namespace),
            read_attributes(connection, database.namespace),
            [tuple(r) for r in others],
        )


def filled(place: Place, *targets: str) -> Repository:
    repository = make(place, *targets)
    fill_registry(repository)
    return repository


@pytest.mark.parametrize(
    ("start", "target"),
    [
        ("datasets=1.0.0", "datasets=2.0.0"),
        ("datasets=2.0.0", "datasets=1.0.0"),
        ("dimensions=6.0.0", "dimensions=6.0.2"),
        ("dimensions=6.0.2", "dimensions=6.0.0"),
        ("datastores=0.2.0", "datastores=0.2.1"),
        ("dimensions-config=6", "dimensions-config=8"),
        ("dimensions-config=4", "dimensions-config=5"),
        ("attributes=1.0.0", "attributes=1.0.1"),
    ],
)
def test_an_online_run_gives_the_same_as_a_closed_one(
    start: str, target: str, online_place: Place, postgres: PostgresServer
) -> None:
    repository = make(online_place, start)
    fill_registry(repository, never_null=_implied(repository))
    twin = twin_of(repository, postgres)
    apply_migration(twin, MigrateOptions(targets=(target,), accept_loss=True, backup=False))

    report = migrate_online(repository, OnlineOptions(targets=(target,), accept_loss=True, pace=QUICK))

    assert len(report.steps) >= 1
    assert_clean(repository)
    assert content(repository) == content(twin)
    ours, wanted = everything(repository), everything(twin)
    assert ours[0].tables.keys() == wanted[0].tables.keys()
    assert [n for n in ours[1] if n.startswith("registrytool.online")] == []
    assert ours[2] == wanted[2]
    postgres.drop_database(twin.url.render_as_string(hide_password=False))


def _implied(repository: Repository) -> set[tuple[str, str]]:
    from registrytool.universe import Universe

    with Database.of(repository).read() as connection:
        recorded = inspect(connection, repository.namespace, CATALOG, where="the test").recorded
    return {(e.name, name) for e in Universe(recorded.universe) for name in e.implied}


# -- with others ------------------------------------------------------------------


def connected(repository: Repository) -> psycopg2.extensions.connection:
    url = repository.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(url, application_name="an old client")
    quoted = str(repository.namespace).replace('"', '""')
    with connection.cursor() as cursor:
        cursor.execute(f'SET search_path TO "{quoted}"')
    connection.commit()
    return connection


@pytest.fixture
def many(online_place: Place) -> Repository:
    """Make a registry of datasets 1.0.0 and dimensions 6.0.0 with 3000 datasets."""
    repository = make(online_place, "w_2023_32", "dimensions=6.0.0")
    fill_datasets(online_place.url, online_place.namespace, 3000)
    return repository


class OldWriter(threading.Thread):
    """Stores, dates anew and removes datasets as clients of datasets 1.0.0 do, until it is told to stop."""

    def __init__(self, repository: Repository) -> None:
        super().__init__()
        self.connection = connected(repository)
        self.expected: dict[str, str] = {}
        self.stopped = threading.Event()
        self.error: Exception | None = None
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute("SELECT id::text, dataset_type_id, run_id, ingest_date::text FROM dataset ORDER BY id")
            rows = cursor.fetchall()
        self.expected = {row[0]: row[3] for row in rows}
        self.old = [row[0] for row in rows]
        self.written = 0
        self.kind, self.run_key = rows[0][1], rows[0][2]

    def run(self) -> None:
        number = 0
        try:
            while not self.stopped.is_set():
                with self.connection, self.connection.cursor() as cursor:
                    number += 1
                    self._write(cursor, number)
                self.written = number
                time.sleep(0.001)
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            self.error = error

    def _write(self, cursor: Any, number: int) -> None:
        new = str(uuid.uuid4())
        date = f"2024-02-{number % 28 + 1:02d} 12:00:00.{number:06d}"
        cursor.execute(
            "INSERT INTO dataset (id, dataset_type_id, run_id, ingest_date) VALUES (%s, %s, %s, %s) "
            "RETURNING ingest_date::text",
            (new, self.kind, self.run_key, date),
        )
        (self.expected[new],) = cursor.fetchone()
        other = self.old[number * 7 % len(self.old)]
        if other in self.expected:
            cursor.execute(
                "UPDATE dataset SET ingest_date = %s WHERE id = %s RETURNING ingest_date::text", (date, other)
            )
            (self.expected[other],) = cursor.fetchone()
        gone = self.old[number * 11 % len(self.old)]
        if number % 3 == 0 and gone in self.expected:
            cursor.execute("DELETE FROM dataset_location WHERE dataset_id = %s", (gone,))
            cursor.execute("DELETE FROM file_datastore_records WHERE dataset_id = %s", (gone,))
            cursor.execute("DELETE FROM dataset WHERE id = %s", (gone,))
            del self.expected[gone]
        # Defaults are the business of the database, as for every client of that version.
        cursor.execute(
            "INSERT INTO dataset (id, dataset_type_id, run_id) VALUES (%s, %s, %s) RETURNING ingest_date::text",
            (str(uuid.uuid4()), self.kind, self.run_key),
        )

    def stop(self) -> None:
        self.stopped.set()
        self.join()
        self.connection.close()
        if self.error is not None:
            raise self.error


def dates(repository: Repository) -> dict[str, str]:
    """Read all ingest dates as timestamps: since 2017, TAI is 37 s ahead."""
    with contextlib.closing(connected(repository)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text, (timestamp '1970-01-01' + ((ingest_date - 37000000000) / 1000) * interval "
            "'1 microsecond')::text FROM dataset"
        )
        return dict(cursor.fetchall())


def test_nothing_that_old_clients_write_meanwhile_is_lost(many: Repository) -> None:
    writer = OldWriter(many)
    options = OnlineOptions(targets=("datasets=2.0.0",), pace=Pace(100, 0.02), hold=True)
    writer.start()
    held = migrate_online(many, options)
    assert held.held is not None
    so_far = writer.written
    await_true(lambda: writer.written > so_far + 20 or not writer.is_alive())
    writer.stop()
    assert len(writer.expected.keys() - set(writer.old)) > 10
    late = OldWriter(many)
    late.expected = writer.expected
    late.start()
    await_true(lambda: late.written > 5 or not late.is_alive())
    late.stop()

    report = resume_online(many)

    assert report.steps == ("datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0",)
    assert_clean(many)
    found = dates(many)
    assert {k: v for k, v in found.items() if k in late.expected} == late.expected
    assert not {k for k in writer.old if k not in late.expected} & found.keys()


def test_a_client_that_writes_during_the_exchange_waits_and_then_meets_the_new_version(many: Repository) -> None:
    migrate_online(many, OnlineOptions(targets=("datasets=2.0.0",), hold=True))
    writer = OldWriter(many)
    writer.start()

    resume_online(many)

    with pytest.raises(psycopg2.Error, match="invalid input syntax for type bigint"):
        writer.stop()
    found = dates(many)
    assert {k: v for k, v in found.items() if k in writer.expected}.keys() <= writer.expected.keys()
    assert_clean(many)


# -- what it says of itself ---------------------------------------------------------


@pytest.mark.slow
def test_a_held_migration_is_named_everywhere_and_others_are_refused(
    many: Repository, online_place: Place, run: Run
) -> None:
    words = (online_place.url, "--namespace", online_place.namespace)
    begun = run("migrate", *words, "--online", "--hold-contract", "--to", "datasets=2.0.0", "--yes")
    assert begun.exit_code == 0, begun.stderr
    step = "datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0"
    shown = open_repository(online_place.url).name
    assert begun.stdout == f"{step} is ready for its exchange: 'registrytool migrate {shown} --resume' finishes.\n"

    status = run("status", *words)
    assert f"step {step}, held before its exchange; 'registrytool migrate {shown} --resume' goes on" in status.stdout
    verify = json.loads(run("verify", *words, "--format", "json").stdout)
    assert {d["drift"] for d in verify["differences"]} == {"online-migration"}
    assert verify["unknown"] == 0
    assert verify["notes"] == []
    sentence = (
        f"Error: An online migration of {shown} is under way (step {step}, held before its exchange). Finish it with "
        f"'registrytool migrate {shown} --resume', or go back with 'registrytool migrate {shown} --abort'."
    )
    for command in (
        ("migrate", "--yes", "--no-backup"),
        ("migrate", "--plan"),
        ("migrate", "--sql"),
        ("migrate", "--online"),
        ("verify", "--repair", "--yes", "--no-backup"),
        ("stamp",),
    ):
        outcome = run(command[0], *words, *command[1:])
        assert (outcome.exit_code, outcome.stdout) == (3, ""), command
        assert outcome.stderr.splitlines()[-1] == sentence, command

    assert run("migrate", *words, "--resume").exit_code == 0
    assert run("verify", *words).exit_code == 0
    log = run("log", *words).stdout
    assert step in log
    for option in ("--resume", "--abort"):
        assert run("migrate", *words, option) == (
            3,
            "",
            f"Error: There is no online migration of {shown} under way. 'registrytool migrate --online' begins one.\n",
        )


@pytest.mark.parametrize("target", ["datasets=2.0.0", "dimensions=6.0.2"])
def test_going_back_leaves_everything_exactly_as_it_was(many: Repository, target: str) -> None:
    before, rows = everything(many), content(many)
    migrate_online(many, OnlineOptions(targets=(target,), hold=True, pace=QUICK))
    assert everything(many)[0] != before[0]

    report = abort_online(many)

    assert report.aborted is not None
    assert everything(many) == before
    assert content(many) == rows


def test_steps_that_cannot_run_online_are_refused_before_the_first_write(online_place: Place, run: Run) -> None:
    repository = make(online_place, "w_2022_12")
    before = everything(repository)
    words = (online_place.url, "--namespace", online_place.namespace, "--online", "--set", "has_simulated=0")

    outcome = run("migrate", *words)

    assert (outcome.exit_code, outcome.stdout) == (3, "")
    said = outcome.stderr.splitlines()[-1]
    assert said.startswith(
        "Error: 2 of the steps cannot run online: dimensions-config daf_butler 1 -> 2: it changes rows"
    )
    assert "; dimensions-config daf_butler 5 -> 6: it changes rows of day_obs, group, visit by statements" in said
    assert said.endswith("--to plans to the version before.")
    assert everything(repository) == before


def test_online_is_refused_on_sqlite(run: Run, tmp_path: Path) -> None:
    run("create", tmp_path / "repo")
    assert run("migrate", tmp_path / "repo", "--online") == (
        2,
        "",
        (
            f"Error: {tmp_path / 'repo'} is on SQLite, where a migration keeps everybody else out. "
            "Migrate it without --online.\n"
        ),
    )


def test_known_drift_is_repaired_online_first(many: Repository) -> None:
    with contextlib.closing(connected(many)) as connection, connection, connection.cursor() as cursor:
        # An unchecked key, a constraint that is missing, and what an interrupted concurrent build has left.
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND "
            "conrelid = 'dataset'::regclass AND confrelid = 'dataset_type'::regclass"
        )
        ((name, definition),) = cursor.fetchall()
        cursor.execute(f"ALTER TABLE dataset DROP CONSTRAINT {name}")
        cursor.execute(f"ALTER TABLE dataset ADD CONSTRAINT {name} {definition} NOT VALID")
        cursor.execute("ALTER TABLE collection DROP CONSTRAINT collection_unq_name")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dataset_fkidx_run_id'::regclass")
    kinds = {d.drift for d in verify_registry(many).differences}
    assert kinds == {"constraint-not-validated", "collection-name-not-unique", "invalid-index"}

    report = migrate_online(many, OnlineOptions(targets=("datasets=2.0.0",), pace=QUICK))
    assert report.steps[0] == "repair of known drift"
    assert_clean(many)


def test_the_leftover_of_an_interrupted_index_build_is_built_again(many: Repository) -> None:
    migrate_online(many, OnlineOptions(targets=("dimensions=6.0.1",), hold=True))
    with contextlib.closing(connected(many)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false FROM pg_class AS c "
            "WHERE c.oid = indexrelid AND c.relname LIKE 'registrytool%'"
        )
        assert cursor.rowcount > 1
    resume_online(many)
    assert_clean(many)


def test_tables_that_others_make_meanwhile_are_migrated_too(online_place: Place) -> None:
    repository = make(online_place, "dimensions-config=4")
    report = migrate_online(repository, OnlineOptions(targets=("dimensions-config=5",), hold=True))
    assert report.held == "dimensions-config daf_butler 4 -> 5"

    change(
        repository,
        "register a dataset type",
        lambda session: ensure_dataset_type(session, "late", ["instrument", "detector"], "Thing"),
    )
    resume_online(repository)

    assert_clean(repository)
    with Database.of(repository).read() as connection:
        table = read_structure(connection, repository.namespace).tables
    late = [t for n, t in table.items() if n.startswith("dataset_tags_") and set(t.columns) == LATE]
    assert [t.columns["instrument"].type for t in late] == ["character varying(32)"]


LATE = {"dataset_type_id", "dataset_id", "collection_id", "instrument", "detector"}


def test_the_plan_says_what_can_run_online(online_place: Place, run: Run) -> None:
    repository = make(online_place, "w_2023_32")
    words = (online_place.url, "--namespace", online_place.namespace, "--plan")
    plan = json.loads(run("migrate", *words, "--format", "json").stdout)
    found = {
        (work["step"]["component"], work["step"]["end"]["version"]): (work["online"], work["obstacles"])
        for work in plan["work"]
    }
    assert found["datasets", "2.0.0"] == (True, [])
    assert found["dimensions-config", "5"] == (True, [])
    online, obstacles = found["dimensions-config", "6"]
    assert not online
    assert obstacles[0].startswith("it changes rows of ")
    text = run("migrate", *words).stdout
    assert "  can run online, while others read and write: --online\n" in text
    assert f"  cannot run online: {', and '.join(obstacles)}\n" in text
    assert repository.dialect == "postgresql"


def test_switching_to_uuids_is_refused_with_the_reason(online_place: Place, run: Run) -> None:
    repository = make(online_place, "w_2021_10")
    before = everything(repository)
    target = "datasets=ByDimensionsDatasetRecordStorageManagerUUID/1.0.0"
    outcome = run("migrate", online_place.url, "--namespace", online_place.namespace, "--online", "--to", target)
    assert outcome.exit_code == 3
    said = outcome.stderr.splitlines()[-1]
    assert said.startswith("Error: 1 of the steps cannot run online: datasets ")
    assert "other tables refer to dataset by its primary key, which changes" in said
    assert everything(repository) == before


# -- locks and crashes --------------------------------------------------------------


def started(repository: Repository, *words: str) -> forks.Forked:
    url = repository.url.render_as_string(hide_password=False)
    return forks.Forked(forks.registrytool, "registrytool", "migrate", url, "--namespace", repository.namespace, *words)


def phase_of(repository: Repository) -> str:
    with Database.of(repository).read() as connection:
        record = read_attributes(connection, repository.namespace).get("registrytool.online.run", "{}")
    return str(json.loads(record).get("phase"))


def await_true(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


@contextlib.contextmanager
def in_the_way(repository: Repository, statement: str) -> Iterator[None]:
    with contextlib.closing(connected(repository)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        yield
        connection.rollback()


def rows_filled(repository: Repository) -> int:
    with Database.of(repository).read() as connection:
        attributes = read_attributes(connection, repository.namespace)
    return int(json.loads(attributes.get("registrytool.online.filled.dataset", '{"rows": 0}'))["rows"])


#: Phase in which the run is killed, target, and what another session does to keep it there.
MOMENTS = {
    "expand": ("datasets=2.0.0", "SELECT count(*) FROM dataset"),
    "backfill": ("datasets=2.0.0", None),
    "build": ("dimensions=6.0.1", "LOCK TABLE visit_skypix_overlap IN ROW EXCLUSIVE MODE"),
    "exchange": ("datasets=2.0.0", "SELECT count(*) FROM run"),
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ["resume", "abort"])
@pytest.mark.parametrize("phase", MOMENTS)
def test_a_run_that_is_killed_goes_on_or_goes_back(many: Repository, phase: str, end: str) -> None:
    target, statement = MOMENTS[phase]
    before, rows = everything(many), content(many)
    if phase == "exchange":
        migrate_online(many, OnlineOptions(targets=(target,), hold=True, pace=QUICK))
        statement, words = "SELECT count(*) FROM dataset", ["--resume"]
    else:
        words = ["--online", "--to", target, "--yes", "--batch-rows", "100", "--pause", "0.05"]
    with in_the_way(many, statement or "SELECT 1"):
        process = started(many, *words)
        await_true(lambda: phase_of(many) == phase)
        if phase == "backfill":
            await_true(lambda: rows_filled(many) >= 300)
        else:
            time.sleep(0.5)
        assert phase_of(many) == phase
        process.kill()
        process.communicate(timeout=30)

    if end == "abort":
        abort_online(many)
        assert everything(many) == before
        assert content(many) == rows
        return
    resume_online(many, OnlineOptions(pace=QUICK))
    assert_clean(many)
    with Database.of(many).read() as connection:
        version = inspect(connection, many.namespace, CATALOG, where="the test").recorded.state[
            target.partition("=")[0]
        ]
    assert version.version == target.partition("=")[2]
    assert everything(many)[2] == before[2]


def test_who_is_in_the_way_is_listed_and_the_run_can_go_on(many: Repository, online_place: Place, run: Run) -> None:
    words = (online_place.url, "--namespace", online_place.namespace)
    with in_the_way(many, "SELECT count(*) FROM dataset"):
        outcome = run("migrate", *words, "--online", "--to", "datasets=2.0.0", "--yes", "--wait", "0.3")
    assert outcome.exit_code == 3
    *_, listed, said = outcome.stderr.splitlines()
    assert listed.startswith("In the way: session ")
    assert re.search(r"\(an old client\), in its transaction for \d+ s, holds AccessShareLock on dataset\.$", listed)
    assert said.endswith("Run it again with --resume when they have finished; --wait says how long it tries.")
    assert run("migrate", *words, "--resume").exit_code == 0
    assert_clean(many)


def test_a_second_online_run_is_refused(many: Repository, online_place: Place, run: Run) -> None:
    with Database.of(many).online("stay", wait_s=1):
        outcome = run(
            "migrate", online_place.url, "--namespace", online_place.namespace, "--online", "--yes", "--wait", "0"
        )
    assert outcome.exit_code == 3
    assert " stay) holds the lock. Wait until it has finished" in outcome.stderr.splitlines()[-1]


def test_a_run_that_begins_after_another_migration_goes_back_to_what_that_left(
    many: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "registrytool.online.operation.new_record"

    def migrated_meanwhile(*words: Any, **more: Any) -> Any:
        monkeypatch.setattr(name, new_record)
        record = new_record(*words, **more)
        apply_migration(many, MigrateOptions(targets=("dimensions=6.0.1",), backup=False))
        return record

    monkeypatch.setattr(name, migrated_meanwhile)
    report = migrate_online(many, OnlineOptions(targets=("dimensions=6.0.2",), hold=True))
    assert report.held is not None
    assert report.held.endswith(" 6.0.1 -> 6.0.2")

    resume_online(many, OnlineOptions(hold=True))
    with Database.of(many).read() as connection:
        record = json.loads(read_attributes(connection, many.namespace)["registrytool.online.run"])
    assert record["start"] == ["dimensions=StaticDimensionRecordStorageManager/6.0.1"]


@pytest.mark.parametrize("moment", ["in a run", "where each query sees a moment of its own"])
def test_a_table_that_others_make_while_the_structure_is_read_is_no_crash(many: Repository, moment: str) -> None:
    made: list[bool] = []

    def make_one(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pg_constraint AS k" in statement and connection is not None and not made:
            made.append(True)
            with contextlib.closing(connected(many)) as other, other, other.cursor() as cursor:
                cursor.execute("CREATE TABLE late (id INTEGER PRIMARY KEY CHECK (id > 0), other INTEGER UNIQUE)")

    sa.event.listen(sa.Engine, "before_cursor_execute", make_one)
    try:
        if moment == "in a run":
            migrate_online(many, OnlineOptions(targets=("datasets=2.0.0",), pace=QUICK))
        else:
            with Database.of(many).write("look") as connection:
                assert "late" not in read_structure(connection, many.namespace).tables
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", make_one)
    assert made
    assert not verify_registry(many).differences


@pytest.mark.slow
def test_an_index_that_was_in_a_deadlock_is_built_again(many: Repository) -> None:
    building = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
    )
    table = "visit_skypix_overlap"
    with contextlib.closing(connected(many)) as client:
        with client.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        process = started(many, "--online", "--to", "dimensions=6.0.1", "--yes")
        await_true(lambda: _one(many, building))
        with client.cursor() as cursor:
            # The build, which waits for longer, looks for deadlocks first.
            cursor.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        client.commit()
    _, told = process.communicate(timeout=60)

    assert process.returncode == 0, told
    assert_clean(many)


def _one(repository: Repository, query: str) -> Any:
    with contextlib.closing(connected(repository)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        ((value,),) = cursor.fetchall()
        return value
