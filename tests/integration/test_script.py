"""Scripts of ``migrate --sql`` do what ``migrate`` does, whoever runs them; otherwise they leave everything alone."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import sqlalchemy as sa

from registrytool.config import Content
from registrytool.database import Database
from registrytool.migrate import MigrateOptions, migration_script
from registrytool.repository import open_repository
from registrytool.state import LOG_PREFIX, read_attributes, write_attribute
from tests.migration.test_steps import never_null
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import fill_registry, read_content
from tests.support.scripts import execute_script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from registrytool.state import Recorded
    from tests.support.places import Place, Run
    from tests.support.postgres import PostgresServer

ODD = '50% of "it": it\'s \\ :name %(x)s $1 {brace} ünï -- end; /* x */'
AGAIN = "Write the script again."
OTHER_VERSIONS = (
    f"The versions or the universe of this registry are not those for which this script was written. {AGAIN}"
)
OTHER_COLUMNS = f"The tables of this registry have columns that were not there when this script was written. {AGAIN}"


@pytest.fixture
def repository(place: Place) -> Repository:
    """Make a registry of universe 1 with rows in every table, and odd names in some."""
    made = make(place, "w_2022_12")
    with Database.of(made).read() as connection:
        state = recorded(made, connection).state
    fill_registry(made, never_null=never_null(state))
    with Database.of(made).write("add odd names") as connection:
        write_attribute(connection, made.namespace, ODD, ODD)
        table = sa.table("skymap", sa.column("name"), sa.column("hash"), schema=made.namespace)
        first = sa.select(sa.func.min(table.c.name)).scalar_subquery()
        connection.execute(sa.update(table).where(table.c.name == first).values(hash=b"\x00\\'%:\xff"))
    return made


def recorded(repository: Repository, connection: sa.Connection) -> Recorded:
    from registrytool.catalog import Catalog
    from registrytool.state import read_recorded

    return read_recorded(connection, repository.namespace, Catalog.find(), where="the test")


@pytest.fixture
def twin(repository: Repository, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """Give a copy of the registry."""
    if repository.sqlite_file is not None:
        file = tmp_path / "twin.sqlite3"
        shutil.copy(repository.sqlite_file, file)
        yield open_repository(f"sqlite:///{file}")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database(repository.url.render_as_string(hide_password=False))
    yield open_repository(url, namespace=repository.namespace)
    server.drop_database(url)


def refusal(repository: Repository, text: str) -> str:
    with pytest.raises((sqlite3.IntegrityError, psycopg2.errors.RaiseException)) as caught:
        execute_script(repository, text)
    return str(caught.value).partition("\n")[0]


def content(repository: Repository) -> dict[str, list[tuple[object, ...]]]:
    """Read all rows but those of the log, whatever their order."""
    return {name: table.of(sorted(table.columns)) for name, table in read_content(repository).items()}


def log(repository: Repository) -> dict[str, Any]:
    with Database.of(repository).read() as connection:
        (entry,) = (v for n, v in read_attributes(connection, repository.namespace).items() if n.startswith(LOG_PREFIX))
    found: dict[str, Any] = json.loads(entry)
    return found


SETTINGS = {"has_simulated": "0"}
OPTIONS = MigrateOptions(settings=SETTINGS, accept_loss=True)


@pytest.mark.parametrize("namespace", ["registry", 'odd "näme-space \\ 50%: $$'], ids=["plain", "odd"])
def test_a_script_gives_the_same_database_as_the_migration(repository: Repository, twin: Repository, run: Run) -> None:
    script = migration_script(twin, OPTIONS)
    migrate(repository, "newest", **SETTINGS)

    execute_script(twin, script.text)

    assert_clean(twin)
    assert content(twin) == content(repository)
    entry, wanted = log(twin), log(repository)
    assert entry["steps"] == wanted["steps"]
    assert len(script.parts) > len(wanted["steps"]) > 5
    assert str(entry["who"]).startswith("a script by ")
    assert entry["when"][:10] == wanted["when"][:10]
    words = [
        str(twin.url.render_as_string(hide_password=False)),
        *(("--namespace", twin.namespace) if twin.namespace else ()),
    ]
    assert [line.strip() for line in run("log", *words).stdout.splitlines()[1:]] == entry["steps"]


def test_a_script_brings_a_registry_of_week_2020_45_to_the_newest_versions(place: Place) -> None:
    made = make(place, "w_2020_45")
    with Database.of(made).read() as connection:
        state = recorded(made, connection).state
    fill_registry(made, never_null=never_null(state))
    before = read_content(made)
    settings = {**SETTINGS, "deterministic_types": ""}

    script = migration_script(made, MigrateOptions(settings=settings, accept_loss=True))

    assert (
        "-- Afterwards butler.yaml must have file_datastore_records wherever it has posix_datastore_records.\n"
    ) in script.text
    execute_script(made, script.text)
    assert_clean(made)
    after = read_content(made)
    names = ("dataset", "dataset_location", "exposure", "visit", "collection")
    assert {n: len(after[n].rows) for n in names} == {n: len(before[n].rows) for n in names}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_script_for_sqlite_cannot_compute_deterministic_identifiers(place: Place, run: Run) -> None:
    fill_registry(make(place, "w_2021_12"))

    outcome = run("migrate", place.folder, "--sql", "--set", "has_simulated=0")

    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert outcome.stderr == (
        "Error: The step datasets ByDimensionsDatasetRecordStorageManager 1.0.0 -> "
        "ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 cannot be written as SQL: UUIDs that follow from data IDs "
        "need a function that the sqlite3 shell does not have. Run 'registrytool migrate' without --sql, or give all "
        "datasets other UUIDs with --set deterministic_types=.\n"
    )


def test_a_script_from_a_recorded_registry_is_that_of_the_registry(
    repository: Repository, place: Place, run: Run, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    words = [place.url, *(("--namespace", place.namespace) if place.namespace else ())]
    record.write_text(run("schema", "show", *words, "--format", "json").stdout, encoding="utf-8")

    offline = run("migrate", "--sql", "--from-snapshot", record, "--to", "w_2024_10", "--set", "has_simulated=0")

    assert (offline.exit_code, offline.stderr) == (0, "")
    live = migration_script(repository, MigrateOptions(targets=("w_2024_10",), settings=SETTINGS))
    assert offline.stdout.splitlines()[1:] == live.text.splitlines()[1:]
    execute_script(repository, offline.stdout)
    assert_clean(repository)


def test_a_script_down_asserts_that_nothing_is_lost(repository: Repository) -> None:
    migrate(repository, "newest", **SETTINGS)
    before = content(repository)
    options = MigrateOptions(targets=("datasets=1.0.0",))
    with Database.of(repository).write("set an odd date") as connection:
        table = sa.table("dataset", sa.column("ingest_date"), schema=repository.namespace)
        connection.execute(sa.update(table).values(ingest_date=1_700_000_000_000_000_001))

    said = refusal(repository, migration_script(repository, options).text)

    assert said == (
        "The step datasets ByDimensionsDatasetRecordStorageManagerUUID 2.0.0 -> 1.0.0 would lose the nanoseconds of "
        "the ingest dates of some datasets. Accept that with --accept-loss, or stay at the present version."
    )
    execute_script(repository, migration_script(repository, replace(options, accept_loss=True)).text)
    assert_clean(repository)
    assert content(repository).keys() == before.keys()


def test_a_script_is_refused_by_a_registry_that_changed_since(repository: Repository) -> None:
    text = migration_script(repository, OPTIONS).text
    with Database.of(repository).write("add a column") as connection:
        skymap = f"{repository.namespace}.skymap" if repository.namespace else "skymap"
        connection.exec_driver_sql(f"ALTER TABLE {skymap} ADD COLUMN spare INTEGER")
    before = content(repository)

    assert refusal(repository, text) == OTHER_COLUMNS
    assert content(repository) == before
    with Database.of(repository).write("drop it") as connection:
        connection.exec_driver_sql(f"ALTER TABLE {skymap} DROP COLUMN spare")
    execute_script(repository, text)
    assert refusal(repository, text) == OTHER_VERSIONS


def test_a_script_is_refused_while_registrytool_is_at_work(postgres: PostgresServer, run: Run, tmp_path: Path) -> None:
    url = postgres.new_database()
    assert run("create", tmp_path / "made", "--db", url, "--namespace", "n", "--at", "w_2024_10").exit_code == 0
    repository = open_repository(url, namespace="n")
    text = migration_script(repository).text
    with Database.of(repository).write("stay"):
        said = refusal(repository, text)
    assert said == "Another registrytool is at work in this registry. Wait until it has finished."
    postgres.drop_database(url)


def test_a_script_keeps_indexes_and_triggers_of_others_on_sqlite(run: Run, tmp_path: Path) -> None:
    assert run("create", tmp_path / "repo", "--at", "w_2022_12").exit_code == 0
    repository = open_repository(str(tmp_path / "repo"))
    assert repository.sqlite_file is not None
    mine = [
        'CREATE INDEX "odd; name" ON exposure (lower(obs_id)) WHERE id > 5',
        "CREATE TRIGGER mine AFTER INSERT ON exposure BEGIN SELECT ';' || ':x'; END",
    ]
    with contextlib.closing(sqlite3.connect(repository.sqlite_file)) as file:
        for statement in mine:
            file.execute(statement)

    execute_script(repository, migration_script(repository, OPTIONS).text)

    with contextlib.closing(sqlite3.connect(repository.sqlite_file)) as file:
        found = [sql for (sql,) in file.execute("SELECT sql FROM sqlite_master WHERE name IN ('odd; name', 'mine')")]
    assert sorted(found) == sorted(mine)


def test_a_step_that_computes_rows_in_python_is_refused(tmp_path: Path, run: Run) -> None:
    own = tmp_path / "content"
    root = Content.find().root
    for name in ("schemas", "alembic"):
        shutil.copytree(root / name, own / name, ignore=shutil.ignore_patterns("__pycache__"))
    (script,) = own.rglob("v7_to_v8_solar_system.py")
    text = script.read_text(encoding="utf-8")
    run("create", tmp_path / "repo", "--at", "dimensions-config=7")
    words = ("migrate", tmp_path / "repo", "--sql", "--content", own)
    begun = "Error: The step dimensions-config daf_butler 7 -> 8 cannot be written as SQL: "
    hint = "Run 'registrytool migrate' without --sql, or plan the script to the version before it with --to.\n"

    script.write_text(text.replace("    step.reshape()\n", "    step.fetch(step.old('visit').select())\n", 1), "utf-8")
    assert run(*words) == (3, "", f"{begun}it computes rows in Python from what it reads. {hint}")

    script.write_text(text + '\ncomputes = "regions are drawn by hand"\n', "utf-8")
    assert run(*words) == (3, "", f"{begun}regions are drawn by hand. {hint}")


def test_from_snapshot_says_what_is_wrong_with_the_file(tmp_path: Path, run: Run) -> None:
    file, hint = tmp_path / "f.json", "'registrytool schema show REPO --format json' writes one."
    words = ("migrate", "--sql", "--from-snapshot", file)
    assert run(*words) == (2, "", f"Error: Cannot read {file}: No such file or directory.\n")
    file.write_text("-")
    assert run(*words) == (2, "", f"Error: {file} is not JSON. {hint}\n")
    file.write_text('{"registry": {"a": 1}}')
    assert run(*words) == (2, "", f"Error: {file} does not hold the record of a registry. {hint}\n")
    file.write_text('{"registry": {"record_version": 0}}')
    assert run(*words).stderr.startswith(f"Error: {file} was written by a registrytool that records registries")
    file.write_text('{"registry": {"record_version": 1}}')
    assert run(*words).stderr.startswith(f"Error: The record of a registry in {file} is incomplete: ")
    assert run("migrate", "--from-snapshot", file).stderr == (
        "Error: The option --from-snapshot goes with --sql: without a database there is only a script to write. "
        "Add --sql, or name the repository instead.\n"
    )
    assert run("migrate").stderr == (
        "Error: No registry was named. Name the repository, or with --sql its record by --from-snapshot.\n"
    )
