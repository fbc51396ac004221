"""An open registry: one transaction, with the tables as its versions define them.

Every operation of maintenance has two parts: one that reads, checks and says what is to be done, and one that does it.
Both take a `Session`.  `reading` gives one that cannot write; `change` runs a function in one that can, and again if
it and another transaction got in each other's way.
"""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from registrytool.catalog import Catalog
from registrytool.database import Database, first_line, sql_state
from registrytool.errors import RegistryConflictError, RegistryStateError
from registrytool.naming import shrink
from registrytool.state import Recorded, read_attributes, read_recorded
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registrytool.builder import Builder
    from registrytool.models import State
    from registrytool.repository import Repository

#: How long maintenance waits for locks of others, in seconds.
WAIT_S = 60.0
#: How often a transaction is tried that gets in the way of others.
_TRIES = 10
#: How long tables are asked for that are locked together, in seconds, in the first try and in any later one: the
#: session that is in the way may itself be waiting for this one.
_PATIENCE_S = 0.5
_LONGEST_PATIENCE_S = 10.0
#: Advisory lock, on PostgreSQL, of those that try again.
_AGAIN = int.from_bytes(hashlib.blake2b(b"registrytool again", digest_size=4).digest(), "big", signed=True)

#: How attributes begin that decide which tables there are.
_DECISIVE = ("version:", "config:")

_Result = TypeVar("_Result")


class _Plan(Protocol):
    """What is going to be done, or was done."""

    @property
    def changed(self) -> bool:
        """Whether anything is different afterwards."""


_P = TypeVar("_P", bound=_Plan)
_P_co = TypeVar("_P_co", bound=_Plan, covariant=True)


class Work(Protocol[_P_co]):
    """An operation in one transaction."""

    def __call__(self, session: Session, *, act: bool) -> _P_co:
        """Read, check and refuse; then do it, if that is meant."""


class Session:
    """One transaction on a registry.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection in a transaction.
    database : `Database`
        Its database.
    repository : `Repository`
        Where the registry was found.
    catalog : `Catalog`
        The versions.
    patience_s : `float`, optional
        How long `lock_together` asks, in seconds.

    Attributes
    ----------
    recorded : `Recorded`
        What the registry says about itself, as of the beginning of the session or the last `refresh`.

    Raises
    ------
    RegistryNotFoundError
        There is no registry.
    RegistryStateError
        What it says about itself is incomplete.
    UnknownVersionError
        It names a class or version that the content does not know.
    """

    recorded: Recorded

    def __init__(
        self,
        connection: sa.Connection,
        database: Database,
        repository: Repository,
        catalog: Catalog,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self.connection = connection
        self.database = database
        self.repository = repository
        self.catalog = catalog
        self.refresh()

    def refresh(self) -> None:
        """Read again what the registry says about itself; needed after tables have been made or dropped."""
        self.recorded = read_recorded(self.connection, self.namespace, self.catalog, where=self.repository.name)
        self.__dict__.pop("_definitions", None)
        self.__dict__.pop("universe", None)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.database.dialect

    @property
    def namespace(self) -> str | None:
        """PostgreSQL schema, `None` on SQLite."""
        return self.database.namespace

    @property
    def state(self) -> State:
        """Versions of all components."""
        return self.recorded.state

    @cached_property
    def universe(self) -> Universe:
        """Dimension universe of the registry."""
        return Universe(self.recorded.universe)

    @cached_property
    def _definitions(self) -> Builder:
        """Definitions of all tables, dynamic ones included."""
        recorded = self.recorded
        return self.catalog.definitions(
            recorded.state, self.dialect, recorded.dynamic, universe=recorded.universe, namespace=self.namespace
        )

    @property
    def metadata(self) -> sa.MetaData:
        """All tables, for what looks through them; `table` makes no more than is needed."""
        return self._definitions.metadata

    def table(self, name: str) -> sa.Table:
        """Return the definition of a table.

        The tables to which its foreign keys refer can be looked up once `metadata` was asked for.

        Raises
        ------
        RegistryStateError
            The registry has no such table.
        RegistryConflictError
            Others have made it since the transaction began.
        """
        found = self._definitions.find(name)
        if found is None:
            now = read_recorded(self.connection, self.namespace, self.catalog, where=self.repository.name)
            if now.dynamic != self.recorded.dynamic:
                # What is made while a transaction writes, it sees; the next one knows it from its beginning.
                raise RegistryConflictError(f"use {self.repository.name}", f"others have made the table {name}")
            message = f"The registry of {self.repository.name} has no table {name}."
            raise RegistryStateError(message, hint="Run 'registrytool verify' to see what else is missing.")
        return found

    def has_table(self, name: str) -> bool:
        """Return whether the versions of the registry define a table."""
        return name in self._definitions

    # -- what differs between states ------------------------------------------

    @property
    def collection_column(self) -> str:
        """Column by which tables refer to a collection: ``collection_id``, or ``collection_name``."""
        return "collection_name" if self.by_name else "collection_id"

    @property
    def run_column(self) -> str:
        """Column by which tables refer to a run: ``run_id``, or ``run_name``."""
        return "run_name" if self.by_name else "run_id"

    @property
    def collection_key(self) -> str:
        """Primary key of the tables ``collection`` and ``run``: ``collection_id``, or ``name``."""
        return "name" if self.by_name else "collection_id"

    @property
    def has_documentation(self) -> bool:
        """Whether collections have documentation: before version 2.0.0 they had none."""
        return "doc" in self.table("collection").c

    @property
    def by_name(self) -> bool:
        """Whether collections are keyed by their names instead of by numbers."""
        return self.state["collections"].implementation == "NameKeyCollectionManager"

    # -- reading and writing --------------------------------------------------

    def rows(self, query: sa.Executable, parameters: Any = None) -> Sequence[sa.Row[Any]]:
        """Execute a query and return all its rows."""
        return self.connection.execute(query, parameters).fetchall()

    def scalar(self, query: sa.Executable, parameters: Any = None) -> Any:
        """Execute a query and return the first column of its first row, `None` if there is none."""
        return self.connection.scalar(query, parameters)

    def execute(self, statement: sa.Executable, parameters: Any = None) -> int:
        """Execute a statement.

        Returns
        -------
        rows : `int`
            Number of rows that it changed.
        """
        return max(self.connection.execute(statement, parameters).rowcount, 0)

    def commit(self, between: Callable[[], None] | None = None) -> None:
        """Commit what was done so far and go on in a new transaction, for work that is cut into pieces.

        Only for work that goes on from where it was stopped when it is called again.

        Parameters
        ----------
        between : callable, optional
            Is called between the two transactions, when nothing is locked.

        Raises
        ------
        RegistryConflictError
            A migration has come between them; on PostgreSQL the run lock, which is kept, forbids that.
        """
        self.database.commit(self.connection, between)
        if self.dialect == "sqlite":
            before, now = self.recorded.attributes, read_attributes(self.connection, self.namespace)
            if any(before.get(n) != now.get(n) for n in {*before, *now} if n.startswith(_DECISIVE)):
                raise RegistryConflictError(f"use {self.repository.name}", "it was migrated meanwhile")

    def new_ids(self, table: str, column: str, number: int) -> list[int]:
        """Return numbers for new rows of a table, which must then be inserted with them.

        Parameters
        ----------
        table, column : `str`
            Table and its integer primary key.
        number : `int`
            How many numbers.

        Returns
        -------
        ids : `list` [`int`], length ``number``
            On PostgreSQL from the sequence, as the Butler does; on SQLite the numbers after the highest one, which
            nobody else can take before this transaction ends.
        """
        if self.dialect == "postgresql":
            name = self._qualified(shrink(f"{table}_seq_{column}", self.dialect))
            query = sa.text("SELECT nextval(CAST(:name AS regclass)) FROM generate_series(1, :number)")
            return [int(i) for i in self.connection.scalars(query, {"name": name, "number": number})]
        found = self.scalar(sa.select(sa.func.max(self.table(table).c[column])))
        first = (found or 0) + 1
        return list(range(first, first + number))

    def lock(self, *names: str, mode: str = "EXCLUSIVE") -> None:
        """Lock tables until the end of the transaction; SQLite has locked all of them already.

        Parameters
        ----------
        *names : `str`
            Tables; they are locked in alphabetical order, whoever asks, so that nobody waits in a circle.
        mode : `str`, optional
            Mode of PostgreSQL; ``EXCLUSIVE`` lets others read and nothing else.
        """
        if self.dialect != "postgresql":
            return
        for name in sorted(set(names)):
            self.connection.execute(sa.text(f"LOCK TABLE {self._qualified(name)} IN {mode} MODE".replace(":", r"\:")))

    def hold(self, rows: sa.Select[Any], wanted: str, *, exclusively: bool = False) -> None:
        """Lock rows until the end of the transaction, without waiting for others.

        To wait with another lock in hand could end in a deadlock, see `lock_together`.

        Parameters
        ----------
        rows : `sqlalchemy.Select`
            Query for the rows.
        wanted : `str`
            What is going to be done, for the sentence when it cannot be.
        exclusively : `bool`, optional
            Whether nobody may refer to them; otherwise they are kept from being removed.

        Raises
        ------
        RegistryConflictError
            Others have locks on some of them.
        """
        if self.dialect != "postgresql":
            return
        held = rows.with_for_update(read=not exclusively, key_share=not exclusively, nowait=True).subquery()
        try:
            self.connection.execute(sa.select(sa.func.count()).select_from(held))
        except DBAPIError as error:
            if sql_state(error) != "55P03":
                raise
            raise RegistryConflictError(wanted, first_line(error)) from error

    def _qualified(self, name: str) -> str:
        from registrytool.structure import DIALECTS

        # Not quoted by the dialect of the connection, which doubles percent signs for the driver.
        preparer = DIALECTS[self.dialect].identifier_preparer
        return f"{preparer.quote_schema(self.namespace)}.{preparer.quote(name)}" if self.namespace else name

    def lock_together(self, *names: str, mode: str) -> None:
        """Lock tables until the end of the transaction, without waiting for one of them while having another.

        To wait with a lock in hand could end in a deadlock, and the database decides who has to give way then: it can
        be a Butler, which does not try again.

        Parameters
        ----------
        *names : `str`
            Tables.
        mode : `str`
            Mode of PostgreSQL.

        Raises
        ------
        RegistryConflictError
            Others kept locks on some of them for too long.
        """
        if self.dialect != "postgresql":
            return
        tables = ", ".join(self._qualified(name) for name in sorted(set(names)))
        statement = sa.text(f"LOCK TABLE {tables} IN {mode} MODE NOWAIT".replace(":", r"\:"))
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                # What was locked before one was taken is unlocked again with the savepoint.
                with self.connection.begin_nested():
                    self.connection.execute(statement)
            except DBAPIError as error:
                if sql_state(error) != "55P03":
                    raise
                if time.monotonic() > deadline:
                    what = f"lock the tables {', '.join(sorted(set(names)))} of {self.repository.name}"
                    raise RegistryConflictError(what, first_line(error)) from error
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 (no secret)
            else:
                return


@contextmanager
def reading(repository: Repository, *, catalog: Catalog | None = None) -> Iterator[Session]:
    """Open a registry in a transaction that cannot write and sees one moment.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    catalog : `Catalog`, optional
        The content.

    Yields
    ------
    session : `Session`
        The open registry.
    """
    database = Database.of(repository)
    with database.read() as connection:
        yield Session(connection, database, repository, catalog or Catalog.find())


def look(repository: Repository, work: Callable[[Session], _Result], *, catalog: Catalog | None = None) -> _Result:
    """Run a function in a transaction of `reading`, again if a migration got in its way.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    work : callable
        Is given the `Session`; it only reads.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    result : object
        What the function returned.
    """
    database, catalog = Database.of(repository), catalog or Catalog.find()
    return database.look(lambda connection: work(Session(connection, database, repository, catalog)))


def change(
    repository: Repository,
    wanted: str,
    work: Callable[[Session], _Result],
    *,
    catalog: Catalog | None = None,
    wait_s: float = WAIT_S,
) -> _Result:
    """Run a function in one transaction that can write, under the shared run lock.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    wanted : `str`
        What is going to be done, such as ``"rename the collection u/me/a"``, for the sentence when it cannot be.
    work : callable
        Is given the `Session`.  It must read again what it relies on, and do nothing outside of the database: when
        the transaction and another one get in each other's way, it is called again.
    catalog : `Catalog`, optional
        The content.
    wait_s : `float`, optional
        How long to wait for a lock, in seconds.

    Returns
    -------
    result : object
        What the function returned, after the commit.

    Raises
    ------
    RegistryBusyError
        A migration is running, or somebody else holds a lock for too long.
    RegistryConflictError
        Others got in the way of every try.
    """
    database, catalog = Database.of(repository), catalog or Catalog.find()
    for attempt in range(1, _TRIES + 1):
        try:
            with database.write(wanted, wait_s=wait_s, shared=True) as connection:
                if attempt > 1:
                    _wait_for_others_that_try_again(connection, database)
                patience_s = min(_PATIENCE_S * 2 ** (attempt - 1), _LONGEST_PATIENCE_S)
                return work(Session(connection, database, repository, catalog, patience_s=patience_s))
        except RegistryConflictError:
            if attempt == _TRIES:
                raise
            # Not in step with the others.
            time.sleep(random.uniform(0.02, 0.2) * attempt)  # noqa: S311 (no secret)
    raise AssertionError  # pragma: no cover (the last try returns or raises)


def planned_change(
    repository: Repository, wanted: str, work: Work[_P], *, catalog: Catalog | None = None, dry_run: bool = False
) -> _P:
    """Plan in a transaction that cannot write; then plan again in one that can, and act.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    wanted : `str`
        What is going to be done, see `change`.
    work : callable
        Plans, and acts where ``act`` is true.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    plan : object
        What was done; with ``dry_run``, or if it would change nothing, what was planned.
    """
    plan = look(repository, lambda session: work(session, act=False), catalog=catalog)
    if dry_run or not plan.changed:
        return plan
    return change(repository, wanted, lambda session: work(session, act=True), catalog=catalog)


def _wait_for_others_that_try_again(connection: sa.Connection, database: Database) -> None:
    """Let those who were in each other's way once go one after the other."""
    if database.dialect == "postgresql":
        statement = sa.text("SELECT pg_advisory_xact_lock(:a, hashtext(:namespace))")
        connection.execute(statement, {"a": _AGAIN, "namespace": str(database.namespace)})
