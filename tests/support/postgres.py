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
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

VARIABLE = "REGISTRYTOOL_TEST_POSTGRES_URL"
IMAGE = "postgres:15"
PROGRAM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where Debian and Red Hat keep the server programs, which they leave out of PATH."""

DRIVER = "postgresql+psycopg2"
OLDEST_SERVER = 14

# Nothing here has to survive a crash of the machine. All else stays as delivered, so that what passes here passes on
# a server as people run it (number of locks, isolation, planner).
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "256MB",  # the default is a gigabyte, too much for files in memory
}

MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  the files lie in a folder of their own, mode 0700
MEMORY_NEEDED_BYTES = 2 * 1024**3


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
            _await_departure(connection, name)
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
            _await_departure(connection, source)
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


def memory_folder() -> Path | None:
    """Return a folder in memory with room for the files of a run, if there is one.

    Nothing has to survive, and a disk takes 2 to 10 ms for each commit of SQLite, and ten times as long to clone a
    database of PostgreSQL.
    """
    with contextlib.suppress(OSError):
        if os.access(MEMORY_FOLDER, os.W_OK) and shutil.disk_usage(MEMORY_FOLDER).free >= MEMORY_NEEDED_BYTES:
            return MEMORY_FOLDER
    return None


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
    if programs := _find_programs(program_folders):
        sources.append(Source(f"server programs in {programs}", partial(_local_server, programs)))
    return sources


_NOTHING_FOUND = (
    f"{VARIABLE} is not set, no Docker engine answers, and PATH, {' and '.join(PROGRAM_FOLDERS)} hold no server "
    "programs (initdb, pg_ctl)"
)


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


def _find_programs(folders: Sequence[str]) -> Path | None:
    """Find the folder with the programs of the newest server; PATH comes first."""
    found = [Path(program).resolve().parent for program in [shutil.which("initdb")] if program]
    for pattern in folders:
        found += sorted(Path("/").glob(pattern.lstrip("/")), key=_version_of, reverse=True)
    return next((folder for folder in found if all((folder / name).exists() for name in ("initdb", "pg_ctl"))), None)


def _version_of(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


@contextlib.contextmanager
def _local_server(programs: Path) -> Iterator[str]:
    """Run a server on a free port of this machine; its files vanish with it."""
    with _own_server(programs, SETTINGS) as server:
        yield server.url


@contextlib.contextmanager
def crashing_server() -> Iterator[CrashingServer]:
    """Run a server of one's own that can crash: what it has committed is on the disk.

    Raises
    ------
    PostgresMissingError
        There are no server programs on this machine.
    """
    programs = _find_programs(PROGRAM_FOLDERS)
    if programs is None:
        raise PostgresMissingError([_NOTHING_FOUND])
    with _own_server(programs, {"max_wal_size": "256MB"}) as server:
        yield server


@dataclass(frozen=True)
class CrashingServer:
    """A server of this machine that can crash and start again, at the same address."""

    programs: Path
    folder: Path
    owner: pwd.struct_passwd | None
    url: str

    def start(self) -> None:
        """Start it; it recovers by itself from a crash."""
        log = self.folder / "log"
        try:
            self._control("start", "-w", "-t", "60", "-l", log)
        except RuntimeError as error:
            raise RuntimeError(log.read_text() if log.exists() else str(error)) from error

    def crash(self) -> None:
        """End it at once, without writing anything."""
        self._control("stop", "-m", "immediate")

    def _control(self, what: str, *words: str | Path) -> None:
        _run_as(self.owner, self.folder, self.programs / "pg_ctl", what, "-s", "-D", self.folder / "data", *words)


@contextlib.contextmanager
def _own_server(programs: Path, settings: Mapping[str, str]) -> Iterator[CrashingServer]:
    # PostgreSQL refuses to run as root, so root hands the files to a user without rights.
    owner = _server_user() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="registrytool-postgres-", dir=memory_folder()))
    data = folder / "data"
    password = secrets.token_hex(16)
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(password)
    for path in (folder, folder / "password"):
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    # This shell outlives pytest: when its input ends, be it because pytest was killed, the server goes. A session of
    # its own keeps Ctrl-C away from it.
    script = '{ read -r _; "$1/pg_ctl" stop -s -m immediate -D "$2/data"; rm -rf "$2"; } >/dev/null 2>&1'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", str(programs), str(folder)],
        stdin=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
        **_as_user(owner),
    ):  # leaving the block closes its input and waits for it
        # A password even on this machine alone: a superuser without one could be used by anybody logged in here.
        access = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
        text = ["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        _run_as(owner, folder, programs / "initdb", "-D", data, *access, *text)
        port = _free_port()
        address = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**settings, **address}.items())
        url = f"{DRIVER}://postgres:{password}@127.0.0.1:{port}/postgres"
        server = CrashingServer(programs, folder, owner, url)
        server.start()
        yield server


def _server_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    message = "root cannot run PostgreSQL, and there is neither a user postgres nor a user nobody"
    raise RuntimeError(message)


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _as_user(owner: pwd.struct_passwd | None) -> _Identity:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _run_as(owner: pwd.struct_passwd | None, folder: Path, *command: str | Path) -> None:
    # Output goes to a file: a server started by pg_ctl would keep a pipe open for as long as it runs.
    with (folder / "output").open("w+") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, check=False, **_as_user(owner)
        )
        output.seek(0)
        if done.returncode != 0:
            message = f"{command[0]} ended with status {done.returncode}: {output.read()}"
            raise RuntimeError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


def _await_departure(connection: sqlalchemy.Connection, name: str) -> None:
    """Wait a moment for closed sessions to be gone.

    A session ends a little after its client has left. The server would look for it every 100 ms only
    (CountOtherDBBackends in PostgreSQL's procarray.c), and there is one at the end of nearly every test.
    """
    query = sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND backend_type <> :vacuum")
    for _ in range(20):
        if not connection.scalar(query, {"name": name, "vacuum": "autovacuum worker"}):
            return
        time.sleep(0.005)
