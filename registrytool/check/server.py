"""The PostgreSQL server of the laboratory: one that is named, or programs on this machine, run for a moment."""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Environment variable with the URL of a server in which databases may be made.
VARIABLE = "REGISTRYTOOL_TEST_POSTGRES_URL"
#: Where Debian and Red Hat keep the server programs, which they leave out of PATH.
PROGRAM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
#: Driver of all URLs.
DRIVER = "postgresql+psycopg2"
#: What is said when none of the programs is found.
NO_PROGRAMS = f"PATH, {' and '.join(PROGRAM_FOLDERS)} hold no server programs (initdb, pg_ctl)"
#: Nothing has to survive a crash of the machine.  All else stays as delivered, so that what passes here passes on a
#: server as people run it (number of locks, isolation, planner).
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",  # the default is a gigabyte, too much for files in memory
}
_MEMORY = Path("/dev/shm")  # noqa: S108 (the files lie in a folder of their own, mode 0700)
_MEMORY_NEEDED_BYTES = 2 * 1024**3


@dataclass
class Server:
    """A running server, and the databases that were made in it.

    Parameters
    ----------
    url : `sqlalchemy.URL`
        A database that is always there, with a user who may make databases.
    """

    url: sa.URL
    _prefix: str = field(default_factory=lambda: f"registrytool_check_{secrets.token_hex(4)}")
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")

    @property
    def version(self) -> str:
        """Version of the server, such as ``15.8``."""
        with self._engine.connect() as connection:
            return ".".join(map(str, connection.dialect.server_version_info or ()))

    def make(self, template: sa.URL | None = None) -> sa.URL:
        """Make a database, empty but for ``btree_gist``, or the clone of another one to which nobody is connected."""
        if template is None and not self._made:
            # Installing the extension takes longer than cloning a database that has it.
            first = self._clone("template0")
            engine = sa.create_engine(first, poolclass=NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE EXTENSION btree_gist")
        return self._clone(str(template.database) if template is not None else self._made[0])

    def _clone(self, source: str) -> sa.URL:
        name = f"{self._prefix}_{next(self._numbers)}"
        with self._engine.connect() as connection:
            await_departure(connection, source)
            strategy = "STRATEGY file_copy" if (connection.dialect.server_version_info or (0,)) >= (15,) else ""
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{source}" {strategy}')
        self._made.append(name)
        return self.url.set(database=name)

    def drop(self, url: sa.URL) -> None:
        """Drop a database."""
        name = str(url.database)
        with self._engine.connect() as connection:
            await_departure(connection, name)
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._made.remove(name)

    def close(self) -> None:
        """Drop all databases that were made."""
        for name in reversed(list(self._made)):
            self.drop(self.url.set(database=name))
        self._engine.dispose()


def await_departure(connection: sa.Connection, name: str) -> None:
    """Wait a moment for closed sessions to be gone.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to another database of the server.
    name : `str`
        The database.

    Notes
    -----
    A session ends a little after its client has left.  The server would look for it every 100 ms only
    (``CountOtherDBBackends`` in PostgreSQL's ``procarray.c``), and there is one at the end of nearly every use.
    """
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND backend_type <> :vacuum")
    for _ in range(20):
        if not connection.scalar(query, {"name": name, "vacuum": "autovacuum worker"}):
            return
        time.sleep(0.005)


@contextlib.contextmanager
def start_server(url: str | None = None) -> Iterator[Server]:
    """Use the server that is named, by argument or environment, or run one on this machine.

    Parameters
    ----------
    url : `str`, optional
        URL of a server in which databases may be made.

    Yields
    ------
    server : `Server`
        The server; what was made in it is gone afterwards.

    Raises
    ------
    ConfigurationError
        There is none; the message says why.
    """
    with contextlib.ExitStack() as stack:
        try:
            address = url or os.environ.get(VARIABLE) or stack.enter_context(_local_server())
            server = Server(sa.make_url(address).set(drivername=DRIVER))
            stack.callback(server.close)
            server.drop(server.make())  # a server that lacks the extension is found out here
        except (OSError, RuntimeError, sa.exc.SQLAlchemyError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            message = f"There is no PostgreSQL server to check with: {reason}."
            raise ConfigurationError(
                message,
                hint=f"Set {VARIABLE} to the URL of a server where databases may be made, or install PostgreSQL.",
            ) from error
        yield server


@contextlib.contextmanager
def _local_server() -> Iterator[str]:
    programs = find_programs()
    if programs is None:
        message = f"{VARIABLE} is not set, and {NO_PROGRAMS}"
        raise RuntimeError(message)
    with run_server(programs, SETTINGS) as server:
        yield server.url


@dataclass(frozen=True)
class LocalServer:
    """A server on this machine.

    Parameters
    ----------
    programs, folder : `~pathlib.Path`
        Where its programs are, and its files.
    owner : `pwd.struct_passwd` or `None`
        Who runs it; None for the present user.
    url : `str`
        URL of a database that is always there, with driver and password.
    """

    programs: Path
    folder: Path
    owner: pwd.struct_passwd | None
    url: str

    def start(self) -> None:
        """Start it; it recovers by itself from a crash.

        Raises
        ------
        RuntimeError
            It does not start; the message is its log.
        """
        log = self.folder / "log"
        try:
            self.control("start", "-w", "-t", "60", "-l", log)
        except RuntimeError as error:
            raise RuntimeError(log.read_text() if log.exists() else str(error)) from error

    def control(self, *words: str | Path) -> None:
        """Run ``pg_ctl``.

        Parameters
        ----------
        *words : `str` or `~pathlib.Path`
            What to do, and its options.

        Raises
        ------
        RuntimeError
            It failed; the message is what it says.
        """
        what, *options = words
        _run_as(self.owner, self.folder, self.programs / "pg_ctl", what, "-s", "-D", self.folder / "data", *options)


@contextlib.contextmanager
def run_server(programs: Path, settings: Mapping[str, str]) -> Iterator[LocalServer]:
    """Run a server on a free port of this machine; its files vanish with it.

    Parameters
    ----------
    programs : `~pathlib.Path`
        Folder of its programs; see `find_programs`.
    settings : `dict` [`str`, `str`]
        Its settings, by name.

    Yields
    ------
    server : `LocalServer`
        The running server.

    Raises
    ------
    RuntimeError
        It cannot be made or does not start.
    """
    # PostgreSQL refuses to run as root, so root hands the files to a user without rights.
    owner = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="registrytool-postgres-", dir=memory_folder()))
    data, password = folder / "data", secrets.token_hex(16)
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    for path in (folder, secret):
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    # This shell outlives us: when its input ends, be it because we were killed, the server goes. A session of its own
    # keeps Ctrl-C away from it.
    script = '{ read -r _; "$1/pg_ctl" stop -s -m immediate -D "$2/data"; rm -rf "$2"; } >/dev/null 2>&1'
    with subprocess.Popen(  # noqa: S603 (the shell of the system, with words of our own)
        ["/bin/sh", "-c", script, "sh", str(programs), str(folder)],
        stdin=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
        **_identity(owner),
    ):  # leaving the block closes its input and waits for it
        # A password even on this machine alone: a superuser without one could be used by anybody logged in here.
        access = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}"]
        text = ["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        _run_as(owner, folder, programs / "initdb", "-D", data, *access, *text)
        port = _free_port()
        address = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**settings, **address}.items())
        server = LocalServer(programs, folder, owner, f"{DRIVER}://postgres:{password}@127.0.0.1:{port}/postgres")
        server.start()
        yield server


def find_programs(folders: Sequence[str] = PROGRAM_FOLDERS) -> Path | None:
    """Find the folder with the programs of the newest server; PATH comes first.

    Parameters
    ----------
    folders : `list` [`str`], optional
        Folders searched after PATH; patterns are allowed.

    Returns
    -------
    folder : `~pathlib.Path` or `None`
        The folder; None if there is none with what is needed.
    """
    found = [Path(program).resolve().parent for program in [shutil.which("initdb")] if program]
    for pattern in folders:
        found += sorted(Path("/").glob(pattern.lstrip("/")), key=_version_of, reverse=True)
    return next((folder for folder in found if all((folder / name).exists() for name in ("initdb", "pg_ctl"))), None)


def _version_of(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


def memory_folder() -> Path | None:
    """Return a folder in memory with room for files that need not survive.

    Returns
    -------
    folder : `~pathlib.Path` or `None`
        The folder; None if there is none.

    Notes
    -----
    A disk takes 2 to 10 ms for each commit of SQLite, and ten times as long to clone a database of PostgreSQL.
    """
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED_BYTES:
            return _MEMORY
    return None


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    message = "root cannot run PostgreSQL, and there is neither a user postgres nor a user nobody"
    raise RuntimeError(message)


def _identity(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _run_as(owner: pwd.struct_passwd | None, folder: Path, *command: str | Path) -> None:
    # Output goes to a file: a server started by pg_ctl would keep a pipe open for as long as it runs.
    with (folder / "output").open("w+") as output:
        done = subprocess.run(  # noqa: S603 (the programs of the server, found by ourselves)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            check=False,
            **_identity(owner),
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
