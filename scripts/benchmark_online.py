"""An online migration with a reader and a writer beside it: the longest time that either stood still."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa

from tests.integration.test_crash import fill_registry

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

PROGRAM = [sys.executable, "-c", "from registrytool.cli import main; main()"]
NAMESPACE = "registry"
#: Longest stall that is claimed, in seconds.
STALL_CLAIM_S = 0.5


class Beside(threading.Thread):
    """Somebody who works beside the migration, one short transaction after the other.

    Parameters
    ----------
    name : `str`
        Who it is.
    connection : psycopg2 connection
        Its session.
    statements : `list` [`tuple` [`str`, `tuple`]]
        One transaction: statements with their values; callables give the value for the number of the transaction.
    """

    def __init__(self, name: str, connection: Any, statements: list[tuple[str, tuple[Any, ...]]]) -> None:
        super().__init__(name=name)
        self.connection = connection
        self.statements = statements
        self.stopped = threading.Event()
        self.seconds: list[float] = []
        self.ended = ""

    def run(self) -> None:
        """Work until told to stop, or until the new version is there."""
        number = 0
        while not self.stopped.is_set():
            number += 1
            begun = time.perf_counter()
            try:
                with self.connection, self.connection.cursor() as cursor:
                    for text, values in self.statements:
                        cursor.execute(text, [v(number) if callable(v) else v for v in values])
            except psycopg2.DataError as error:
                # The clock of the old version has no place in the new one: the exchange is over.
                self.seconds.append(time.perf_counter() - begun)
                self.ended = str(error).partition("\n")[0]
                return
            self.seconds.append(time.perf_counter() - begun)
            time.sleep(0.002)


def _connect(url: str, name: str) -> Any:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg2.connect(plain, application_name=name, options=f"-c search_path={NAMESPACE}")


def _floor_s(url: str) -> float:
    """Return how long the same work stands still with nothing beside it, at worst."""
    reader, writer = _people(url)
    _let_work((reader, writer), 3.0)
    return max(*reader.seconds, *writer.seconds)


def _people(url: str) -> tuple[Beside, Beside]:
    seed = "SELECT id FROM dataset WHERE id > %s ORDER BY id LIMIT 1"
    find = (
        "SELECT d.id, d.ingest_date, t.exposure FROM dataset AS d JOIN dataset_tags_00000001 AS t "
        "ON t.dataset_id = d.id WHERE t.dataset_type_id = 1 AND t.collection_id = 1 AND t.instrument = 'LSSTCam' "
        "AND t.detector = %s AND t.exposure = %s"
    )
    reader = Beside(
        "reader",
        _connect(url, "reader"),
        [
            (find, (lambda n: n % 10, lambda n: n * 7919 % 1000)),
            ("SELECT obs_id, physical_filter FROM exposure WHERE id = %s", (lambda n: n * 7919 % 1000,)),
        ],
    )
    writer = Beside(
        "writer",
        _connect(url, "writer"),
        [
            (
                "INSERT INTO dataset (id, dataset_type_id, run_id, ingest_date) VALUES (%s, 1, 1, %s)",
                (lambda _: str(uuid.uuid4()), "2024-02-03 04:05:06.789"),
            ),
            (
                f"UPDATE dataset SET ingest_date = %s WHERE id = ({seed})",
                ("2024-02-03 04:05:06.789", lambda _: str(uuid.uuid4())),
            ),
            (
                "INSERT INTO exposure (instrument, id, obs_id, physical_filter) VALUES ('LSSTCam', %s, %s, 'r_57')",
                (lambda _: uuid.uuid4().int % 2**62, lambda _: str(uuid.uuid4())),
            ),
        ],
    )
    return reader, writer


def _let_work(people: tuple[Beside, ...], seconds: float) -> None:
    for person in people:
        person.start()
    time.sleep(seconds)
    _stop(people)


def _stop(people: tuple[Beside, ...]) -> None:
    for person in people:
        person.stopped.set()
        person.join()
        person.connection.close()


def measure(server: PostgresServer, datasets: int, target: str) -> dict[str, Any]:
    """Migrate a registry online and watch who works beside it.

    Parameters
    ----------
    server : `PostgresServer`
        Where databases may be made.
    datasets : `int`
        Number of datasets.
    target : `str`
        Target of the migration.
    """
    url = server.new_database()
    try:
        with tempfile.TemporaryDirectory() as folder:
            words = ["--db", url, "--namespace", NAMESPACE, "--at", "w_2023_32", "--at", "dimensions=6.0.0"]
            subprocess.run([*PROGRAM, "create", str(Path(folder) / "repo"), *words], check=True, capture_output=True)
        fill_registry(url, NAMESPACE, datasets)
        with contextlib.closing(_connect(url, "analyze")) as connection:
            connection.autocommit = True
            connection.cursor().execute("VACUUM ANALYZE")
        alone_s = _floor_s(url)
        people = _people(url)
        for person in people:
            person.start()
        begun = time.perf_counter()
        done = subprocess.run(
            [*PROGRAM, "migrate", url, "--namespace", NAMESPACE, "--online", "--to", target, "--yes"],
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed_s = time.perf_counter() - begun
        time.sleep(0.2)
        _stop(people)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        verified = subprocess.run([*PROGRAM, "verify", url, "--namespace", NAMESPACE], capture_output=True, check=False)
        if verified.returncode != 0:
            raise SystemExit(verified.stdout.decode())
    finally:
        server.drop_database(url)
    longest = {person.name: max(person.seconds) for person in people}
    return {
        "what": f"postgresql, {target} online",
        "datasets": datasets,
        "elapsed_s": elapsed_s,
        "longest_s": longest,
        "median_s": {person.name: statistics.median(person.seconds) for person in people},
        "transactions": {person.name: len(person.seconds) for person in people},
        "longest_alone_s": alone_s,
        "said": done.stdout.splitlines(),
        "claim_s": STALL_CLAIM_S,
        "kept": max(longest.values()) <= STALL_CLAIM_S,
    }


def line(result: dict[str, Any]) -> str:
    """Return a measurement for people."""
    parts = ", ".join(
        f"{name} {result['longest_s'][name] * 1000:.0f} ms (median {result['median_s'][name] * 1000:.1f} ms, "
        f"{result['transactions'][name]} transactions)"
        for name in result["longest_s"]
    )
    kept = "kept" if result["kept"] else "BROKEN"
    return (
        f"{result['what']}, {result['datasets']:,} datasets: {result['elapsed_s']:.1f} s; longest stall of {parts}; "
        f"alone {result['longest_alone_s'] * 1000:.0f} ms; claim <= {result['claim_s'] * 1000:.0f} ms {kept}"
    )
