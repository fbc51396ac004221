"""A run that is killed at any moment leaves the registry as it was or as it shall be, and the next run finishes.

``REGISTRYTOOL_CRASHES`` says how many times a migration is killed on each database, ``REGISTRYTOOL_CRASH_SEED`` which
moments are chosen; other commands are killed a third as often.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.executor import ConnectionExecutor
from registrytool.models import DatasetTables, DynamicContent
from registrytool.reshape import Reshape
from registrytool.state import LOG_PREFIX, read_recorded
from registrytool.structure import from_metadata
from tests.support import forks
from tests.support.killing import killed_at, points_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.places import Place, Run
    from tests.support.postgres import PostgresServer

CRASHES = int(os.environ.get("REGISTRYTOOL_CRASHES", "4"))
FEWER = max(2, CRASHES // 3)
SEED = int(os.environ.get("REGISTRYTOOL_CRASH_SEED", "20261123"))

#: Of a size that SQLite cannot keep in its cache (2 MB): it writes to the file long before the commit.
DATASETS = 15_000

pytestmark = pytest.mark.slow


# -- a registry that can be made again and again --------------------------------


@dataclass
class Subject:
    """A registry, and a copy of it to begin again from."""

    place: Place
    folder: Path
    server: PostgresServer | None
    url: str
    pristine: str | None = None

    @property
    def words(self) -> list[str]:
        """How the command line names it."""
        return [self.url, *(("--namespace", self.place.namespace) if self.place.namespace else ())]

    @property
    def file(self) -> Path:
        """Database file, on SQLite."""
        return Path(sa.make_url(self.url).database or "")

    def keep(self) -> None:
        """Remember the present content as the one to begin from."""
        if self.server is not None:
            self.pristine = self.url
            self.begin_again()
        else:
            shutil.copy(self.file, self.folder / "pristine")

    def begin_again(self) -> None:
        """Bring back the remembered content, or none, in a new database."""
        if self.server is not None:
            if self.url != self.pristine:
                self.server.drop_database(self.url)
            self.url = self.server.new_database(self.pristine)
            return
        for path in self.file.parent.iterdir():
            path.unlink()
        if (self.folder / "pristine").exists():
            shutil.copy(self.folder / "pristine", self.file)

    def await_departure(self) -> None:
        """Wait until the server has noticed that a client is gone."""
        if self.server is None:
            return
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()")
        engine = sa.create_engine(self.server.admin_url, poolclass=sa.NullPool)
        deadline = time.monotonic() + 60
        with engine.connect() as connection:
            while connection.scalar(query, {"name": sa.make_url(self.url).database}):
                assert time.monotonic() < deadline, "a session outlives its client by a minute"
                time.sleep(0.05)
                connection.rollback()


@pytest.fixture
def subject(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    server: PostgresServer | None = None
    if place.dialect == "postgresql":
        server = request.getfixturevalue("postgres")
    made = Subject(place, tmp_path, server, place.url)
    yield made
    if server is not None:
        server.drop_database(made.url)
        if made.pristine is not None:
            server.drop_database(made.pristine)


@pytest.fixture
def filled(subject: Subject) -> Subject:
    """Return a registry of week 2023.32 with rows."""
    outcome = finished("create", subject.folder / "made", "--at", "w_2023_32", *_db_words(subject))
    assert outcome.returncode == 0, outcome.stderr
    fill_registry(subject.url, subject.place.namespace, DATASETS)
    subject.keep()
    return subject


def _db_words(subject: Subject) -> list[str]:
    return ["--db", *subject.words]


def fill_registry(url: str, namespace: str | None, datasets: int) -> None:
    """Fill an empty registry of universe 4 and datasets 1.0.0: ten detectors, as many exposures and visits as needed.

    All in statements that the database executes by itself.
    """
    catalog, database = Catalog.find(), Database(sa.make_url(url), namespace)
    lite = database.dialect == "sqlite"
    dataset_tables = (DatasetTables("dataset_tags_00000001", "tags", ("instrument", "detector", "exposure")),)
    dynamic = DynamicContent(dataset_tables, ("file_datastore_records",))
    with database.write("fill") as connection:
        recorded = read_recorded(connection, namespace, catalog, where=url)
        empty, full = (
            catalog.metadata(
                recorded.state, database.dialect, content, universe=recorded.universe, namespace=database.namespace
            )
            for content in (None, dynamic)
        )
        Reshape(from_metadata(empty, database.dialect), None, full).create(ConnectionExecutor(connection))
        if not lite:
            quoted = connection.dialect.identifier_preparer.quote_identifier(database.namespace or "public")
            connection.execute(sa.text("SELECT set_config('search_path', :name, true)"), {"name": quoted})
        for statement in fill_statements(datasets, lite=lite):
            # Without parameters, or psycopg2 would look for them after each percent sign.
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def fill_statements(datasets: int, *, lite: bool) -> Iterator[str]:
    """Give the statements that fill a registry."""
    exposures = datasets // 10 + 1

    def name(text: str) -> str:
        return f"printf('{text}', n)" if lite else f"format('{text.replace('%d', '%s')}', n)"

    def numbers(count: int) -> str:
        if lite:
            return (
                f"(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s) AS s"
            )
        return f"(SELECT generate_series(0::bigint, {count - 1}) AS n) AS s"

    # Spread over the index as random identifiers are, but the same each time.
    spread = "(n * 2654435761) % 4294967296"
    identifier = (
        f"printf('%08x%024x', {spread}, n)" if lite else f"(lpad(to_hex({spread}), 8, '0') || lpad(to_hex(n), 24, '0'))"
    )
    identifier = identifier if lite else f"{identifier}::uuid"
    begin = "1672531237000000000 + n * 30000000000"
    bounds = "timespan_begin, timespan_end" if lite else "timespan"
    span = f"{begin}, {begin} + 15000000000" if lite else f"int8range({begin}, {begin} + 15000000000)"
    false = "0" if lite else "false"
    ingested = (
        "strftime('%Y-%m-%d %H:%M:%S', 1672531200 + n, 'unixepoch') || printf('.%06d', n * 7919 % 1000000)"
        if lite
        else "timestamp '2023-01-01' + n * interval '1.007919 second'"
    )
    yield "INSERT INTO instrument VALUES ('LSSTCam', 100000000, 2, 100000000, 10, 'lsst.obs.lsst.LsstCam')"
    yield "INSERT INTO physical_filter (instrument, name, band) VALUES ('LSSTCam', 'r_57', 'r')"
    yield (
        "INSERT INTO detector (instrument, id, full_name, purpose) "
        f"SELECT 'LSSTCam', n, {name('R22_S%d')}, 'SCIENCE' FROM {numbers(10)}"
    )
    yield "INSERT INTO visit_system (instrument, id, name) VALUES ('LSSTCam', 2, 'by-seq-start-end')"
    yield (
        "INSERT INTO exposure (instrument, id, physical_filter, obs_id, exposure_time, observation_type, day_obs, "
        f"seq_num, group_name, group_id, has_simulated, {bounds}) SELECT 'LSSTCam', n, 'r_57', {name('obs-%d')}, 15.0, "
        f"'science', 20230101 + n % 28, n, {name('group-%d')}, n, {false}, {span} FROM {numbers(exposures)}"
    )
    yield (
        f"INSERT INTO visit (instrument, id, physical_filter, name, day_obs, seq_num, {bounds}) "
        f"SELECT 'LSSTCam', n, 'r_57', {name('visit-%d')}, 20230101 + n % 28, n, {span} FROM {numbers(exposures)}"
    )
    yield (
        f"INSERT INTO visit_definition (instrument, exposure, visit) SELECT 'LSSTCam', n, n FROM {numbers(exposures)}"
    )
    yield (
        "INSERT INTO visit_system_membership (instrument, visit_system, visit) "
        f"SELECT 'LSSTCam', 2, n FROM {numbers(exposures)}"
    )
    yield "INSERT INTO collection (collection_id, name, type) VALUES (1, 'LSSTCam/raw/all', 1)"
    yield "INSERT INTO run (collection_id) VALUES (1)"
    yield "INSERT INTO dimension_graph_key (id) VALUES (1)"
    yield (
        "INSERT INTO dimension_graph_definition (dimension_graph_id, dimension_name) "
        "VALUES (1, 'instrument'), (1, 'detector'), (1, 'exposure')"
    )
    yield (
        "INSERT INTO dataset_type (id, name, storage_class, dimensions_key, tag_association_table) "
        "VALUES (1, 'raw', 'Exposure', 1, 'dataset_tags_00000001')"
    )
    yield "INSERT INTO collection_summary_dataset_type (collection_id, dataset_type_id) VALUES (1, 1)"
    yield "INSERT INTO collection_summary_instrument (collection_id, instrument) VALUES (1, 'LSSTCam')"
    yield "INSERT INTO opaque_meta VALUES ('file_datastore_records')"
    yield (
        "INSERT INTO dataset (id, dataset_type_id, ingest_date, run_id) "
        f"SELECT {identifier}, 1, {ingested}, 1 FROM {numbers(datasets)}"
    )
    yield (
        "INSERT INTO dataset_tags_00000001 (dataset_type_id, dataset_id, collection_id, instrument, detector, exposure)"
        f" SELECT 1, {identifier}, 1, 'LSSTCam', n % 10, n / 10 FROM {numbers(datasets)}"
    )
    yield (
        "INSERT INTO dataset_location (datastore_name, dataset_id) "
        f"SELECT 'FileDatastore@<butlerRoot>', {identifier} FROM {numbers(datasets)}"
    )
    yield (
        "INSERT INTO file_datastore_records (dataset_id, path, formatter, storage_class, component, file_size) "
        f"SELECT {identifier}, {name('LSSTCam/raw/%d.fits')}, 'lsst.obs.lsst.RawFormatter', 'Exposure', "
        f"'__NULL_STRING__', 1000 + n FROM {numbers(datasets)}"
    )


def checksums(url: str, namespace: str | None) -> dict[str, str]:
    """Return a digest of the rows of each table, without the log, whose times differ; and the number of log entries."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    quote = engine.dialect.identifier_preparer.quote_identifier
    prefix = f"{quote(namespace)}." if namespace else ""
    result = {}
    with engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names(schema=namespace):
            rows = [repr(tuple(row)) for row in connection.exec_driver_sql(f"SELECT * FROM {prefix}{quote(name)}")]
            if name == "butler_attributes":
                entries = [row for row in rows if LOG_PREFIX in row]
                result["log"] = str(len(entries))
                rows = [row for row in rows if row not in entries]
            result[name] = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            text = sorted(str(row) for row in connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master"))
            result["definitions"] = hashlib.sha256("\n".join(text).encode()).hexdigest()
    return result


# -- killing --------------------------------------------------------------------


def finished(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, to its end."""
    return forks.finished(forks.registrytool, "registrytool", *words)


def kill_after(delay_s: float, *words: object) -> bool:
    """Start a command and kill it and all that it started, unless it has finished; return whether it was killed."""
    process = forks.Forked(forks.registrytool, "registrytool", *words)
    return _kill(process, delay_s)


def kill_at_commit(delay_s: float, *words: object) -> bool:
    """Start a command and kill it so long after it says that it commits; return whether it was killed."""
    listened, spoken = os.pipe()
    process = forks.Forked(forks.registrytool, "registrytool", *words, stderr=spoken)
    os.close(spoken)
    with os.fdopen(listened, encoding="utf-8") as said:
        assert any(line == "committing ...\n" for line in said)
        # What it says after that is little and stays in the pipe.
        return _kill(process, delay_s)


def _kill(process: forks.Forked, delay_s: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=delay_s)
    process.kill()
    process.communicate()
    return process.returncode != 0


def duration_s(subject: Subject, *words: object) -> float:
    """Measure how long a command takes; the longer of two runs."""
    measured = []
    for _ in range(2):
        subject.begin_again()
        begun = time.monotonic()
        outcome = finished(words[0], *subject.words, *words[1:])
        measured.append(time.monotonic() - begun)
        assert outcome.returncode == 0, outcome.stderr
    return max(measured)


#: On a busy machine the time of a run changes: it is measured again after so many runs.
MEASURE_EVERY = 12


def moments(longest_s: float, count: int) -> list[float]:
    """Choose when to kill: anywhere from the start of the process until a little after its end."""
    chance = random.Random(SEED)  # noqa: S311
    return [chance.uniform(0, 1.1 * longest_s) for _ in range(count)]


def state_of(subject: Subject, run: Run) -> bool:
    """Check that a registry is sound; return whether it is the newest."""
    status = run("status", *subject.words, "--format", "json")
    assert status.exit_code in (0, 4), status.stderr
    verification = run("verify", *subject.words)
    assert verification.exit_code == 0, verification.stdout + verification.stderr
    current: bool = json.loads(status.stdout)["current"]
    assert current == (status.exit_code == 0)
    return current


# -- claims ---------------------------------------------------------------------


def test_a_killed_migration_leaves_the_old_state_or_the_new_one_and_can_be_repeated(
    filled: Subject, run: Run, request: pytest.FixtureRequest
) -> None:
    backups = filled.folder / "backups"
    backups.mkdir()
    options = ("--yes", "--backup", backups)
    old = checksums(filled.url, filled.place.namespace)
    duration_s(filled, "migrate", "--yes", "--no-backup")
    new = checksums(filled.url, filled.place.namespace)
    assert (old["log"], new["log"]) == ("0", "1")
    seen: Counter[str] = Counter()

    for number, part in enumerate(moments(1, CRASHES)):
        if number % MEASURE_EVERY == 0:
            longest_s = duration_s(filled, "migrate", *options, "--wait", "60")
        # Every other one around the commit, which is a short part of the whole: from 0.1 to 100 ms after its begin.
        at_commit = number % 2 == 1
        moment = 1e-4 * 1000**part if at_commit else part * longest_s
        parts = set(backups.glob("*.part"))
        for path in set(backups.iterdir()) - parts:
            # One of a run that was killed stays beside the next one.
            path.unlink()
        filled.begin_again()
        kill = kill_at_commit if at_commit else kill_after
        killed = kill(moment, "migrate", *filled.words, *options)
        filled.await_departure()
        unfinished = bool(set(backups.glob("*.part")) - parts)
        if killed:
            journal = filled.place.dialect == "sqlite" and Path(f"{filled.file}-journal").exists()
        when = f"killed {moment:.4f} s after the {'begin of the commit' if at_commit else 'start'}"

        current = state_of(filled, run)

        assert checksums(filled.url, filled.place.namespace) == (new if current else old), when
        again = run("migrate", *filled.words, *options)
        assert again.exit_code == 0, f"{when}: {again.stderr}"
        assert ("nothing to do" in again.stdout) == current
        assert checksums(filled.url, filled.place.namespace) == new, when
        seen[f"{'new' if current else 'old'}{' at the commit' if at_commit else ''}"] += 1
        seen["killed"] += killed
        seen["hot journal"] += killed and journal
        seen["unfinished backup"] += unfinished

    # Shown by -rP.
    told = f"{CRASHES} runs of at most {longest_s:.1f} s: {dict(seen)}"
    request.node.add_report_section("call", "outcomes", told)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_a_killed_process_left_in_a_journal_is_undone_by_the_next_that_reads(
    mode: str, filled: Subject, run: Run
) -> None:
    with contextlib.closing(sqlite3.connect(filled.file)) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
    filled.keep()
    old = checksums(filled.url, None)
    target = ("--to", "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0", "--accept-loss")
    command = ("migrate", *filled.words, *target, "--yes", "--no-backup")
    points = points_of(*command)
    new = checksums(filled.url, None)
    filled.begin_again()

    assert killed_at(len(points) - points[::-1].index("COMMIT"), *command)
    left = Path(f"{filled.file}-{'wal' if mode == 'wal' else 'journal'}")
    assert left.stat().st_size > 1_000_000
    changed = filled.file.read_bytes() != (filled.folder / "pristine").read_bytes()
    assert changed == (mode == "delete")

    assert not state_of(filled, run)
    assert not left.exists() or mode == "wal"
    assert checksums(filled.url, None) == old
    again = run(*command)
    assert again.exit_code == 0, again.stderr
    assert checksums(filled.url, None) == new


def test_a_killed_repair_leaves_the_drift_or_its_repair_and_can_be_repeated(filled: Subject, run: Run) -> None:
    engine = sa.create_engine(filled.url, poolclass=sa.NullPool)
    quote = engine.dialect.identifier_preparer.quote_identifier
    prefix = f"{quote(filled.place.namespace)}." if filled.place.namespace else ""
    filled.begin_again()
    engine = sa.create_engine(filled.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX {prefix}file_datastore_records_idx_path")
    if filled.server is not None and filled.pristine is not None:
        filled.server.drop_database(filled.pristine)
    filled.keep()
    options = ("--repair", "--yes", "--backup", filled.folder)
    longest_s = duration_s(filled, "verify", *options)

    for moment in moments(longest_s, FEWER):
        for path in filled.folder.glob("*.backup-*"):
            path.unlink()
        filled.begin_again()
        kill_after(moment, "verify", *filled.words, *options)
        filled.await_departure()
        when = f"killed after {moment:.3f} s"

        verification = run("verify", *filled.words, "--format", "json")

        assert verification.exit_code in (0, 4), f"{when}: {verification.stderr}"
        drift = [kind["id"] for kind in json.loads(verification.stdout)["drift"]]
        assert drift == (["records-without-path-index"] if verification.exit_code else []), when
        again = run("verify", *filled.words, *options)
        assert again.exit_code == 0, f"{when}: {again.stderr}"
        assert run("verify", *filled.words).exit_code == 0, when


def test_a_killed_stamp_writes_all_revisions_or_none_and_can_be_repeated(filled: Subject, run: Run) -> None:
    longest_s = duration_s(filled, "stamp")
    new = checksums(filled.url, filled.place.namespace)
    old = {name: digest for name, digest in new.items() if name not in ("alembic_version", "definitions")}

    for moment in moments(longest_s, FEWER):
        filled.begin_again()
        kill_after(moment, "stamp", *filled.words)
        filled.await_departure()
        when = f"killed after {moment:.3f} s"

        assert not state_of(filled, run), when

        found = checksums(filled.url, filled.place.namespace)
        if "alembic_version" not in found:
            found.pop("definitions", None)
            assert found == old, when
        else:
            assert found == new, when
        assert run("stamp", *filled.words).exit_code == 0, when
        assert checksums(filled.url, filled.place.namespace) == new, when


def test_a_killed_creation_leaves_a_whole_repository_or_says_what_to_remove(subject: Subject, run: Run) -> None:
    root = subject.folder / "made"

    def words() -> list[str]:
        return ["create", str(root), *(_db_words(subject) if subject.server is not None else ())]

    measured = []
    for _ in range(2):
        begun = time.monotonic()
        assert finished(*words()).returncode == 0
        measured.append(time.monotonic() - begun)
        shutil.rmtree(root)
        subject.begin_again()
    repo = [str(root), *(("--db", subject.url) if subject.server is not None else ())]

    for moment in moments(max(measured), FEWER):
        shutil.rmtree(root, ignore_errors=True)
        subject.begin_again()
        repo = [str(root), *(("--db", subject.url) if subject.server is not None else ())]
        kill_after(moment, *words())
        subject.await_departure()
        when = f"killed after {moment:.3f} s"

        again = run(*words())

        if again.exit_code == 0:
            # Nothing was there that could be taken for a repository.
            assert run("verify", *repo).exit_code == 0, when
            continue
        assert again.exit_code == 3, when
        if run("status", *repo).exit_code == 0:
            assert again.stderr.startswith(f"Error: There is a repository in {root} already."), when
            assert run("verify", *repo).exit_code == 0, when
            continue
        named = re.fullmatch(r"Error: There is a (?:repository in|database file) (\S+) already\. .*\n", again.stderr)
        assert named, f"{when}: {again.stderr}"
        found = Path(named[1])
        shutil.rmtree(found) if found.is_dir() else found.unlink()
        once_more = run(*words())
        assert once_more.exit_code == 0, f"{when}: {once_more.stderr}"
        assert run("verify", *repo).exit_code == 0, when
