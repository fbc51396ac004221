"""Databases: connections, transactions, the run lock, and what differs between SQLite and PostgreSQL about them.

All writing goes through `Database.write`: one transaction, under the run lock.  On PostgreSQL the lock is a session
advisory lock on a connection of its own, since a lock that ends with the transaction would end too early, and one in
the same session could be lost unseen.  On SQLite it is the write lock of the file (BEGIN IMMEDIATE).  Both vanish
with the process that holds them.  A migration holds the lock alone; maintenance shares it with other maintenance, and
relies on the locks of tables and rows as the Butler does.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from .config import hide_passwords
from .dataset_ids import UUID5, data_id_uuid
from .errors import (
    ConfigurationError,
    DatabaseConnectionError,
    RegistryBusyError,
    RegistryConflictError,
    RegistryNotFoundError,
    RegistryStateError,
    RegistryToolError,
)
from .interrupts import Cancelling
from .naming import HELPER
from .sessions import advisory_lock_holders, table_lock_holders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .repository import Repository

    #: Of each table the identity of its rows (object, file), and its columns, indexes and constraints.
    _Tables = Mapping[str, tuple[tuple[int, int], frozenset[str]]]

_Result = TypeVar("_Result")

#: How long something that only reads waits for others, in seconds.
READ_WAIT_S = 5.0

#: First half of the advisory lock key; the second half is a hash of the namespace.
_LOCK_CLASS = int.from_bytes(hashlib.blake2b(b"registrytool", digest_size=4).digest(), "big", signed=True)
#: How often something that only reads is begun again when tables were replaced under it.
_LOOKS = 5
#: Helpers of an online step come and go without anybody reading them.
_TABLES = """
SELECT c.relname, c.oid, c.relfilenode,
       ARRAY(SELECT a.attnum || ' ' || a.attname FROM pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT LIKE :helper)
       || ARRAY(SELECT 'index ' || i.indexrelid FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
                WHERE i.indrelid = c.oid AND x.relname NOT LIKE :helper)
       || ARRAY(SELECT 'constraint ' || k.oid FROM pg_constraint AS k
                WHERE k.conrelid = c.oid AND k.conname NOT LIKE :helper)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = :namespace AND c.relkind IN ('r', 'p')
"""
#: Where a connection that writes keeps what it needs between two transactions.
_BETWEEN = "registrytool between transactions"


def look_again(work: Callable[[], _Result]) -> _Result:
    """Run a function that only reads, again if a migration got in its way.

    Parameters
    ----------
    work : callable
        Opens transactions of `Database.read`.

    Returns
    -------
    result : object
        What the function returned.

    Raises
    ------
    RegistryConflictError
        Something got in the way of each try.
    """
    for _ in range(_LOOKS - 1):
        try:
            return work()
        except RegistryConflictError:
            time.sleep(0.1)
    return work()


def lock_keys(namespace: str | None, what: str = "") -> tuple[int, int]:
    """Return the two halves of the key of the advisory lock of a namespace, or of something in it."""
    key = hashlib.blake2b(str(namespace).encode(), digest_size=4, person=what.encode()).digest()
    return _LOCK_CLASS, int.from_bytes(key, "big", signed=True)


def hide_password(url: sa.URL) -> str:
    """Return a URL as it may be shown."""
    if url.get_backend_name() == "sqlite":
        # Newer versions of SQLAlchemy would quote the path, which nobody writes like that.
        return f"sqlite:///{url.database or ''}"
    return hide_passwords(url.render_as_string(hide_password=True))


def whoami() -> str:
    """Return user and host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Database:
    """The database of one registry.

    Parameters
    ----------
    url : `sqlalchemy.URL`
        Where it is.
    namespace : `str`, optional
        PostgreSQL schema; by default the current schema of the connection.
    """

    def __init__(self, url: sa.URL, namespace: str | None = None) -> None:
        self.url = url
        self.dialect: str = url.get_backend_name()
        self._namespace = namespace

    @classmethod
    def of(cls, repository: Repository) -> Database:
        """Return the database of a repository."""
        return cls(repository.url, repository.namespace)

    def __str__(self) -> str:
        return hide_password(self.url)

    @property
    def namespace(self) -> str | None:
        """PostgreSQL schema, `None` on SQLite; known once connected."""
        return self._namespace if self.dialect == "postgresql" else None

    # -- connections ------------------------------------------------------

    def _engine(
        self, *, writeable: bool, purpose: str = "", timeout_s: float = 5.0, enforce: bool = False
    ) -> sa.Engine:
        if self.dialect == "sqlite":
            return self._sqlite_engine(writeable=writeable, timeout_s=timeout_s, enforce=enforce)
        # The server cuts this at 63 bytes.
        who = f"registrytool {whoami()} pid {os.getpid()} {purpose}".strip()
        return sa.create_engine(
            self.url,
            poolclass=NullPool,
            # The session with the lock is silent for as long as the work takes; routers forget silent connections.
            connect_args={
                "application_name": who.encode()[:63].decode(errors="ignore"),
                "connect_timeout": 10,
                "keepalives_idle": 60,
            },
        )

    def _sqlite_engine(self, *, writeable: bool, timeout_s: float, enforce: bool) -> sa.Engine:
        path = Path(self.url.database or "")
        if not path.is_file():
            message = f"The database {path} is a folder, not a file."
            if not path.is_dir():
                message = f"There is no database file {path}."
            raise RegistryNotFoundError(
                message, hint="Check the URL of the database, which is registry.db in butler.yaml."
            )

        def connect() -> sqlite3.Connection:
            # What a killed process left half-written, the next one that reads the file rolls back. It must be
            # permitted to write for that, or nothing but a writer could open the registry any more.
            crashed = any(path.with_name(f"{path.name}{suffix}").exists() for suffix in ("-journal", "-wal"))
            mode = "rw" if writeable or crashed else "ro"
            # Never create a file; transactions are begun by the event below, not by the driver.
            connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None, timeout=timeout_s
            )
            if not writeable:
                connection.execute("PRAGMA query_only = ON")
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)

        @event.listens_for(engine, "connect")
        def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
            # Where tables are written again and renamed, keys are checked as a whole before the commit instead, and
            # a rename must not be followed into the definitions of other tables.
            connection.execute(f"PRAGMA foreign_keys = {'ON' if enforce else 'OFF'}")
            connection.execute("PRAGMA legacy_alter_table = ON")
            connection.create_function(UUID5, 1, data_id_uuid, deterministic=True)

        @event.listens_for(engine, "begin")
        def _on_begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writeable else "BEGIN")

        return engine

    @contextmanager
    def _connected(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Connect, and translate what can go wrong on the way."""
        try:
            try:
                connection = engine.connect()
            except DBAPIError as error:
                raise self._connection_error(error) from error
            try:
                if self.dialect == "postgresql" and self._namespace is None:
                    self._namespace = connection.scalar(sa.text("SELECT current_schema()"))
                    connection.rollback()
                    if self._namespace is None:
                        message = f"The user of {self} has no namespace by default: the search path leads to none."
                        raise ConfigurationError(message, hint="Name the one of the registry with --namespace.")
                raw: Any = connection.connection.driver_connection
                with Cancelling(raw.interrupt if self.dialect == "sqlite" else raw.cancel):
                    yield connection
            finally:
                connection.close()
        finally:
            engine.dispose()

    def _connection_error(self, error: DBAPIError) -> RegistryToolError:
        reason = first_line(error)
        if self.dialect == "sqlite":
            message = f"Cannot open the database file {self.url.database}: {reason}."
            return DatabaseConnectionError(message, hint="Check that you may read the file and its folder.")
        message = f"Cannot connect to {self}: {reason}."
        return DatabaseConnectionError(message, hint="Check host, database and credentials (PGPASSWORD, db-auth.yaml).")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that cannot write and sees one moment.

        Raises
        ------
        RegistryBusyError
            Somebody else keeps even readers out.
        RegistryConflictError
            A migration replaced tables meanwhile; what was read is not to be used.
        DatabaseConnectionError
            The database cannot be reached, or is not one.
        """
        engine = self._engine(writeable=False, purpose="read", timeout_s=READ_WAIT_S)
        with self._connected(engine) as connection:
            before: _Tables = {}
            try:
                if self.dialect == "postgresql":
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                    self._limit_waiting(connection, READ_WAIT_S)
                    before = self._tables(connection)
                yield connection
                connection.rollback()
                self._check_tables(connection, before, gone=False)
            except RegistryConflictError:
                raise
            except Exception as error:
                _rollback(connection)
                # What was not understood can be what was half new.
                self._check_tables(connection, before, gone=True, cause=error)
                if isinstance(error, DBAPIError):
                    raise self._translate(error, f"read {self}", "AccessExclusiveLock") from error
                raise

    def look(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Run a function in a transaction of `read`, again if a migration replaced tables under it.

        Parameters
        ----------
        work : callable
            Is given the connection; it only reads.

        Returns
        -------
        result : object
            What the function returned.
        """

        def seen() -> _Result:
            with self.read() as connection:
                return work(connection)

        return look_again(seen)

    def _tables(self, connection: sa.Connection) -> _Tables:
        parameters = {"namespace": self.namespace, "helper": HELPER.replace("_", r"\_") + "%"}
        rows = connection.execute(sa.text(_TABLES), parameters)
        return {name: ((oid, file), frozenset(parts)) for name, oid, file, parts in rows}

    def _check_tables(
        self, connection: sa.Connection, before: _Tables, *, gone: bool, cause: Exception | None = None
    ) -> None:
        """Refuse what was read if tables were replaced or rewritten meanwhile.

        PostgreSQL keeps the rows of a moment for a transaction, but not the tables: to one that began before, a table
        that was made anew has no rows, and what the server says about constraints and indexes is that of now.  To
        keep readers out for as long as a migration lasts would be worse.

        Parameters
        ----------
        connection : `sqlalchemy.Connection`
            The connection, outside of the transaction.
        before : mapping
            The tables as they were.
        gone : `bool`
            Whether tables that are not there any more count.
        cause : `Exception`, optional
            What the reader failed with.
        """
        if not before:
            return
        try:
            now = self._tables(connection)
            connection.rollback()
        except DBAPIError:
            # The server has gone, which is what the reader will say.
            if cause is None:
                raise
            return
        replaced = [
            name
            for name, (rows, columns) in before.items()
            if (gone if name not in now else now[name][0] != rows or not now[name][1] >= columns)
        ]
        if replaced:
            shown = ", ".join(sorted(replaced)[:3]) + (f" and {len(replaced) - 3} more" if len(replaced) > 3 else "")
            reason = f"tables have been replaced while they were read: {shown}"
            raise RegistryConflictError(f"read {self}", reason) from cause

    @staticmethod
    def _limit_waiting(connection: sa.Connection, wait_s: float) -> None:
        # Zero would mean to wait for ever.
        milliseconds = max(1, round(wait_s * 1000))
        connection.execute(sa.text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": f"{milliseconds}ms"})

    @contextmanager
    def write(self, wanted: str, *, wait_s: float = 5.0, shared: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction under the run lock; it is committed at the end, or rolled back after an exception.

        Parameters
        ----------
        wanted : `str`
            What is going to be done, for the sentence when it cannot be.
        wait_s : `float`, optional
            How long to wait for a lock, in seconds.
        shared : `bool`, optional
            Whether rows change and nothing else: the run lock is shared with others who do the same, and SQLite
            enforces foreign keys.

        Raises
        ------
        RegistryBusyError
            Somebody else has a lock.
        RegistryConflictError
            The transaction got in the way of another one; it can be tried again.
        DatabaseConnectionError
            The database cannot be reached.
        """
        if self.dialect == "sqlite":
            with self._write_sqlite(wanted, wait_s, enforce=shared) as connection:
                yield connection
        else:
            with self._write_postgresql(wanted, wait_s, shared=shared) as connection:
                yield connection

    @contextmanager
    def _write_sqlite(self, wanted: str, wait_s: float, *, enforce: bool) -> Iterator[sa.Connection]:
        engine = self._engine(writeable=True, purpose=wanted, timeout_s=wait_s, enforce=enforce)
        with self._connected(engine) as connection:
            try:
                connection.begin()
            except DBAPIError as error:
                raise self._translate(error, wanted) from error
            try:
                yield connection
                connection.commit()
            except DBAPIError as error:
                connection.rollback()
                raise self._translate(error, wanted) from error
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _write_postgresql(self, wanted: str, wait_s: float, *, shared: bool) -> Iterator[sa.Connection]:
        with (
            self._advisory_lock(wanted, wait_s, shared=shared) as lock,
            self._connected(self._engine(writeable=True, purpose=wanted)) as connection,
        ):
            connection.info[_BETWEEN] = (lock, wait_s)
            try:
                connection.begin()
                self._prepare(connection, wait_s)
                yield connection
                # A lock that was lost on the way (the server closed the session) protects nothing.
                lock.execute(sa.text("SELECT 1"))
                connection.commit()
            except DBAPIError as error:
                _rollback(connection)
                raise self._translate(error, wanted, conflicts=shared) from error
            except BaseException:
                _rollback(connection)
                raise

    def _prepare(self, connection: sa.Connection, wait_s: float) -> None:
        """Set what holds for one transaction."""
        # Waiting for locks is bounded, working is not: a limit that an administrator has set for queries would end a
        # long step, and an idle one the wait for a backup.
        connection.execute(
            sa.text(
                "SELECT set_config('statement_timeout', '0', true), "
                "set_config('idle_in_transaction_session_timeout', '0', true)"
            )
        )
        self._limit_waiting(connection, wait_s)

    def commit(self, connection: sa.Connection, between: Callable[[], None] | None = None) -> None:
        """Commit what a connection of `write` has done so far, and begin its next transaction under the same lock.

        Parameters
        ----------
        connection : `sqlalchemy.Connection`
            The connection.
        between : callable, optional
            Is called between the two transactions.
        """
        lock, wait_s = connection.info.get(_BETWEEN, (None, 0.0))
        if lock is not None:
            # As at the end: a lock that was lost protects nothing.
            lock.execute(sa.text("SELECT 1"))
        connection.commit()
        if between is not None:
            between()
        connection.begin()
        if lock is not None:
            self._prepare(connection, wait_s)

    @contextmanager
    def online(self, wanted: str, *, wait_s: float) -> Iterator[sa.Connection]:
        """Open a connection for an online run, which no second one can have; the caller begins its transactions.

        The run lock is not held: others may change rows and make tables meanwhile.

        Parameters
        ----------
        wanted : `str`
            What is going to be done, for the sentence when it cannot be.
        wait_s : `float`
            How long to wait for another online run, in seconds.

        Raises
        ------
        RegistryBusyError
            Another online run is going on.
        """
        with (
            self._advisory_lock(wanted, wait_s, shared=False, what="online"),
            self._connected(self._engine(writeable=True, purpose=wanted)) as connection,
        ):
            try:
                yield connection
            except DBAPIError as error:
                _rollback(connection)
                raise self._translate(error, wanted) from error

    def busy(self, wanted: str) -> RegistryBusyError:
        """Return the error that lists who has locks on tables of the namespace."""
        return self._busy(wanted, "%")

    @contextmanager
    def _advisory_lock(self, wanted: str, wait_s: float, *, shared: bool, what: str = "") -> Iterator[sa.Connection]:
        function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
        with self._connected(self._engine(writeable=True, purpose=wanted)) as connection:
            lock = connection.execution_options(isolation_level="AUTOCOMMIT")
            keys = dict(zip("ab", lock_keys(self.namespace, what), strict=True))
            deadline = time.monotonic() + wait_s
            # Asking again is safer than waiting in the server: a waiting session holds a snapshot that concurrent
            # index builds of the holder would wait for.
            try:
                while not lock.scalar(sa.text(f"SELECT {function}(:a, :b)"), keys):
                    if time.monotonic() > deadline:
                        found = advisory_lock_holders(lock, keys)
                        raise RegistryBusyError(wanted, str(found[0]) if found else "another registrytool", found)
                    time.sleep(0.2)
            except DBAPIError as error:
                raise self._translate(error, wanted) from error
            yield lock

    def _translate(
        self, error: DBAPIError, wanted: str, lock: str = "%", *, conflicts: bool = False
    ) -> RegistryToolError:
        """Turn an error of the driver into one of ours.

        Parameters
        ----------
        error : `sqlalchemy.exc.DBAPIError`
            The error.
        wanted : `str`
            What was going to be done.
        lock : `str`, optional
            Kind of lock that can have been in the way, as a pattern.
        conflicts : `bool`, optional
            Whether everything was looked up before: then keys that are there twice or missing are the doing of
            another session in the meantime.
        """
        reason = first_line(error)
        if self.dialect == "sqlite":
            return self._translate_sqlite(reason, wanted)
        code = sql_state(error)
        if code == "55P03":
            return self._busy(wanted, lock)
        if code in ("40P01", "40001") or (conflicts and code in ("23505", "23503")):
            return RegistryConflictError(wanted, reason)
        if code == "53100":
            message = f"Cannot {wanted}: the disk of the database is full ({reason})."
            return RegistryStateError(message, hint="Nothing was changed. Make room and run the same command again.")
        if code == "25006":
            message = f"Cannot {wanted}: the database can only be read ({reason})."
            hint = "Connect to the server that is written to, or let an administrator permit writing."
            return RegistryStateError(message, hint=hint)
        if code == "42501":
            message = f"Cannot {wanted}: {reason}."
            return RegistryStateError(
                message, hint="Connect as a user with that right, such as the owner of the tables."
            )
        message = f"Cannot {wanted}: the database says: {reason}."
        return RegistryStateError(message)

    def _translate_sqlite(self, reason: str, wanted: str) -> RegistryToolError:
        path = Path(self.url.database or "")
        if "database is locked" in reason:
            return RegistryBusyError(wanted, sqlite_lock_holder(path))
        if "disk is full" in reason:
            message = f"Cannot {wanted}: the disk of {path} is full."
            return RegistryStateError(message, hint="Nothing was changed. Make room and run the same command again.")
        if "disk I/O error" in reason:
            message = f"Cannot {wanted}: the file {path} cannot be read or written ({reason})."
            return RegistryStateError(
                message, hint="Nothing was changed. Check the disk, and the limits on file sizes and quota."
            )
        if "readonly database" in reason or "unable to open database file" in reason:
            # SQLite writes a journal beside the file.
            message = f"Cannot {wanted}: the file {path} or its folder is read-only."
            return RegistryStateError(message, hint="Get write permission, or work on a copy.")
        if "malformed" in reason or "not a database" in reason:
            message = f"The file {path} is not a sound SQLite database: {reason}."
            return DatabaseConnectionError(message, hint="Restore it from a backup.")
        message = f"Cannot {wanted}: the database says: {reason}."
        return RegistryStateError(message)

    def _busy(self, wanted: str, lock: str) -> RegistryBusyError:
        """Say who has locks on tables of the namespace."""
        try:
            with self._connected(self._engine(writeable=False)) as connection:
                found = table_lock_holders(connection, self.namespace, lock)
        except RegistryToolError:
            found = []
        holder = " and ".join(map(str, found[:5])) or "another session, which has gone since,"
        return RegistryBusyError(wanted, holder, found)


def sqlite_lock_holder(path: Path) -> str:
    """Say which process has a lock on a file, as far as the operating system tells.

    Parameters
    ----------
    path : `pathlib.Path`
        The file.

    Returns
    -------
    holder : `str`
        Process and command line, or "another process" where that cannot be known (another host, not Linux).
    """
    holders: list[tuple[bool, bool, str]] = []
    try:
        # With a write-ahead log the locks are on the file of its index.
        files = {_lock_name(f) for f in (path, path.with_name(f"{path.name}-shm")) if f.exists()}
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if len(fields) >= 6 and fields[1] in ("POSIX", "OFDLCK") and fields[5] in files:
                # A reader can be in the way of a writer, and so can another connection of this very process.
                holders.append((fields[4] == str(os.getpid()), fields[3] != "WRITE", fields[4]))
        if holders:
            process = min(holders)[2]
            command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            words = hide_passwords(" ".join(command.split()))
            return f"process {process} ({words if len(words) <= 80 else words[:77] + '...'})"
    except (OSError, ValueError):
        pass
    return "another process"


def _lock_name(path: Path) -> str:
    """Return a file as the kernel names it in ``/proc/locks``."""
    status = path.stat()
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"


def _rollback(connection: sa.Connection) -> None:
    """Roll back even if the server has closed the session, which rolls back by itself."""
    import contextlib

    with contextlib.suppress(DBAPIError):
        connection.rollback()


def sql_state(error: DBAPIError) -> str:
    """Return the five letters by which PostgreSQL names an error, nothing on SQLite."""
    return getattr(error.orig, "pgcode", None) or ""


def first_line(error: BaseException) -> str:
    """Return the first line of what a driver says, without a full stop."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    lines = [" ".join(line.split()) for line in str(cause).splitlines() if line.strip()]
    return hide_passwords(lines[0]).rstrip(".") if lines else type(cause).__name__
