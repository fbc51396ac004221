"""Switches between implementations that are killed, and clients of the old one that write meanwhile."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.introspect import read_structure
from tests.integration import test_crash
from tests.integration.test_crash import CRASHES, SEED, Subject, checksums, fill_registry
from tests.support.killing import killed_at, points_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.places import Run

subject = test_crash.subject

pytestmark = pytest.mark.slow

UUID = "datasets=ByDimensionsDatasetRecordStorageManagerUUID/1.0.0"
INT = "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0"
SYNTH_INT = "collections=SynthIntKeyCollectionManager/2.0.0"
NAME_KEY = "collections=NameKeyCollectionManager/2.0.0"
#: From which implementation to which; the registry has UUIDs and integer keys at first.
SWITCHES = {
    "integers become UUIDs": (INT, UUID),
    "UUIDs become integers": (UUID, INT),
    "names become integers": (NAME_KEY, SYNTH_INT),
    "integers become names": (SYNTH_INT, NAME_KEY),
}
OPTIONS = ("--yes", "--no-backup", "--accept-loss")


def words_of(subject: Subject) -> list[object]:
    """Return how the command line names a registry, with its butler.yaml."""
    namespace = ("--namespace", subject.place.namespace) if subject.place.namespace else ()
    return [subject.folder / "made", "--db", subject.url, *namespace]


def configuration(subject: Subject) -> Path:
    return subject.folder / "made" / "butler.yaml"


def begin_at(subject: Subject, start: str, run: Run) -> str:
    """Let a registry have an implementation, and let this be what it begins again from; return its butler.yaml."""
    if subject.url == subject.pristine:
        subject.begin_again()
    outcome = run("migrate", *words_of(subject), "--to", start, *OPTIONS)
    assert outcome.exit_code == 0, outcome.stderr
    if subject.server is not None and subject.pristine is not None:
        subject.server.drop_database(subject.pristine)
    subject.keep()
    return configuration(subject).read_text(encoding="utf-8")


@pytest.fixture
def filled(subject: Subject, run: Run) -> Subject:
    """Return a registry of week 2023.32 with rows."""
    outcome = run("create", subject.folder / "made", "--at", "w_2023_32", "--db", *subject.words)
    assert outcome.exit_code == 0, outcome.stderr
    fill_registry(subject.url, subject.place.namespace, 1000)
    subject.keep()
    return subject


def found_of(subject: Subject) -> tuple[object, ...]:
    """Read all that there is: rows, structure and butler.yaml."""
    with Database(sa.make_url(subject.url), subject.place.namespace).read() as connection:
        structure = read_structure(connection, subject.place.namespace)
    rows = checksums(subject.url, subject.place.namespace)
    return rows, structure, configuration(subject).read_text(encoding="utf-8")


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_killed_switch_leaves_the_old_keys_or_the_new_ones_and_can_be_repeated(
    switch: str, filled: Subject, run: Run
) -> None:
    start, end = SWITCHES[switch]
    old_yaml = begin_at(filled, start, run)
    old = found_of(filled)
    command = ("migrate", *words_of(filled), "--to", end, *OPTIONS)
    points = points_of(*command)
    new = found_of(filled)
    assert [before == after for before, after in zip(old, new, strict=True)] == [False, False, False]
    assert run("verify", *words_of(filled)).exit_code == 0
    commit = max(number for number, point in enumerate(points, start=1) if point == "COMMIT")
    first = next(number for number, point in enumerate(points, start=1) if point.startswith("CREATE"))
    chance = random.Random(f"{SEED} {switch}")  # noqa: S311
    anywhere = [chance.randint(first + 1, commit) for _ in range(max(1, CRASHES // 4))]

    # The last one has committed, but butler.yaml is as it was.
    for point in (*anywhere, commit + 1):
        filled.begin_again()
        configuration(filled).write_text(old_yaml, encoding="utf-8")
        command = ("migrate", *words_of(filled), "--to", end, *OPTIONS)
        assert killed_at(point, *command)
        filled.await_departure()
        when = f"killed before {points[point - 1]}"

        assert found_of(filled) == ((*new[:2], old_yaml) if point > commit else old), when

        again = run(*command)
        assert again.exit_code == 0, f"{when}: {again.stderr}"
        assert ("nothing to do" in again.stdout) == (point > commit), when
        assert found_of(filled) == new, when


# -- clients that write meanwhile ---------------------------------------------------


class OldClient(threading.Thread):
    """Writes rows as clients of the old implementation do until it is refused, and remembers what was committed."""

    def __init__(self, subject: Subject, statements: list[str]) -> None:
        super().__init__()
        self.subject = subject
        self.statements = statements
        self.words = {"new": "NULL", "last": "last_insert_rowid()"} if subject.server is None else {}
        self.stored: list[int] = []
        self.refusal = ""

    def run(self) -> None:
        connection: Any
        if self.subject.server is None:
            connection = sqlite3.connect(self.subject.file, timeout=60)
        else:
            url = sa.make_url(self.subject.url).set(drivername="postgresql")
            connection = psycopg2.connect(url.render_as_string(hide_password=False))
        deadline = time.monotonic() + 60
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            if self.subject.server is not None:
                cursor.execute(f'SET search_path TO "{self.subject.place.namespace}"')
                connection.commit()
            try:
                for number in range(1_000_001, 2_000_000):
                    for statement in self.statements:
                        cursor.execute(statement.format(**({"n": number, "new": number, "last": number} | self.words)))
                    connection.commit()
                    self.stored.append(number)
                    if time.monotonic() > deadline:
                        return
                    time.sleep(0.005)
            except (psycopg2.Error, sqlite3.Error) as error:
                self.refusal = str(error).partition("\n")[0]


#: What an old client writes (SQLite gives numbers to datasets by itself), and what the new one finds of it.
WRITES = {
    "integers become UUIDs": (
        [
            "INSERT INTO dataset (id, dataset_type_id, run_id, ingest_date) VALUES ({new}, 1, 1, '2024-01-01')",
            "INSERT INTO dataset_location (datastore_name, dataset_id) VALUES ('ds {n}', {last})",
        ],
        "SELECT l.datastore_name FROM {prefix}dataset_location AS l JOIN {prefix}dataset AS d ON d.id = l.dataset_id",
    ),
    "names become integers": (
        [
            "INSERT INTO collection (name, type) VALUES ('ds {n}', 1)",
            "INSERT INTO run (name) VALUES ('ds {n}')",
        ],
        "SELECT c.name FROM {prefix}collection AS c JOIN {prefix}run AS r ON r.collection_id = c.collection_id",
    ),
}


@pytest.mark.parametrize("switch", WRITES)
def test_nothing_that_clients_write_until_the_switch_is_lost(switch: str, filled: Subject, run: Run) -> None:
    start, end = SWITCHES[switch]
    begin_at(filled, start, run)
    filled.begin_again()
    statements, query = WRITES[switch]
    client = OldClient(filled, statements)
    client.start()
    while not client.stored and client.is_alive():
        time.sleep(0.01)

    outcome = run("migrate", *words_of(filled), "--to", end, *OPTIONS, "--wait", "30")

    client.join()
    assert outcome.exit_code == 0, outcome.stderr
    assert client.refusal, "it was never refused"
    prefix = f'"{filled.place.namespace}".' if filled.place.namespace else ""
    engine = sa.create_engine(filled.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        names = set(connection.exec_driver_sql(query.format(prefix=prefix)).scalars())
    assert len(client.stored) > 1
    assert {f"ds {number}" for number in client.stored} == {n for n in names if n.startswith("ds ")}
    assert run("verify", *words_of(filled)).exit_code == 0
