"""The tests' own PostgreSQL server: where it is looked for, and what is said when there is none."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import pytest

from registrytool.check.server import VARIABLE
from tests.support.postgres import (
    PostgresMissingError,
    PostgresServer,
    Source,
    find_sources,
    postgres_server,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide every server: no URL, no Docker engine, no programs in PATH."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("bare_machine")
def test_without_any_server_the_error_says_how_to_get_one() -> None:
    sources = find_sources(program_folders=[])

    assert sources == []
    with pytest.raises(PostgresMissingError) as caught, postgres_server(sources):
        pytest.fail("there is a server")
    assert str(caught.value) == (
        "No PostgreSQL server for the tests: REGISTRYTOOL_TEST_POSTGRES_URL is not set, no Docker engine answers, and "
        "PATH, /usr/lib/postgresql/*/bin and /usr/pgsql-*/bin hold no server programs (initdb, pg_ctl). Set "
        "REGISTRYTOOL_TEST_POSTGRES_URL to the URL of a server where databases may be created, or start Docker, or "
        "install PostgreSQL 14 or newer (Debian: apt-get install postgresql). To leave these tests out on purpose, use "
        "--no-postgresql."
    )


@pytest.mark.usefixtures("bare_machine")
def test_the_newest_server_programs_are_taken(tmp_path: Path) -> None:
    for version in ("9.6", "14", "15"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "pg_ctl"):
            (folder / name).touch()
    (tmp_path / "16" / "bin").mkdir(parents=True)  # client programs only

    (source,) = find_sources(program_folders=[f"{tmp_path}/*/bin"])

    assert source.origin == f"server programs in {tmp_path}/15/bin"


def test_a_url_in_the_environment_is_the_only_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://somebody:secret@127.0.0.1:1/postgres")

    (source,) = find_sources()

    assert source.origin == "the server of REGISTRYTOOL_TEST_POSTGRES_URL"
    with pytest.raises(PostgresMissingError) as caught, postgres_server([source]):
        pytest.fail("there is a server")
    assert "the server of REGISTRYTOOL_TEST_POSTGRES_URL failed: connection to server at" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_source_that_fails_leaves_its_reason_and_the_next_is_tried() -> None:
    def broken() -> AbstractContextManager[str]:
        message = "no space\nleft"
        raise OSError(message)

    sources = [Source("a container", broken), Source("programs", lambda: contextlib.nullcontext("mysql:"))]

    with pytest.raises(PostgresMissingError) as caught, postgres_server(sources):
        pytest.fail("there is a server")
    assert caught.value.reasons[0] == "a container failed: no space left"
    assert caught.value.reasons[1].startswith("programs failed: Could not parse")


def test_each_worker_names_its_databases_differently() -> None:
    server = PostgresServer("postgresql+psycopg2://u:p@h/postgres", "a test", "registrytool_test_1")

    first, second = (PostgresServer(**server.address_for(name)) for name in ("gw0", "gw1"))

    assert (first.prefix, second.prefix) == ("registrytool_test_1_gw0", "registrytool_test_1_gw1")
    assert first.admin_url == server.admin_url


def test_this_interpreter_uses_the_installed_alembic(pytestconfig: pytest.Config) -> None:
    # The checkout has a folder of that name, and pytest puts the checkout into sys.path.
    import alembic

    assert str(pytestconfig.rootpath) in sys.path
    assert alembic.__version__
