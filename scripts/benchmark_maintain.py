"""Measure maintenance against the commands of the Butler that answer the same question; see ``scripts/benchmark``."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark_datasets import DETECTORS, OTHER, RUN, count_files, fill, make_files

from registrytool.repository import open_repository
from tests.support.postgres import DRIVER, PostgresMissingError, PostgresServer, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from registrytool.repository import Repository

PROGRAM = [sys.executable, "-c", "from registrytool.cli import main; main()"]
NAMESPACE = "registry"

COUNTS, FIND, WHERE, ORPHANS, REMOVE = (
    "collection list --counts",
    "dataset find, all of a run",
    "dataset find --where",
    "dataset orphans",
    "dataset remove, a whole run with its files",
)
#: How many times faster than the Butler each question is answered, with the start of the programs, from a million
#: datasets on; with few, nothing but the start counts.
CLAIMED_FROM = 1_000_000
CLAIMS = {COUNTS: 10.0, FIND: 5.0, WHERE: 5.0, ORPHANS: 5.0, REMOVE: 4.0}
#: How often both sides take turns at a question; one that takes a second needs several, of which the median counts.
TURNS = {WHERE: 5}
#: How long no other session may wait for a removal, in seconds.
STALL_CLAIM_S = 0.5
#: How much memory a command may take, in MB, however many datasets there are: on SQLite, with the cache of a removal.
MEMORY_CLAIM_MB: Mapping[str, float] = {"postgresql": 200.0, "sqlite": 400.0}
#: How long others are watched while nothing is removed, in seconds.
_IDLE_S = 5.0


@dataclass(frozen=True)
class Ran:
    """A process that has ended.

    Attributes
    ----------
    seconds, cpu_s : `float`
        How long it took, and how long it was computing.
    peak_mb : `float`
        Its greatest memory.
    ended : `bool`
        Whether it was ended before it was through.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    ended: bool = False


@dataclass(frozen=True)
class Comparison:
    """One question, answered by both.

    Attributes
    ----------
    what, against : `str`
        The question, and what the Butler was told.
    datasets : `int`
        How many there are.
    ours, theirs : `Ran`
        Both programs; that of the Butler can have been ended.
    stalls_ms : `dict` [`str`, `list` [`float`]]
        For each session that was watched, how long it waited at most: while nothing happened, while registrytool was
        at work, and while the Butler was.
    """

    database: str
    what: str
    against: str
    datasets: int
    ours: Ran
    theirs: Ran
    stalls_ms: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times faster registrytool is, at least."""
        return self.theirs.seconds / self.ours.seconds

    @property
    def kept(self) -> bool:
        """Whether the claims hold."""
        stalled = any(during > STALL_CLAIM_S * 1000 for _, during, _ in self.stalls_ms.values())
        fast = self.datasets < CLAIMED_FROM or self.ratio >= CLAIMS[self.what]
        return fast and not stalled and self.ours.peak_mb <= MEMORY_CLAIM_MB[self.database]

    def line(self) -> str:
        """Return it for people."""
        more = "more than " if self.theirs.ended else ""
        stalls = "".join(
            f"\n    {name} waited {during:.0f} ms at most; beside the Butler {beside:.0f}, beside neither {idle:.0f}"
            for name, (idle, during, beside) in self.stalls_ms.items()
        )
        return (
            f"{self.database}, {self.datasets:,}: {self.what}\n"
            f"    {self.ours.seconds:.2f} s (computing {self.ours.cpu_s:.2f} s), {self.ours.peak_mb:.0f} MB; "
            f"{self.against}: {more}{self.theirs.seconds:.2f} s (computing {self.theirs.cpu_s:.2f} s), "
            f"{self.theirs.peak_mb:.0f} MB{stalls}\n"
            f"    {more}{self.ratio:.1f} times as fast   {'kept' if self.kept else 'BROKEN'}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values."""
        return {**asdict(self), "ratio": self.ratio, "kept": self.kept}


def as_installed() -> dict[str, str]:
    """Return an environment in which modules are compiled once and not by each process, as installed ones are."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], limit_s: float | None = None) -> Ran:
    """Run a command with its output thrown away; it is ended after some time, where that is said."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=as_installed())
        ended = threading.Event()

        def end() -> None:
            ended.set()
            process.kill()

        timer = threading.Timer(limit_s or threading.TIMEOUT_MAX, end)
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - begun
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not ended.is_set():
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said.read().decode()[-2000:]}")
    return Ran(elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, ended.is_set())


# -- others -------------------------------------------------------------------------


class Watch:
    """A session that does one thing all the time, and remembers how long it had to wait."""

    def __init__(self, repository: Repository, name: str, act: Callable[[sa.Connection, Keys], None]) -> None:
        self.name = name
        self.longest_s = 0.0
        self._repository, self._act = repository, act
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let the session end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        engine = sa.create_engine(self._repository.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'SET search_path TO "{NAMESPACE}"')
            connection.commit()
            keys = Keys.read(connection)
            while not self._stop.is_set():
                begun = time.perf_counter()
                self._act(connection, keys)
                self.longest_s = max(self.longest_s, time.perf_counter() - begun)
                time.sleep(0.02)


@dataclass(frozen=True)
class Keys:
    """What statements need."""

    run: int
    other: int
    exposures: int

    @classmethod
    def read(cls, connection: sa.Connection) -> Keys:
        """Read it from a registry."""
        query = sa.text("SELECT collection_id FROM collection WHERE name = :name")
        run, other = (connection.scalar(query, {"name": name}) for name in (RUN, OTHER))
        found = cls(run, other, connection.scalar(sa.text("SELECT count(*) FROM exposure")) or 0)
        connection.commit()
        return found


_FIND = sa.text(
    "SELECT d.id FROM dataset_tags_00000001 AS t JOIN dataset AS d ON d.id = t.dataset_id "
    "WHERE t.dataset_type_id = 1 AND t.collection_id = :run AND instrument = 'Cam' AND t.exposure = :exposure"
)


def _read(connection: sa.Connection, run: int, exposures: int) -> None:
    """Find what a run has of one exposure, as those do who look for a dataset."""
    connection.execute(_FIND, {"run": run, "exposure": random.randrange(exposures)}).all()  # noqa: S311 (no secret)
    connection.rollback()


def _write(connection: sa.Connection, keys: Keys) -> None:
    """Insert a dataset into the other run, and take it out again: two transactions."""
    identifier = uuid.uuid4()
    values = {
        "id": identifier,
        "run": keys.other,
        "exposure": keys.exposures - 1,
        "detector": random.randrange(DETECTORS),  # noqa: S311
    }
    for statements in (
        (
            "INSERT INTO dataset (id, dataset_type_id, ingest_date, run_id) VALUES (:id, 1, 0, :run)",
            "INSERT INTO dataset_tags_00000001 VALUES (1, :id, :run, 'Cam', :detector, :exposure)",
            "INSERT INTO dataset_location (datastore_name, dataset_id) VALUES ('other', :id)",
        ),
        ("DELETE FROM dataset_location WHERE dataset_id = :id", "DELETE FROM dataset WHERE id = :id"),
    ):
        for statement in statements:
            text = sa.text(statement)
            connection.execute(text, {k: v for k, v in values.items() if f":{k}" in statement})
        connection.commit()


def _hold(connection: sa.Connection, keys: Keys) -> None:
    """Do what somebody does who tags the very datasets that are removed, and undo it."""
    query = "SELECT id FROM dataset WHERE id = (SELECT id FROM dataset WHERE run_id = :run LIMIT 1) FOR KEY SHARE"
    connection.execute(sa.text(query), {"run": keys.run})
    connection.rollback()


class Watches:
    """All sessions that are watched beside a removal on PostgreSQL: in other runs, and in the run that goes."""

    def __init__(self, repository: Repository) -> None:
        self._watches = [
            Watch(repository, "a reader of another run", lambda c, k: _read(c, k.other, k.exposures // 10)),
            Watch(repository, "a writer in another run", _write),
            Watch(repository, "a reader of the run", lambda c, k: _read(c, k.run, k.exposures)),
            Watch(repository, "a tagger of the run", _hold),
        ]
        time.sleep(_IDLE_S)
        self.idle_ms = self._longest_ms()
        for watch in self._watches:
            watch.longest_s = 0.0
        self.longest_ms: dict[str, float] = {}

    def _longest_ms(self) -> dict[str, float]:
        return {w.name: w.longest_s * 1000 for w in self._watches}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.stop()
        self.longest_ms = self._longest_ms()


# -- questions ----------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """What is to be measured, and against what.

    Attributes
    ----------
    datasets : `int`
        Number of datasets in the run; there is a second run with a tenth of them.
    client : `str`
        Python of an environment with the Butler.
    enough : `float` or `None`
        The Butler is ended when it has taken so many times as long as registrytool.
    questions : `str`
        Only questions with this text.
    """

    datasets: int
    client: str
    enough: float | None = None
    questions: str = ""

    def compare(
        self,
        database: str,
        what: str,
        ours: Sequence[str],
        against: str,
        theirs: Sequence[str],
        watched: tuple[Repository, Repository] | None = None,
    ) -> Comparison:
        """Run one program after the other, each beside the same others."""
        watches = None if watched is None else Watches(watched[0])
        with watches or contextlib.nullcontext():
            mine = run([*PROGRAM, "-q", *ours])
        # What starts in a second or two is not worth to be ended.
        limit_s = None if self.enough is None else max(20.0, self.enough * mine.seconds)
        beside = None if watched is None else Watches(watched[1])
        with beside or contextlib.nullcontext():
            other = run([str(Path(self.client).parent / "butler"), *theirs], limit_s)
        stalls = {}
        if watches is not None and beside is not None:
            idle, during, there = watches.idle_ms, watches.longest_ms, beside.longest_ms
            stalls = {name: [idle[name], during[name], there[name]] for name in idle}
        return Comparison(database, what, against, self.datasets, mine, other, stalls)

    def reading(self, repo: str, database: str) -> Iterator[Comparison]:
        """Compare what only reads."""
        run_of = ["query-datasets", repo, "raw", "--collections", RUN, "--limit", "0"]
        everything = ["query-datasets", repo, "*", "--collections", "*", "--limit", "0"]
        where = "instrument='Cam' AND detector IN (1..5) AND exposure.exposure_time > 10"
        find = ["dataset", "find", repo, "raw", "-c", RUN]
        for what, ours, against, theirs in (
            (COUNTS, ["collection", "list", repo, "--counts"], "query-datasets '*'", everything),
            (FIND, find, "query-datasets raw", run_of),
            (
                WHERE,
                [*find, "--where", where],
                "query-datasets raw --where",
                [*run_of, "--where", where],
            ),
            (
                ORPHANS,
                ["dataset", "orphans", repo],
                "query-datasets '*' --show-uri",
                [*everything, "--show-uri"],
            ),
        ):
            if self.questions in what:
                turns = [self.compare(database, what, ours, against, theirs) for _ in range(TURNS.get(what, 1))]
                yield sorted(turns, key=lambda turn: turn.ratio)[len(turns) // 2]

    def removal(self, ours: Repository, theirs: Repository, database: str) -> Iterator[Comparison]:
        """Compare the removal of a run with all that is in it, files too, each in its own copy."""
        if self.questions not in REMOVE:
            return
        repo, other = Path(str(ours.root)), Path(str(theirs.root))
        for root in (repo, other):
            make_files(root, self.datasets)
        command = ["dataset", "remove", str(repo), "-c", RUN, "--yes", "--empty-trash"]
        against = ["remove-runs", str(other), RUN, "--no-confirm"]
        watched = (ours, theirs) if database == "postgresql" else None
        yield self.compare(database, REMOVE, command, "remove-runs", against, watched)
        if left := count_files(repo):
            raise SystemExit(f"{left} files are left")
        run([*PROGRAM, "dataset", "orphans", str(repo)])

    def sqlite(self) -> Iterator[Comparison]:
        """Measure on SQLite."""
        with tempfile.TemporaryDirectory(prefix="registrytool-benchmark-") as name:
            repository = _created(Path(name) / "repo")
            fill(repository, self.datasets)
            yield from self.reading(str(repository.root), "sqlite")
            theirs = Path(name) / "theirs"
            shutil.copytree(Path(name) / "repo", theirs)
            yield from self.removal(repository, open_repository(str(theirs)), "sqlite")

    def postgresql(self, server: PostgresServer) -> Iterator[Comparison]:
        """Measure on PostgreSQL."""
        with tempfile.TemporaryDirectory(prefix="registrytool-benchmark-") as name:
            url = server.new_database()
            _created(Path(name) / "repo", "--db", url, "--namespace", NAMESPACE)
            repository = _with_url(Path(name) / "repo", url)
            fill(repository, self.datasets)
            yield from self.reading(str(repository.root), "postgresql")
            copy = server.new_database(url)
            theirs = Path(name) / "theirs"
            shutil.copytree(Path(name) / "repo", theirs)
            yield from self.removal(repository, _with_url(theirs, copy), "postgresql")
            for each in (url, copy):
                server.drop_database(each)


def _created(folder: Path, *words: str) -> Repository:
    run([*PROGRAM, "create", str(folder), *words])
    return open_repository(str(folder))


def _with_url(folder: Path, url: str) -> Repository:
    """Write the URL of a database into ``butler.yaml``, with its password."""
    path = folder / "butler.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["registry"]["db"] = sa.make_url(url).set(drivername=DRIVER).render_as_string(hide_password=False)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return open_repository(str(folder))


def measure_maintain(
    sizes: Sequence[int],
    client: str | None,
    url: str | None,
    *,
    database: str | None = None,
    enough: float | None = None,
    questions: str = "",
) -> Iterator[Comparison]:
    """Measure on both databases.

    Parameters
    ----------
    sizes : sequence of `int`
        Numbers of datasets, see `Bench`.
    client : `str` or `None`
        Python of an environment with the Butler.
    url : `str` or `None`
        Server where databases may be made; by default one is started.
    database : `str`, optional
        Only ``sqlite``, or only ``postgresql``.
    enough, questions : optional
        See `Bench`.
    """
    if client is None:
        raise SystemExit("No Butler client: name its Python by --client or REGISTRYTOOL_TEST_CLIENT.")
    benches = [Bench(datasets, client, enough, questions) for datasets in sizes]
    if database != "postgresql":
        for bench in benches:
            yield from bench.sqlite()
    if database == "sqlite":
        return
    with contextlib.ExitStack() as stack:
        if url is not None:
            address = sa.make_url(url).set(drivername=DRIVER).render_as_string(hide_password=False)
            server = PostgresServer(address, "the server of --postgres-url", f"registrytool_benchmark_{os.getpid()}")
            stack.callback(server.drop_all)
        else:
            try:
                server = stack.enter_context(postgres_server())
            except PostgresMissingError as error:
                print(error, file=sys.stderr)
                return
        for bench in benches:
            yield from bench.postgresql(server)
