"""Measure maintenance against the commands of the Butler that answer the same question; see ``scripts/benchmark``."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.datastore import ensure_records_table
from registrytool.maintain.session import Session, change
from registrytool.maintain.summaries import ensure_summaries
from registrytool.repository import open_repository
from tests.support.postgres import DRIVER, PostgresMissingError, PostgresServer, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registrytool.repository import Repository

PROGRAM = [sys.executable, "-c", "from registrytool.cli import main; main()"]
NAMESPACE = "registry"
RUN, OTHER = "u/benchmark/run", "u/benchmark/other"

#: How many times faster than the Butler each question must be answered, with the start of the programs.
CLAIM = 5.0
#: How long no other session may wait for a removal, in seconds.
STALL_CLAIM_S = 0.5
#: How much more memory a removal may take than one of a tenth, in MB.
MEMORY_CLAIM_MB = 120.0


@dataclass(frozen=True)
class Comparison:
    """One question, answered by both."""

    what: str
    against: str
    seconds: float
    against_seconds: float
    peak_mb: float
    against_peak_mb: float
    stall_s: float | None = None

    @property
    def ratio(self) -> float:
        """How many times faster registrytool is."""
        return self.against_seconds / self.seconds

    @property
    def kept(self) -> bool:
        """Whether the claims hold."""
        return self.ratio >= CLAIM and (self.stall_s is None or self.stall_s <= STALL_CLAIM_S)

    def line(self) -> str:
        """Return it for people."""
        stall = "" if self.stall_s is None else f"   others waited {self.stall_s * 1000:.0f} ms at most"
        return (
            f"{self.what:<42} {self.seconds:8.2f} s {self.peak_mb:6.0f} MB   "
            f"{self.against:<46} {self.against_seconds:8.2f} s {self.against_peak_mb:6.0f} MB   "
            f"{self.ratio:6.1f} times as fast{stall}   {'kept' if self.kept else 'BROKEN'}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values."""
        return {**asdict(self), "ratio": self.ratio, "kept": self.kept}


def run_s(command: Sequence[str], permitted: Sequence[int] = (0,)) -> tuple[float, float]:
    """Run a command with its output thrown away; return how long it took in s, and its peak memory in MB."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in permitted:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said.read().decode()[-2000:]}")
    return elapsed, usage.ru_maxrss / 1024


def fill(repository: Repository, datasets: int) -> None:
    """Fill two runs, the second with a tenth of the datasets, each dataset with a file record but without a file.

    The rows are those that the Butler writes; it would take hours to write them.
    """
    detectors = 100
    exposures = -(-datasets // detectors)

    def work(session: Session) -> None:
        session.execute(sa.insert(session.table("instrument")), {"name": "Cam", "class_name": "Cam"})
        session.execute(
            sa.insert(session.table("detector")),
            [{"instrument": "Cam", "id": i, "full_name": f"R{i}"} for i in range(detectors)],
        )
        session.execute(sa.insert(session.table("physical_filter")), {"instrument": "Cam", "name": "r", "band": "r"})
        session.execute(sa.insert(session.table("day_obs")), {"instrument": "Cam", "id": 20260101})
        session.execute(sa.insert(session.table("group")), {"instrument": "Cam", "name": "g"})
        common = {"instrument": "Cam", "day_obs": 20260101, "group": "g", "physical_filter": "r"}
        session.execute(
            sa.insert(session.table("exposure")),
            [{**common, "id": i, "obs_id": f"o{i}", "exposure_time": float(i % 60)} for i in range(exposures)],
        )
        dataset_type = ensure_dataset_type(session, "raw", ["instrument", "exposure", "detector"], "StructuredDataDict")
        ensure_records_table(session, "file_datastore_records")
        for run, number in ((RUN, datasets), (OTHER, datasets // 10)):
            collection = ensure_collection(session, run, CollectionType.RUN)
            ensure_summaries(session, collection, [dataset_type.id], {"instrument": ["Cam"]})
            _fill_run(session, dataset_type.id, dataset_type.tags_table, collection.key, run, number)

    change(repository, "fill", work)
    if repository.dialect == "postgresql":
        engine = sa.create_engine(repository.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _fill_run(session: Session, number: int, tags: str, run: int | str, name: str, datasets: int) -> None:
    lite = session.dialect == "sqlite"
    make_id = "lower(hex(randomblob(16)))" if lite else "gen_random_uuid()"
    schema = f'"{session.namespace}".' if session.namespace else ""
    values = {"t": number, "r": run, "n": datasets, "name": name}
    concat = "'/raw/' || e.id || '_' || d.id || '.yaml'"
    for statement in (
        (
            f"CREATE TEMPORARY TABLE new_rows AS SELECT {make_id} AS id, e.id AS exposure, d.id AS detector, "
            f"CAST(:name AS text) || {concat} AS path "
            f"FROM {schema}exposure AS e CROSS JOIN {schema}detector AS d ORDER BY e.id, d.id LIMIT :n"
        ),
        (
            f"INSERT INTO {schema}dataset (id, dataset_type_id, ingest_date, run_id) "
            "SELECT id, :t, 1767225637000000000, :r FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}{tags} (dataset_type_id, dataset_id, collection_id, instrument, detector, exposure) "
            "SELECT :t, id, :r, 'Cam', detector, exposure FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}dataset_location (datastore_name, dataset_id) "
            "SELECT 'FileDatastore@<butlerRoot>', id FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}file_datastore_records "
            "(dataset_id, path, formatter, storage_class, component, checksum, file_size) "
            "SELECT id, path, 'lsst.daf.butler.formatters.yaml.YamlFormatter', 'StructuredDataDict', "
            "'__NULL_STRING__', NULL, 10 FROM new_rows"
        ),
        "DROP TABLE new_rows",
    ):
        text = sa.text(statement)
        session.connection.execute(text, {k: v for k, v in values.items() if f":{k}" in statement})


class Watch:
    """Another session that reads, tags and inserts all the time, and remembers how long it had to wait."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        engine = sa.create_engine(self._repository.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'SET search_path TO "{NAMESPACE}"')
            connection.commit()
            statements = (
                "SELECT count(*) FROM (SELECT 1 FROM dataset LIMIT 100) AS some",
                # What somebody who certifies, tags or stores these very datasets must wait for.
                (
                    "SELECT id FROM dataset WHERE id = (SELECT id FROM dataset WHERE run_id = "
                    f"(SELECT collection_id FROM collection WHERE name = '{RUN}') LIMIT 1) FOR KEY SHARE"
                ),
                (
                    "INSERT INTO collection_summary_instrument (collection_id, instrument) SELECT collection_id, 'Cam' "
                    f"FROM collection WHERE name = '{RUN}' ON CONFLICT DO NOTHING"
                ),
            )
            while not self._stop.is_set():
                for statement in statements:
                    begun = time.perf_counter()
                    connection.exec_driver_sql(statement)
                    self.longest_s = max(self.longest_s, time.perf_counter() - begun)
                    connection.rollback()
                time.sleep(0.005)


def butler_program(client: str) -> str:
    """Return the ``butler`` command beside a Python."""
    return str(Path(client).parent / "butler")


def compare_reading(repo: str, client: str) -> Iterator[Comparison]:
    """Compare what only reads."""
    butler = butler_program(client)
    everything = [butler, "query-datasets", repo, "*", "--collections", "*", "--limit", "0"]
    where = "instrument='Cam' AND detector IN (1..5) AND exposure.exposure_time > 10"
    for what, ours, against, theirs in (
        (
            "collection list --counts",
            ["collection", "list", repo, "--counts"],
            "query-datasets '*', all collections",
            everything,
        ),
        (
            "dataset find, all of a run",
            ["dataset", "find", repo, "raw", "-c", RUN],
            "query-datasets raw",
            [butler, "query-datasets", repo, "raw", "--collections", RUN, "--limit", "0"],
        ),
        (
            "dataset find --where",
            ["dataset", "find", repo, "raw", "-c", RUN, "--where", where],
            "query-datasets raw --where",
            [butler, "query-datasets", repo, "raw", "--collections", RUN, "--limit", "0", "--where", where],
        ),
        (
            "dataset orphans",
            ["dataset", "orphans", repo],
            "query-datasets '*' --show-uri",
            [*everything, "--show-uri"],
        ),
    ):
        mine = run_s([*PROGRAM, "-q", *ours])
        other = run_s(theirs)
        yield Comparison(what, against, mine[0], other[0], mine[1], other[1])


def compare_removal(ours: Repository, theirs: str, client: str) -> Comparison:
    """Compare the removal of a run with all that is in it, each in its own copy."""
    repo = str(ours.config_file)
    watch = Watch(ours) if ours.dialect == "postgresql" else None
    with watch or contextlib.nullcontext():
        mine = run_s([*PROGRAM, "-q", "dataset", "remove", repo, "-c", RUN, "--yes", "--empty-trash"])
    other = run_s([butler_program(client), "remove-runs", theirs, RUN, "--no-confirm"])
    stall = watch.longest_s if watch is not None else None
    return Comparison("dataset remove, a whole run", "remove-runs", mine[0], other[0], mine[1], other[1], stall)


def _created(folder: Path, *words: str) -> Repository:
    run_s([*PROGRAM, "create", str(folder), *words])
    return open_repository(str(folder))


def _with_url(folder: Path, url: str) -> Repository:
    """Write the URL of a database into ``butler.yaml``, with its password."""
    path = folder / "butler.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["registry"]["db"] = sa.make_url(url).set(drivername=DRIVER).render_as_string(hide_password=False)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return open_repository(str(folder))


def measure_sqlite(datasets: int, client: str) -> Iterator[Comparison]:
    """Measure on SQLite."""
    with tempfile.TemporaryDirectory(prefix="registrytool-benchmark-") as name:
        repository = _created(Path(name) / "repo")
        fill(repository, datasets)
        print(f"SQLite, {datasets + datasets // 10:,} datasets", file=sys.stderr)
        yield from compare_reading(str(repository.root), client)
        shutil.copytree(Path(name) / "repo", Path(name) / "theirs")
        yield compare_removal(repository, str(Path(name) / "theirs"), client)


def measure_postgresql(datasets: int, client: str, server: PostgresServer) -> Iterator[Comparison]:
    """Measure on PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="registrytool-benchmark-") as name:
        url = server.new_database()
        _created(Path(name) / "repo", "--db", url, "--namespace", NAMESPACE)
        repository = _with_url(Path(name) / "repo", url)
        fill(repository, datasets)
        print(f"PostgreSQL, {datasets + datasets // 10:,} datasets, {server.origin}", file=sys.stderr)
        yield from compare_reading(str(repository.root), client)
        copy = server.new_database(url)
        shutil.copytree(Path(name) / "repo", Path(name) / "theirs")
        theirs = _with_url(Path(name) / "theirs", copy)
        yield compare_removal(repository, str(theirs.root), client)


def measure_maintain(datasets: int, client: str | None, url: str | None) -> Iterator[Comparison]:
    """Measure on both databases.

    Parameters
    ----------
    datasets : `int`
        Number of datasets in the run; there is a second run with a tenth of them.
    client : `str` or `None`
        Python of an environment with the Butler.
    url : `str` or `None`
        Server where databases may be made; by default one is started.
    """
    if client is None:
        raise SystemExit("No Butler client: name its Python by --client or REGISTRYTOOL_TEST_CLIENT.")
    yield from measure_sqlite(datasets, client)
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
        yield from measure_postgresql(datasets, client, server)
