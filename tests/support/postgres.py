"""The PostgreSQL server of the tests: where it comes from, and new databases in it.

Looked for in this order: the environment variable ``REGISTRYTOOL_TEST_POSTGRES_URL``; a container, when a Docker
engine answers; server programs on this machine. When there is none, the tests that need one fail; they never skip.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import os
import secrets
import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypedDict

import sqlalchemy

from registrytool.check import server as programs_of
from registrytool.check.server import (
    DRIVER,
    NO_PROGRAMS,
    PROGRAM_FOLDERS,
    VARIABLE,
    LocalServer,
    await_departure,
    find_programs,
    run_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

IMAGE = "postgres:15"
OLDEST_SERVER = 14
#: Two workers, each with databases of its own, and programs that contend.
SETTINGS = programs_of.SETTINGS | {"max_connections": "200"}


class PostgresMissingError(RuntimeError):
    """There is no PostgreSQL server for the tests; the message says why and how to get one.

    Parameters
    ----------
    reasons : `Sequence` [`str`]
        Why each source was of no use, as parts of a sentence.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            f"No PostgreSQL server for the tests: {'; '.join(reasons)}. Set {VARIABLE} to the URL of a server where "
            f"databases may be created, or start Docker, or install PostgreSQL {OLDEST_SERVER} or newer (Debian: "
            "apt-get install postgresql). To leave these tests out on purpose, use --no-postgresql."
        )
        self.reasons = tuple(reasons)


class ServerAddress(TypedDict):
    """What another process needs to use a running server; travels to the workers of pytest-xdist."""

    admin_url: str
    origin: str
    prefix: str


@dataclass(frozen=True)
class Source:
    """One place a server can come from; nothing is started yet.

    Parameters
    ----------
    origin : `str`
        What it is, for people.
    start : `Callable`
        Makes a context in which the server runs; gives a URL of any form that SQLAlchemy reads, password included.
    """

    origin: str
    start: Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class PostgresServer:
    """A running server and the names of the databases that this process makes in it.

    Parameters
    ----------
    admin_url : `str`
        A database that is always there, with a user who may create databases; password included.
    origin : `str`
        Where the server comes from, for people.
    prefix : `str`
        Begins the name of each new database; different in each process that uses the server.
    """

    admin_url: str
    origin: str
    prefix: str
    _numbers: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1), init=False, repr=False)

    def new_database(self, template: str | None = None, *, extension: bool = True) -> str:
        """Create a database.

        Parameters
        ----------
        template : `str`, optional
            URL of a database to clone, extension and content included. Nobody may be connected to it.
        extension : `bool`, optional
            Whether the extension ``btree_gist`` is installed; of no effect with a template.

        Returns
        -------
        url : `str`
            URL of the new database, with the driver psycopg2; password included.
        """
        name = f"{self.prefix}_{next(self._numbers)}"
        if template is not None:
            source = _database_of(template)
        else:
            source = self._extension_template if extension else "template0"
        self._clone(source, name)
        return self._url_of(name)

    def drop_database(self, url: str) -> None:
        """Drop a database; who is still connected to it is thrown out.

        Parameters
        ----------
        url : `str`
            Its URL, as `new_database` gave it. A database that is gone already is no error.
        """
        name = _database_of(url)
        with self._engine.connect() as connection:
            await_departure(connection, name)
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quoted(connection, name)} WITH (FORCE)")

    def drop_all(self) -> None:
        """Drop every database whose name begins with this server's prefix, and disconnect."""
        query = sqlalchemy.text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)")
        with self._engine.connect() as connection:
            names = connection.scalars(query, {"prefix": self.prefix}).all()
        for name in names:
            self.drop_database(self._url_of(name))
        self._engine.dispose()

    def address_for(self, worker: str) -> ServerAddress:
        """Tell another process how to use this server.

        Parameters
        ----------
        worker : `str`
            Name of the process; part of the names of its databases. Small letters and digits.

        Returns
        -------
        address : `ServerAddress`
            Plain data; ``PostgresServer(**address)`` in the other process is the same server.
        """
        return {"admin_url": self.admin_url, "origin": self.origin, "prefix": f"{self.prefix}_{worker}"}

    @cached_property
    def _engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine(self.admin_url, isolation_level="AUTOCOMMIT")

    @cached_property
    def _extension_template(self) -> str:
        # CREATE EXTENSION takes longer than cloning a database that has it.
        name = f"{self.prefix}_template"
        self._clone("template0", name)
        engine = sqlalchemy.create_engine(self._url_of(name), poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE EXTENSION btree_gist")
        return name

    def _clone(self, source: str, name: str) -> None:
        with self._engine.connect() as connection:
            await_departure(connection, source)
            version = connection.dialect.server_version_info or (0,)
            # Copying files is a little faster than writing all pages to the log, and older servers do nothing else.
            strategy = "STRATEGY file_copy" if version >= (15,) else ""
            new, old = _quoted(connection, name), _quoted(connection, source)
            connection.exec_driver_sql(f"CREATE DATABASE {new} TEMPLATE {old} {strategy}")

    def _url_of(self, name: str) -> str:
        url = sqlalchemy.make_url(self.admin_url).set(database=name)
        return url.render_as_string(hide_password=False)


@contextlib.contextmanager
def postgres_server(sources: Sequence[Source] | None = None) -> Iterator[PostgresServer]:
    """Start a PostgreSQL server, or use the one that the environment names.

    Parameters
    ----------
    sources : `Sequence` [`Source`], optional
        Where to look, in this order; `find_sources` by default.

    Yields
    ------
    server : `PostgresServer`
        The first that starts and has ``btree_gist``. At the end it stops; in a server that was running before, every
        database made here, in this or in another process, is dropped.

    Raises
    ------
    PostgresMissingError
        There is no source, or none that works.
    """
    reasons: list[str] = []
    for source in find_sources() if sources is None else sources:
        with contextlib.ExitStack() as stack:
            try:
                url = stack.enter_context(source.start())
                origin = "; ".join([source.origin, *reasons])
                server = PostgresServer(_with_driver(url), origin, _new_prefix())
                _require_version(server)
                stack.callback(server.drop_all)
                server.drop_database(server.new_database())  # a server without the extension is found out here
            except Exception as error:  # noqa: BLE001  whatever is wrong with this source, the next may work
                words = str(getattr(error, "orig", error)).split()  # the driver's own words, on one line
                reasons.append(f"{source.origin} failed: {' '.join(words)}")
                continue
            yield server
            return
    raise PostgresMissingError(reasons or [_NOTHING_FOUND])


def find_sources(program_folders: Sequence[str] = PROGRAM_FOLDERS) -> list[Source]:
    """Look for places that can give a server, without starting one.

    Parameters
    ----------
    program_folders : `Sequence` [`str`], optional
        Folders searched for server programs after PATH; patterns are allowed.

    Returns
    -------
    sources : `list` [`Source`]
        The best first. Only the environment's URL when there is one: who names a server means that one.
    """
    if url := os.environ.get(VARIABLE):
        return [Source(f"the server of {VARIABLE}", lambda: contextlib.nullcontext(url))]
    sources = []
    if _docker_answers():
        sources.append(Source(f"a container of {IMAGE}", _container))
    if programs := find_programs(program_folders):
        sources.append(Source(f"server programs in {programs}", partial(_local_server, programs)))
    return sources


_NOTHING_FOUND = f"{VARIABLE} is not set, no Docker engine answers, and {NO_PROGRAMS}"


def _require_version(server: PostgresServer) -> None:
    with server._engine.connect() as connection:
        version = connection.dialect.server_version_info or (0,)
    if version < (OLDEST_SERVER,):
        message = f"it has version {'.'.join(map(str, version))}, {OLDEST_SERVER} or newer is needed"
        raise RuntimeError(message)


def _docker_answers() -> bool:
    from docker.errors import DockerException  # type: ignore[import-untyped]
    from testcontainers.core.docker_client import DockerClient

    # The docker package leaves its socket open when nobody answers, and warnings are errors here.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        with contextlib.suppress(DockerException, OSError):
            DockerClient(timeout=5).client.close()  # the constructor asks the engine for its version
            return True
        gc.collect()
    return False


@contextlib.contextmanager
def _container() -> Iterator[str]:
    # Testcontainers itself heeds TESTCONTAINERS_RYUK_DISABLED and DOCKER_HOST.
    from testcontainers.community.postgres import PostgresContainer

    options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
    container = PostgresContainer(IMAGE, password=secrets.token_hex(16)).with_command(f"postgres {options}")
    with container.with_tmpfs_mount("/var/lib/postgresql/data"):
        yield container.get_connection_url()


@contextlib.contextmanager
def _local_server(programs: Path) -> Iterator[str]:
    """Run a server on a free port of this machine; its files vanish with it."""
    with run_server(programs, SETTINGS) as server:
        yield server.url


class CrashingServer(LocalServer):
    """A server of this machine that can crash and start again, at the same address."""

    def crash(self) -> None:
        """End it at once, without writing anything."""
        self.control("stop", "-m", "immediate")


@contextlib.contextmanager
def crashing_server() -> Iterator[CrashingServer]:
    """Run a server of one's own that can crash: what it has committed is on the disk.

    Raises
    ------
    PostgresMissingError
        There are no server programs on this machine.
    """
    programs = find_programs()
    if programs is None:
        raise PostgresMissingError([_NOTHING_FOUND])
    with run_server(programs, {"max_wal_size": SETTINGS["max_wal_size"]}) as server:
        yield CrashingServer(server.programs, server.folder, server.owner, server.url)


def _new_prefix() -> str:
    return f"registrytool_test_{secrets.token_hex(4)}"


def _with_driver(url: str) -> str:
    return sqlalchemy.make_url(url).set(drivername=DRIVER).render_as_string(hide_password=False)


def _database_of(url: str) -> str:
    name = sqlalchemy.make_url(url).database
    if not name:
        message = "the URL names no database"
        raise ValueError(message)
    return name


def _quoted(connection: sqlalchemy.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
