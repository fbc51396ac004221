"""A PostgreSQL server that crashes in the middle of a migration and recovers: the old state or the new one."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_crash import checksums
from tests.integration.test_crash import fill_registry as fill_datasets
from tests.integration.test_online import connected, phase_of
from tests.integration.test_online_killed import TARGETS, without_log, words_of
from tests.support.killing import watch
from tests.support.places import ODD_NAMESPACE, Place
from tests.support.postgres import PostgresServer, crashing_server
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Run
    from tests.support.postgres import CrashingServer

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

INTEGERS = "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0"


@pytest.fixture(scope="module")
def server() -> Iterator[CrashingServer]:
    with crashing_server() as server:
        yield server


@pytest.fixture
def repository(server: CrashingServer, tmp_path: Path) -> Repository:
    """Make a registry of datasets 1.0.0 and dimensions 6.0.0 in a server that crashes; both vanish together."""
    databases = PostgresServer(server.url, "a server that crashes", f"crash_{secrets.token_hex(4)}")
    place = Place("postgresql", databases.new_database(), ODD_NAMESPACE, tmp_path / "repo")
    place.folder.mkdir()
    made = make(place, "w_2023_32", "dimensions=6.0.0")
    fill_datasets(place.url, place.namespace, 300)
    return made


def crash(server: CrashingServer, run: Run, when: Callable[[str], bool], *words: object, delay_s: float = 0.0) -> str:
    """Run a command, let the server crash before the first point of which something is true; return what is said.

    With a delay, the statement has begun by then.
    """
    crashed = threading.Event()
    later: list[threading.Timer] = []

    def pass_by(point: str) -> None:
        if not crashed.is_set() and when(point):
            crashed.set()
            if delay_s:
                later.append(threading.Timer(delay_s, server.crash))
                later[0].start()
            else:
                server.crash()

    stop = watch(pass_by)
    try:
        outcome = run(*words)
    finally:
        stop()
        for timer in later:
            timer.join()
        if crashed.is_set():
            server.start()
    assert crashed.is_set(), "it never came there"
    assert "Traceback" not in outcome.stderr
    return outcome.stderr.splitlines()[-1] if outcome.exit_code else ""


class Nth:
    """Is true of the n-th point that begins with some words and has others in it."""

    def __init__(self, number: int, begin: str, *within: str) -> None:
        self.left, self.begin, self.within = number, begin, within

    def __call__(self, point: str) -> bool:
        self.left -= point.startswith(self.begin) and all(word in point for word in self.within)
        return self.left == 0


class After:
    """Is true of the first point after another one."""

    def __init__(self, other: Callable[[str], bool]) -> None:
        self.other, self.passed = other, False

    def __call__(self, point: str) -> bool:
        if self.passed:
            return True
        self.passed = self.other(point)
        return False


@contextlib.contextmanager
def slow_change(repository: Repository, words: str) -> Iterator[None]:
    """Let changes of tables that have some words in them take a minute: a server that crashes in one is in it.

    It is there before the migration begins: a transaction that is under way need not see it.
    """
    name = f"slow_{secrets.token_hex(4)}"
    with contextlib.closing(connected(repository)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION public.{name}() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF position('{words}' IN current_query()) > 0 THEN PERFORM pg_sleep(60); END IF; END $$"
        )
        cursor.execute(
            f"CREATE EVENT TRIGGER {name} ON ddl_command_end WHEN TAG IN ('ALTER TABLE') "
            f"EXECUTE FUNCTION public.{name}()"
        )
        connection.commit()
    yield
    with contextlib.closing(connected(repository)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP EVENT TRIGGER {name}")
        cursor.execute(f"DROP FUNCTION public.{name}()")
        connection.commit()


@pytest.mark.parametrize("target", ["datasets=2.0.0", INTEGERS], ids=["a big step", "a switch"])
def test_a_crash_of_the_server_leaves_the_old_state_or_the_new_one(
    target: str, repository: Repository, server: CrashingServer, run: Run
) -> None:
    url, namespace = repository.url.render_as_string(hide_password=False), repository.namespace
    words = ("migrate", *words_of(repository), "--to", target, "--yes", "--no-backup", "--accept-loss")
    old, before = checksums(url, namespace), without_log(repository)

    def check(said: str) -> None:
        assert said.startswith("Error: "), said
        assert checksums(url, namespace) == old
        assert without_log(repository) == before
        assert_clean(repository)

    # In the middle of the statement that writes the datasets again, and when all is done but the commit.
    words_of_it = "ALTER COLUMN ingest_date TYPE" if target == "datasets=2.0.0" else "ALTER COLUMN id TYPE"
    with slow_change(repository, words_of_it):
        said = crash(server, run, Nth(1, "ALTER TABLE", words_of_it), *words, delay_s=0.3)
    check(said)
    check(crash(server, run, Nth(1, "COMMIT"), *words))

    crash(server, run, After(Nth(1, "COMMIT")), *words)
    found = checksums(url, namespace)
    assert found["log"] == "1"
    assert found != old
    assert_clean(repository)
    again = run(*words)
    assert again.exit_code == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert checksums(url, namespace) == found


def test_an_online_run_goes_on_or_back_after_a_crash_of_the_server_in_any_phase(
    repository: Repository, server: CrashingServer, run: Run
) -> None:
    migrate = ["migrate", *words_of(repository)]
    pace = ("--batch-rows", "50", "--pause", "0")
    begin = [word for target in TARGETS for word in ("--to", target)]
    start = without_log(repository)

    def phase() -> str:
        """Check that a registry is sound, and that others see what was built; return the phase."""
        verify = json.loads(run("verify", *words_of(repository), "--format", "json").stdout)
        assert verify["unknown"] == 0
        assert {d["drift"] for d in verify["differences"]} <= {"online-migration"}
        return phase_of(repository)

    # Somebody reads, so that the build waits when it has made an index that is not valid yet.
    with contextlib.closing(connected(repository)) as reader:
        with reader.cursor() as cursor:
            cursor.execute("LOCK TABLE visit_skypix_overlap IN ROW EXCLUSIVE MODE")
        said = crash(server, run, Nth(1, "CREATE INDEX CONC"), *migrate, "--online", "--yes", *begin, delay_s=0.3)
    assert said.startswith("Error: "), said
    assert phase() == "build"
    for name, when in (
        ("expand", Nth(1, "CREATE TRIGGER", "dataset")),
        ("backfill", Nth(3, "UPDATE", "dataset")),
        ("exchange", After(Nth(1, "ALTER TABLE", "DROP COLUMN ingest_date"))),
    ):
        said = crash(server, run, when, *migrate, "--resume", *pace)
        assert said.startswith("Error: "), said
        assert phase() == name
    # First what was built is taken away, then the steps that are finished are undone.
    for when in (Nth(1, "ALTER TABLE", "DROP COLUMN"), Nth(2, "COMMIT")):
        said = crash(server, run, when, *migrate, "--abort")
        assert said.startswith("Error: "), said
        phase()
    assert run(*migrate, "--abort").exit_code == 0
    assert without_log(repository) == start

    # What is committed stays: the exchange of datasets is the last.
    exchanged = After(Nth(1, "ALTER TABLE", "DROP COLUMN ingest_date"))
    crash(server, run, After(lambda p: exchanged(p) and p == "COMMIT"), *migrate, "--online", "--yes", *begin, *pace)
    run(*migrate, "--resume")
    assert_clean(repository)
    shown = run("status", *words_of(repository)).stdout
    assert "online" not in shown
    again = run(*migrate, *begin, "--yes", "--no-backup")
    assert "nothing to do" in again.stdout
