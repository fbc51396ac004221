"""What a database can do to a command: locks, full disks, missing rights, broken files; and passwords."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

import registrytool.database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Limits, Registry
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
if sys.argv[2] == "BEGIN":
    connection.execute("SELECT count(*) FROM butler_attributes").fetchall()
print("held", flush=True)
sys.stdin.read()
"""
#: A command line of which the beginning must be enough.
LONG = "postgresql://me:secret@host/db " + "x" * 200
WAIT = "Wait until it has finished and run the same command again.\n"


@contextmanager
def held(file: Path, statement: str) -> Iterator[str]:
    """Let another process hold a lock; give how it is called in messages."""
    command = [sys.executable, "-c", HOLD, str(file), statement, LONG]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        words = " ".join(" ".join(command).replace("me:secret@", "me:***@").split())
        yield f"process {process.pid} ({words[:77]}...)"


def last_line(text: str) -> str:
    return text.splitlines(keepends=True)[-1]


# -- locks ------------------------------------------------------------------------


def test_a_writer_that_is_locked_out_says_by_whom(old_registry: Registry, run: Run) -> None:
    if old_registry.place.dialect == "sqlite":
        with held(old_registry.file, "BEGIN IMMEDIATE") as holder:
            before = old_registry.trace()
            migrate = run("migrate", "repo", "--wait", "0.1")
            stamp = run("stamp", "repo", "--wait", "0.1")
            assert run("status", "repo").exit_code == 4  # reading goes on
            assert old_registry.trace() == before
    else:
        with old_registry.connect() as connection:
            connection.exec_driver_sql("SELECT set_config('application_name', 'a night of observing', false)")
            connection.exec_driver_sql("LOCK TABLE registry.visit IN ROW EXCLUSIVE MODE")
            connection.exec_driver_sql("LOCK TABLE registry.butler_attributes IN SHARE MODE")
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            user = sa.make_url(old_registry.place.url).username
            holder = f"session {pid} of user {user} from 127.0.0.1 (a night of observing)"
            migrate = run("migrate", "repo", "--wait", "0.1", "--no-backup")
            stamp = None
            assert run("status", "repo").exit_code == 4

    assert last_line(migrate.stderr) == f"Error: Cannot migrate repo: {holder} holds the lock. {WAIT}"
    assert (migrate.exit_code, migrate.stdout) == (3, "")
    if stamp is not None:
        assert stamp == (3, "", f"Error: Cannot stamp repo: {holder} holds the lock. {WAIT}")
    assert run("status", "repo").exit_code == 4


def test_a_reader_that_is_locked_out_says_by_whom(
    registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrytool.database, "READ_WAIT_S", 0.1)
    if registry.place.dialect == "sqlite":
        where = f"sqlite:///{registry.file}"
        with held(registry.file, "BEGIN EXCLUSIVE") as holder:
            outcomes = [run(command, "repo") for command in ("status", "verify", "log", "migrate")]
    else:
        url = sa.make_url(registry.place.url)
        where = url._replace(password=None).render_as_string()
        with registry.connect() as connection:
            connection.exec_driver_sql("LOCK TABLE registry.butler_attributes IN ACCESS EXCLUSIVE MODE")
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            holder = f"session {pid} of user {url.username} from 127.0.0.1"
            outcomes = [run(command, "repo") for command in ("status", "verify", "log", "migrate")]

    for outcome in outcomes:
        assert (outcome.exit_code, outcome.stdout) == (3, "")
        *listed, said = outcome.stderr.splitlines()
        assert f"{said}\n" == f"Error: Cannot read {where}: {holder} holds the lock. {WAIT}"
        if registry.place.dialect == "postgresql":
            (line,) = listed
            assert re.fullmatch(
                re.escape(f"In the way: {holder}, in its transaction for ")
                + r"\d+ s, holds AccessExclusiveLock on butler_attributes\.",
                line,
            )
        else:
            assert listed == []


def test_a_commit_that_a_reader_is_in_the_way_of_says_who(sqlite_registry: Registry, run: Run) -> None:
    with held(sqlite_registry.file, "BEGIN") as holder:
        outcome = run("stamp", "repo", "--wait", "0.1")

    assert outcome == (3, "", f"Error: Cannot stamp repo: {holder} holds the lock. {WAIT}")
    assert run("status", "repo").exit_code == 4


def test_two_runs_at_a_time_are_refused(old_registry: Registry, run: Run) -> None:
    database = registrytool.database.Database(sa.make_url(old_registry.place.url), old_registry.place.namespace)
    with database.write("try"):
        outcome = run("migrate", "repo", "--wait", "0.1")

    assert (outcome.exit_code, outcome.stdout) == (3, "")
    sentence = last_line(outcome.stderr)
    assert sentence.startswith("Error: Cannot migrate repo: ")
    assert f"pid {os.getpid()} try" in sentence or f"process {os.getpid()} (" in sentence
    assert sentence.endswith(f" holds the lock. {WAIT}")


# -- disks and rights -----------------------------------------------------------------


def test_a_full_disk_is_said_and_nothing_is_changed(sqlite_registry: Registry, run: Run) -> None:
    def fill(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            # What SQLite says is the same as when the disk is full.
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

    before = sqlite_registry.trace()
    event.listen(sa.Engine, "connect", fill)
    try:
        outcome = run("migrate", "repo", "--no-backup")
    finally:
        event.remove(sa.Engine, "connect", fill)

    assert last_line(outcome.stderr) == (
        f"Error: Cannot migrate repo: the disk of {sqlite_registry.file} is full. Nothing was changed. Make room "
        "and run "
        "the same command again.\n"
    )
    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert sqlite_registry.trace() == before


def test_a_limit_on_file_sizes_is_said_and_nothing_is_changed(
    sqlite_registry: Registry, limits: Limits, run: Run
) -> None:
    content = sqlite_registry.file.read_bytes()
    with limits.file_size(len(content)):
        outcome = run("migrate", "repo", "--no-backup")

    assert last_line(outcome.stderr) == (
        f"Error: Cannot migrate repo: the file {sqlite_registry.file} cannot be read or written (disk I/O error). "
        "Nothing "
        "was changed. Check the disk, and the limits on file sizes and quota.\n"
    )
    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert run("status", "repo").exit_code == 4
    assert sqlite_registry.file.read_bytes() == content


def test_a_backup_that_does_not_fit_is_said_and_removed(sqlite_registry: Registry, limits: Limits, run: Run) -> None:
    before = sqlite_registry.trace()
    with limits.file_size(20_000):
        outcome = run("migrate", "repo")

    assert last_line(outcome.stderr).startswith(f"Error: The backup to {sqlite_registry.folder}/gen3.sqlite3.backup-")
    assert last_line(outcome.stderr).endswith(" Nothing was changed. Name another place with --backup.\n")
    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert sqlite_registry.trace() == before


def test_a_file_that_is_read_only_is_refused_by_the_database(
    sqlite_registry: Registry, limits: Limits, run: Run
) -> None:
    sqlite_registry.file.chmod(0o444)
    before = sqlite_registry.trace()

    with limits.permissions_bind():
        migrate = run("migrate", "repo", "--no-backup")
        stamp = run("stamp", "repo")

    sentence = f"the file {sqlite_registry.file} or its folder is read-only. Get write permission, or work on a copy.\n"
    assert last_line(migrate.stderr) == f"Error: Cannot migrate repo: {sentence}"
    assert (migrate.exit_code, migrate.stdout) == (3, "")
    assert stamp == (3, "", f"Error: Cannot stamp repo: {sentence}")
    assert sqlite_registry.trace() == before


def test_a_folder_that_is_read_only_is_refused_by_the_database(
    sqlite_registry: Registry, limits: Limits, run: Run
) -> None:
    before = sqlite_registry.trace()
    sqlite_registry.folder.chmod(0o555)

    with limits.permissions_bind():
        migrate = run("migrate", "repo", "--no-backup")
        backup = run("migrate", "repo")
    sqlite_registry.folder.chmod(0o755)

    assert last_line(migrate.stderr) == (
        f"Error: Cannot migrate repo: the file {sqlite_registry.file} or its folder is read-only. Get write "
        "permission, or "
        "work on a copy.\n"
    )
    assert (migrate.exit_code, migrate.stdout) == (3, "")
    assert "Error: The backup to " in backup.stderr
    assert (backup.exit_code, backup.stdout) == (3, "")
    assert sqlite_registry.trace() == before


def test_a_file_that_cannot_be_read_is_said(sqlite_registry: Registry, limits: Limits, run: Run) -> None:
    sqlite_registry.file.chmod(0o000)

    with limits.permissions_bind():
        outcome = run("status", "repo")

    assert outcome == (
        3,
        "",
        (
            f"Error: Cannot open the database file {sqlite_registry.file}: unable to open database file. Check that "
            "you may "
            "read the file and its folder.\n"
        ),
    )


# -- broken files -----------------------------------------------------------------------


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2 + 1000]


def not_sqlite(_: bytes) -> bytes:
    return b"This is a letter to a friend. " * 100


@pytest.mark.parametrize(
    ("spoil", "reason"), [(cut, "database disk image is malformed"), (not_sqlite, "file is not a database")]
)
def test_a_broken_file_is_said_and_left_as_it_is(
    spoil: Callable[[bytes], bytes], reason: str, sqlite_registry: Registry, run: Run
) -> None:
    file = sqlite_registry.file
    file.write_bytes(spoil(file.read_bytes()))
    before = sqlite_registry.trace()

    for words in (("status",), ("verify",), ("verify", "--repair"), ("migrate",), ("stamp",), ("log",)):
        assert run(*words, "repo") == (
            3,
            "",
            f"Error: The file {file} is not a sound SQLite database: {reason}. Restore it from a backup.\n",
        )
    assert sqlite_registry.trace() == before


def test_an_empty_file_holds_no_registry(sqlite_registry: Registry, run: Run) -> None:
    sqlite_registry.file.write_bytes(b"")
    before = sqlite_registry.trace()

    for command in ("status", "verify", "migrate", "stamp", "log"):
        outcome = run(command, "repo")
        assert (outcome.exit_code, outcome.stdout) == (3, "")
        assert outcome.stderr.startswith(
            "Error: There is no registry of repo: the table butler_attributes is missing. "
        )
    assert sqlite_registry.trace() == before


def test_what_holds_only_in_wal_mode_holds_as_well(sqlite_registry: Registry, run: Run) -> None:
    with closing(sqlite3.connect(sqlite_registry.file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")

    with held(sqlite_registry.file, "BEGIN IMMEDIATE") as holder:
        outcome = run("migrate", "repo", "--wait", "0.1")
    assert last_line(outcome.stderr) == f"Error: Cannot migrate repo: {holder} holds the lock. {WAIT}"
    assert run("migrate", "repo", "--backup", "kept").exit_code == 0
    assert run("status", "sqlite:///kept").exit_code == 4
    assert run("verify", "repo").exit_code == 0


# -- PostgreSQL, and passwords --------------------------------------------------------------

SECRET = "s3cr3t-w0rd"  # noqa: S105 (of nobody)


def test_a_server_that_cannot_be_reached_is_said_without_the_password(run: Run) -> None:
    outcome = run("status", f"postgresql://me:{SECRET}@127.0.0.1:1/db")

    assert outcome == (
        3,
        "",
        (
            "Error: Cannot connect to postgresql+psycopg2://me:***@127.0.0.1:1/db: connection to server at "
            '"127.0.0.1", port 1 '
            "failed: Connection refused. Check host, database and credentials (PGPASSWORD, db-auth.yaml).\n"
        ),
    )


def test_no_password_is_shown_whatever_goes_wrong(postgres: PostgresServer, run: Run) -> None:
    url = sa.make_url(postgres.admin_url).set(drivername="postgresql")
    texts = [
        url.set(password=SECRET).render_as_string(hide_password=False),
        url.set(password=SECRET, database="nowhere").render_as_string(hide_password=False),
        url.set(password=SECRET, host="nowhere.invalid").render_as_string(hide_password=False),
        f"postgresql://{url.username}@{url.host}:{url.port}/{url.database}?password={SECRET}",
        f"postgresql://{url.username}:{SECRET}@{url.host}:{url.port}/{url.database}?nonsense=1",
        f"postgresql://{url.username}:{SECRET}@{url.host}:x/{url.database}",
        f"postgresql://{url.username}:a@{SECRET}@{url.host}/{url.database}",
        f"nonsense://me:{SECRET}@host/db",
    ]
    Path("repo").mkdir()
    for text in texts:
        Path("repo/butler.yaml").write_text(f"registry: {{db: '{text}'}}", encoding="utf-8")
        for words in (
            ("status", text),
            ("-v", "status", text),
            ("--format", "json", "log", text),
            ("migrate", "repo"),
            ("-v", "verify", "repo"),
            ("schema", "show", text),
            ("schema", "diff", text, "newest"),
            ("create", "other", "--db", text),
        ):
            outcome = run(*words)
            assert outcome.exit_code in (2, 3), words
            assert outcome.stdout == ""
            assert SECRET not in outcome.stderr, words
            if words[0] != "-v":
                assert outcome.stderr.startswith("Error: ")
                assert outcome.stderr.count("\n") == 1, outcome.stderr
    assert not Path("other").exists()


def test_a_database_that_does_not_exist_is_said(postgres: PostgresServer, run: Run) -> None:
    url = sa.make_url(postgres.admin_url).set(database="nowhere")

    outcome = run("status", url.render_as_string(hide_password=False))

    assert outcome.stderr.endswith(
        ' failed: FATAL: database "nowhere" does not exist. Check host, database and credentials (PGPASSWORD, '
        "db-auth.yaml).\n"
    )
    assert (outcome.exit_code, outcome.stdout) == (3, "")


def test_no_password_is_shown_when_all_goes_well(
    postgres: PostgresServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = Path("arguments")
    program = Path("bin/pg_dump")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{arguments.absolute()}\nexec /usr/bin/env -i true\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent.absolute()), prepend=os.pathsep)
    url = sa.make_url(postgres.new_database())
    text = url.render_as_string(hide_password=False)
    password = str(url.password)
    words = (text, "--namespace", "registry")

    outcomes = [
        run("create", "repo", "--db", text, "--namespace", "registry", "--at", "newest", "--at", "datasets=1.0.0"),
        run("status", *words),
        run("--format", "json", "status", *words),
        run("verify", *words),
        run("migrate", *words, "--plan", "--format", "json"),
        run("migrate", *words, "--sql", "--format", "json"),
        run("migrate", *words),
        run("--format", "json", "log", *words),
        run("schema", "show", *words, "--format", "json"),
        run("stamp", *words, "--format", "json"),
    ]

    assert [outcome.exit_code for outcome in outcomes] == [0, 4, 4, 0, 4, 0, 0, 0, 0, 0]
    for outcome in outcomes:
        assert password not in outcome.stdout + outcome.stderr
    assert password not in Path("repo/butler.yaml").read_text(encoding="utf-8")
    assert "--schema" in arguments.read_text(encoding="utf-8")
    assert password not in arguments.read_text(encoding="utf-8")  # everybody sees the arguments of a program
    postgres.drop_database(text)


def test_the_password_comes_from_where_libpq_finds_it(
    postgres: PostgresServer, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = sa.make_url(postgres.new_database())
    text = url.render_as_string(hide_password=False)
    run("create", "repo", "--db", text, "--namespace", "registry")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:*:{url.password}\n", encoding="utf-8")
    passfile.chmod(0o600)

    without = run("status", "repo")
    assert "no password supplied" in without.stderr
    assert without.exit_code == 3
    assert run("status", "repo", env={"PGPASSWORD": str(url.password)}).exit_code == 0
    assert run("status", "repo", env={"PGPASSFILE": str(passfile)}).exit_code == 0
    credentials = f'[{{"url": "postgresql://127.0.0.1/*", "username": "me", "password": "{url.password}"}}]'
    assert run("status", "repo", env={"LSST_DB_AUTH_CREDENTIALS": credentials}).exit_code == 0
    postgres.drop_database(text)


def test_a_missing_extension_is_a_difference_and_migrating_is_refused(
    postgres: PostgresServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(postgres.new_database())
    text = url.render_as_string(hide_password=False)
    words = (text, "--namespace", "registry")
    run("create", "repo", "--db", text, "--namespace", "registry")
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("DROP EXTENSION btree_gist CASCADE")

    assert run("status", *words).exit_code == 0
    verify = run("verify", *words)
    assert "extension   btree_gist   missing" in verify.stdout
    assert verify.exit_code == 4
    assert run("migrate", *words) == (
        3,
        "",
        (
            "Error: The database lacks the extension btree_gist, which the Butler needs. Ask an administrator to "
            "run: CREATE "
            "EXTENSION btree_gist;\n"
        ),
    )
    postgres.drop_database(text)


def test_a_search_path_that_leads_nowhere_asks_for_the_namespace(postgres: PostgresServer, run: Run) -> None:
    url = sa.make_url(postgres.admin_url).update_query_dict({"options": "-c search_path=nowhere"})

    outcome = run("status", url.render_as_string(hide_password=False))

    assert outcome.stderr.endswith(
        " has no namespace by default: the search path leads to none. Name the one of the registry with --namespace.\n"
    )
    assert (outcome.exit_code, outcome.stdout) == (2, "")


@pytest.mark.usefixtures("odd_namespace")
def test_every_command_works_in_a_namespace_that_must_be_quoted(old_registry: Registry, run: Run) -> None:
    assert run("status", "repo").exit_code == 4
    assert run("migrate", "repo", "--plan").exit_code == 4
    assert run("migrate", "repo", "--sql").exit_code == 0
    assert run("migrate", "repo").exit_code == 0
    assert run("stamp", "repo").exit_code == 0
    assert run("verify", "repo").exit_code == 0
    assert run("log", "repo").exit_code == 0
    assert run("migrate", "repo", "--to", "datasets=1.0.0", "--no-backup").exit_code == 0
