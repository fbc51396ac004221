"""What happens when somebody else works in the same registry, and when the server goes away."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.runner import Run as Run_
from tests.integration.test_crash import checksums, fill_registry, finished
from tests.integration.test_drift import with_not_null
from tests.support.maintain_states import fill
from tests.support.registries import make as create
from tests.support.registries import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.places import Place, Run

pytestmark = pytest.mark.slow

PROGRAM = "from registrytool.cli import main; main()"
STOPPING = "from tests.support.killing import stop_when_locked; stop_when_locked()"
MIGRATE = ("--yes", "--no-backup")
POSTGRESQL = pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgresql)])


# -- helpers --------------------------------------------------------------------


def words_of(place: Place) -> list[str]:
    return [place.url, *(("--namespace", place.namespace) if place.namespace else ())]


def file_of(place: Place) -> Path:
    return Path(sa.make_url(place.url).database or "")


def make(place: Place, folder: Path) -> None:
    outcome = finished("create", folder, "--at", "w_2023_32", "--db", *words_of(place))
    assert outcome.returncode == 0, outcome.stderr
    fill_registry(place.url, place.namespace, 100)


@pytest.fixture
def registry(place: Place, tmp_path: Path) -> Place:
    make(place, tmp_path / "made")
    return place


@contextlib.contextmanager
def running(*words: object, program: str = PROGRAM) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; it is killed if the test fails before its end.

    It is not forked from this process: what is said of it has its command line.
    """
    command = [sys.executable, "-c", program, *(str(w) for w in words)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def error_of(process: subprocess.Popen[str]) -> str:
    """Wait for a command that is refused; return the sentence."""
    _, told = process.communicate(timeout=60)
    assert process.returncode == 3, told
    return sentence(told)


def sentence(told: str) -> str:
    """Return the one line that begins with "Error"; nothing follows it."""
    lines = told.splitlines()
    assert lines, "nothing was said"
    assert lines[-1].startswith("Error: "), told
    assert "Traceback" not in told
    return lines[-1].removeprefix("Error: ")


def await_true(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.002)


def client(place: Place, application: str = "a notebook") -> psycopg2.extensions.connection:
    url = sa.make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg2.connect(url, application_name=application)


def ask(place: Place, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(client(place, "the test")) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def advisory_lock_holders(place: Place) -> list[int]:
    rows = ask(
        place,
        "SELECT l.pid FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database "
        "WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()",
    )
    return [int(str(pid)) for (pid,) in rows]


def waiting_sessions(place: Place) -> list[int]:
    rows = ask(
        place,
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND application_name LIKE 'registrytool%'",
    )
    return [int(str(pid)) for (pid,) in rows]


def has_run_lock(place: Place) -> bool:
    if place.dialect == "postgresql":
        return bool(advisory_lock_holders(place))
    with contextlib.closing(sqlite3.connect(file_of(place), isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def opened(process: int, file: Path) -> bool:
    """Whether a process has opened a file (Linux)."""
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.add(descriptor.readlink())
    return file.resolve() in found


@contextlib.contextmanager
def standing_still(place: Place, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a command that stands still as soon as it has the run lock, until it gets SIGCONT."""
    with running(*words, program=f"{STOPPING}; {PROGRAM}") as process:
        # Whatever has become of it, it is left to be waited for.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert process.poll() is None, process.communicate()
        assert has_run_lock(place)
        yield process


@contextlib.contextmanager
def locked_by_client(place: Place, statement: str | None = None) -> Iterator[int]:
    """Hold a lock as an ordinary client does that is in the middle of something; give its session or process."""
    if place.dialect == "sqlite":
        # In a process of its own: locks of the operating system belong to processes.
        code = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
            "c.execute(sys.argv[2]) if sys.argv[2] else None; print('ready', flush=True); input(); c.execute('COMMIT')"
        )
        command = [sys.executable, "-c", code, str(file_of(place)), statement or ""]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
            process.communicate("\n")
        assert process.returncode == 0
        return
    with contextlib.closing(client(place)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f'SET search_path TO "{place.namespace}"')
        cursor.execute(statement or "SELECT count(*) FROM visit_system_membership")
        yield connection.get_backend_pid()


# -- two that want the same -----------------------------------------------------


def test_a_second_migration_is_refused_and_says_who_runs_the_first(registry: Place) -> None:
    old = checksums(registry.url, registry.namespace)
    with standing_still(registry, "migrate", *words_of(registry), *MIGRATE) as first:
        second = finished("migrate", *words_of(registry), *MIGRATE, "--wait", "0.5")

        assert second.returncode == 3
        assert second.stdout == ""
        said = sentence(second.stderr)
        assert said.endswith("holds the lock. Wait until it has finished and run the same command again.")
        if registry.dialect == "sqlite":
            assert f": process {first.pid} (" in said
            assert " migrate " in said
        else:
            assert re.search(r": session \d+ of user \w+ from [\w.:]+ \(registrytool .*\)", said), said
            assert f"session {advisory_lock_holders(registry)[0]} " in said
        password = sa.make_url(registry.url).password
        assert password is None or str(password) not in second.stderr
        assert checksums(registry.url, registry.namespace) == old

        os.kill(first.pid, signal.SIGCONT)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
    assert finished("verify", *words_of(registry)).returncode == 0
    assert checksums(registry.url, registry.namespace)["log"] == "1"


def test_of_two_migrations_that_start_together_one_migrates_and_both_end_well(registry: Place) -> None:
    with (
        running("migrate", *words_of(registry), *MIGRATE, "--wait", "60") as first,
        running("migrate", *words_of(registry), *MIGRATE, "--wait", "60") as second,
    ):
        told = [p.communicate(timeout=120) for p in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], told

    assert checksums(registry.url, registry.namespace)["log"] == "1"
    assert finished("verify", *words_of(registry)).returncode == 0


def migrate_after_the_next_look(registry: Place, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """Migrate in another process as soon as the next transaction that only reads has begun."""
    tables = Database._tables  # the first that such a transaction does

    def and_migrate(database: Database, connection: sa.Connection) -> Any:
        monkeypatch.setattr(Database, "_tables", tables)
        found = tables(database, connection)
        other = finished("migrate", *words_of(registry), *MIGRATE, *words)
        assert other.returncode == 0, other.stderr
        return found

    monkeypatch.setattr(Database, "_tables", and_migrate)


@POSTGRESQL
@pytest.mark.parametrize("command", ["migrate --yes --no-backup", "verify", "schema show", "status"])
def test_what_was_read_while_a_migration_replaced_the_tables_is_read_again(
    command: str, registry: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate_after_the_next_look(registry, monkeypatch)
    outcome = run(*command.split(), *words_of(registry))

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome == run(*command.split(), *words_of(registry))
    assert run("verify", *words_of(registry)).exit_code == 0


#: Steps that replace a column by one of the same name, or drop nothing but indexes; each with the way up.
UNSEEN = {
    "column": ("--online", "--to", "datasets=2.0.0"),
    "indexes": ("--to", "dimensions=6.0.0", "--accept-loss"),
}


@POSTGRESQL
@pytest.mark.parametrize("step", UNSEEN)
@pytest.mark.parametrize("command", ["verify", "schema show", "status"])
def test_what_was_read_while_a_migration_changed_columns_or_indexes_is_read_again(
    command: str, step: str, place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(place, *(["datasets=1.0.0"] if step == "column" else ["newest"]))
    before = run(*command.split(), *words_of(place)).stdout
    migrate_after_the_next_look(place, monkeypatch, *UNSEEN[step])
    outcome = run(*command.split(), *words_of(place))

    assert outcome == run(*command.split(), *words_of(place))
    if command == "status":
        assert outcome.stdout != before
    assert run("verify", *words_of(place)).exit_code == 0


@POSTGRESQL
@pytest.mark.parametrize("command", ["collection list --counts", "dataset find *", "dataset orphans"])
def test_rows_read_while_a_migration_replaced_the_tables_are_read_again(
    command: str, registry: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(*command.split()[:2], *words_of(registry), *command.split()[2:])
    migrate_after_the_next_look(registry, monkeypatch)
    outcome = run(*command.split()[:2], *words_of(registry), *command.split()[2:])

    assert before.exit_code == 0, before.stderr
    assert outcome[:2] == before[:2]
    assert run("status", *words_of(registry)).exit_code == 0


@POSTGRESQL
@pytest.mark.parametrize("output", ["json", "table"])
def test_who_is_refused_since_tables_were_replaced_each_time_has_answered_nothing(
    output: str, registry: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, number = Database._tables, itertools.count()

    def always_others(database: Database, connection: sa.Connection) -> Any:
        return {n: ((next(number), 0), parts) for n, (_, parts) in tables(database, connection).items()}

    monkeypatch.setattr(Database, "_tables", always_others)
    outcome = run("dataset", "find", *words_of(registry), "*", "--format", output)

    assert outcome.exit_code == 3
    assert outcome.stdout == ""
    assert "tables have been replaced while they were read: " in sentence(outcome.stderr)


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_a_run_that_waited_while_another_did_the_same_makes_no_backup(
    command: str, place: Place, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = create(place, "dimensions-config=6")
    words = [command, *words_of(place), "--yes"]
    if command == "migrate":
        # Universe 5 has not all the tables of universe 6.
        words += ["--to", "dimensions-config=5", "--accept-loss"]
    else:
        words += ["--repair"]
        with_not_null("detector", "full_name")(repository, place)
    backups = tmp_path / "backups"
    backups.mkdir()
    write = Database.write

    def write_after_another(database: Database, *given: Any, **more: Any) -> Any:
        monkeypatch.setattr(Database, "write", write)
        other = run(*words, "--no-backup")
        assert other.exit_code == 0, other.stderr
        return write(database, *given, **more)

    monkeypatch.setattr(Database, "write", write_after_another)
    outcome = run(*words, "--backup", backups)

    assert outcome.exit_code == 0, outcome.stderr
    if command == "migrate":
        told, note = outcome.stdout.splitlines()
        assert told.endswith(" is there already: nothing to do.")
        assert note == "Note: another run has brought it there in the meantime."
    assert list(backups.iterdir()) == []
    assert run("verify", *words_of(place)).exit_code == 0
    assert checksums(place.url, place.namespace)["log"] == "1"


def test_of_two_creations_that_start_together_one_makes_a_whole_repository(place: Place) -> None:
    root = place.folder.parent / "made"
    database = ("--db", *words_of(place)) if place.dialect == "postgresql" else ()
    with running("create", root, *database) as first, running("create", root, *database) as second:
        told = [p.communicate(timeout=60)[1] for p in (first, second)]
        codes = sorted([first.returncode, second.returncode])

    assert codes == [0, 3], told
    outcome = finished("verify", root, *(("--db", place.url) if database else ()))
    assert outcome.returncode == 0, outcome.stderr


# -- readers and other clients --------------------------------------------------


def test_status_and_verify_read_the_old_state_while_a_migration_begins(registry: Place, run: Run) -> None:
    with standing_still(registry, "migrate", *words_of(registry), *MIGRATE):
        status = finished("status", *words_of(registry), "--format", "json")
        verification = finished("verify", *words_of(registry))

        assert status.returncode == 4, status.stderr
        assert not json.loads(status.stdout)["current"]
        assert verification.returncode == 0, verification.stderr


@POSTGRESQL
def test_status_reads_the_old_state_while_a_migration_has_locked_its_tables(registry: Place) -> None:
    # The lock of the client is on the last table, so that the migration has locked all others when it waits.
    with (
        locked_by_client(registry, "SELECT count(*) FROM visit_system_membership"),
        running("migrate", *words_of(registry), *MIGRATE, "--wait", "60") as first,
    ):
        await_true(lambda: waiting_sessions(registry))

        with running("status", *words_of(registry), "--format", "json") as second:
            answer, told = second.communicate(timeout=60)

        assert second.returncode == 4, told
        assert not json.loads(answer)["current"]
        first.kill()


def test_a_client_with_a_lock_makes_a_migration_refuse_after_the_wait_and_is_named(registry: Place) -> None:
    old = checksums(registry.url, registry.namespace)
    with locked_by_client(registry) as holder:
        begun = time.monotonic()

        refused = finished("migrate", *words_of(registry), *MIGRATE, "--wait", "1.5")

        elapsed_s = time.monotonic() - begun
        assert refused.returncode == 3, refused.stderr
        said = sentence(refused.stderr)
        if registry.dialect == "sqlite":
            assert f": process {holder} (" in said
        else:
            assert f": session {holder} of user " in said
            assert "(a notebook)" in said
        assert said.count("holds the lock.") == 1
        assert 1.5 < elapsed_s < 60
    assert checksums(registry.url, registry.namespace) == old


def test_an_exposure_that_is_inserted_while_a_migration_waits_is_kept(registry: Place) -> None:
    lite = registry.dialect == "sqlite"
    insert = (
        "INSERT INTO exposure (instrument, id, physical_filter, obs_id, observation_type, day_obs, seq_num, group_name,"
        " group_id, has_simulated) VALUES ('LSSTCam', 4711, 'r_57', 'the last one', 'science', 20230401, 1, "
        f"'a group of its own', 4711, {'0' if lite else 'false'})"
    )
    with running("migrate", *words_of(registry), *MIGRATE, "--wait", "60") as migration:
        with locked_by_client(registry, insert):
            if lite:
                # Nothing shows that a process waits for an SQLite file; it has opened it, and has a second more.
                await_true(lambda: opened(migration.pid, file_of(registry)))
                time.sleep(1)
            else:
                await_true(lambda: waiting_sessions(registry))
            assert migration.poll() is None
        _, told = migration.communicate(timeout=60)
        assert migration.returncode == 0, told

    engine = sa.create_engine(registry.url, poolclass=sa.NullPool)
    prefix = f"{registry.namespace}." if registry.namespace else ""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            f'SELECT e."group", d.id FROM {prefix}exposure AS e JOIN {prefix}day_obs AS d ON d.id = e.day_obs '
            f'JOIN {prefix}"group" AS g ON g.name = e."group" WHERE e.id = 4711'
        ).all()
    assert [tuple(row) for row in found] == [("a group of its own", 20230401)]


def test_a_write_of_a_client_that_comes_too_late_waits_or_fails_but_is_not_lost_silently(registry: Place) -> None:
    with standing_still(registry, "migrate", *words_of(registry), *MIGRATE) as migration:
        if registry.dialect == "sqlite":
            with (
                contextlib.closing(sqlite3.connect(file_of(registry), timeout=0.2)) as connection,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                connection.execute("INSERT INTO instrument (name) VALUES ('DECam')")
            os.kill(migration.pid, signal.SIGCONT)
            _, told = migration.communicate(timeout=60)
            assert migration.returncode == 0, told
            return
        with contextlib.closing(client(registry)) as connection, connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            inserted = True
            try:
                cursor.execute(f"INSERT INTO \"{registry.namespace}\".instrument (name, detector_max) VALUES ('N', 1)")
            except psycopg2.errors.LockNotAvailable:
                inserted = False
            connection.commit()
        os.kill(migration.pid, signal.SIGCONT)
        _, told = migration.communicate(timeout=60)
        assert migration.returncode == 0, told
    rows = ask(registry, f"SELECT count(*) FROM \"{registry.namespace}\".instrument WHERE name = 'N'")
    assert rows == [(int(inserted),)]


# -- locks of tables ------------------------------------------------------------

#: Locks that keep others from reading, or from writing.
_STRONG = """
SELECT l.mode || ' ' || c.relname FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r' AND c.relname = ANY(:names)
AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
"""


def locks_taken_later(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Gather which locks each run takes on tables after those that it takes before its first write."""
    names: list[str] = []
    before: set[str] = set()
    later: list[set[str]] = []
    repair, finish = Run_._repair, Run_._finish

    def held(connection: sa.Connection) -> set[str]:
        return set(connection.scalars(sa.text(_STRONG), {"names": names}))

    def first(run: Run_, connection: sa.Connection) -> None:
        names[:] = run.inspection.recorded.tables
        before.update(held(connection))
        repair(run, connection)

    def last(run: Run_, connection: sa.Connection) -> None:
        finish(run, connection)
        stronger = {n.partition(" ")[2] for n in before if n.startswith("AccessExclusive")}
        later.append({n for n in held(connection) - before if n.partition(" ")[2] not in stronger})

    monkeypatch.setattr(Run_, "_repair", first)
    monkeypatch.setattr(Run_, "_finish", last)
    return later


@POSTGRESQL
@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("w_2020_46", "newest"),
        ("collections=NameKeyCollectionManager/2.0.0", "collections=SynthIntKeyCollectionManager/2.0.0"),
        ("datasets=ByDimensionsDatasetRecordStorageManager/1.0.0", "newest"),
    ],
)
def test_all_locks_that_keep_others_out_are_taken_before_the_first_write(
    there: str, back: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = create(place)
    fill(repository)
    later = locks_taken_later(monkeypatch)
    migrate(repository, there, keep_group_id="yes")
    migrate(repository, back, has_simulated="0")

    assert later == [set(), set()]


# -- the run lock ---------------------------------------------------------------


def test_the_run_lock_vanishes_with_its_process(registry: Place) -> None:
    with standing_still(registry, "migrate", *words_of(registry), *MIGRATE) as first:
        first.kill()
        first.wait()
    if registry.dialect == "postgresql":
        await_true(lambda: not advisory_lock_holders(registry))

    second = finished("migrate", *words_of(registry), *MIGRATE)

    assert second.returncode == 0, second.stderr


@POSTGRESQL
def test_migrations_in_two_namespaces_do_not_hinder_each_other(registry: Place, tmp_path: Path) -> None:
    other = [registry.url, "--namespace", "other"]
    assert finished("create", tmp_path / "other", "--at", "w_2023_32", "--db", *other).returncode == 0
    with standing_still(registry, "migrate", *words_of(registry), *MIGRATE) as first:
        second = finished("migrate", *other, *MIGRATE)

        assert second.returncode == 0, second.stderr
        os.kill(first.pid, signal.SIGCONT)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
    for words in (words_of(registry), other):
        assert finished("verify", *words).returncode == 0


# -- a server that goes away ----------------------------------------------------


@POSTGRESQL
@pytest.mark.parametrize("victim", ["the session that migrates", "the session with the run lock"])
def test_a_migration_that_loses_a_session_fails_with_one_sentence_and_changes_nothing(
    registry: Place, victim: str
) -> None:
    old = checksums(registry.url, registry.namespace)
    with running("migrate", *words_of(registry), *MIGRATE, "--wait", "60") as migration:
        with locked_by_client(registry):
            await_true(lambda: waiting_sessions(registry))
            find = waiting_sessions if victim == "the session that migrates" else advisory_lock_holders
            (session,) = find(registry)
            assert ask(registry, f"SELECT pg_terminate_backend({session}, 10000)") == [(True,)]
            if victim == "the session that migrates":
                said = error_of(migration)
        if victim == "the session with the run lock":
            said = error_of(migration)

    assert said.startswith("Cannot migrate "), said
    assert checksums(registry.url, registry.namespace) == old
    again = finished("migrate", *words_of(registry), *MIGRATE)
    assert again.returncode == 0, again.stderr
