"""Build, fill, exchange and take away: the phases of one online step; each can be killed and done again.

Nothing is remembered but what the catalogue of the database shows and, for the rows that are filled already, an
attribute that is written with each batch.  Locks that keep others out are asked for with little patience, again and
again: whoever waits for one makes everybody wait who comes after.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from registrytool.database import first_line, lock_keys, sql_state
from registrytool.errors import RegistryBusyError, RegistryStateError
from registrytool.introspect import read_structure
from registrytool.naming import HELPER, helper_name
from registrytool.reshape import _sql
from registrytool.state import ATTRIBUTES, ONLINE_PREFIX, read_attributes, write_attribute
from registrytool.structure import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registrytool.database import Database
    from registrytool.progress import Progress
    from registrytool.structure import Check, ForeignKey, Structure

    from .derive import NewColumn, NewConstraint, NewIndex, Work

#: How long a lock that keeps others out is waited for, in milliseconds: so long, at most, everybody else stands still.
PATIENCE_MS = 100
#: Pauses between two tries, in seconds.
_PAUSES_S = (0.1, 0.6)
#: Lock not available, query canceled (by our own limit), deadlock, serialization failure.
_DEADLOCK = "40P01"
_TRY_AGAIN = ("55P03", "57014", _DEADLOCK, "40001")
_CHECKPOINT = f"{ONLINE_PREFIX}filled."


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast rows are filled: rows of a batch, and seconds of pause after each."""

    batch_rows: int = 2000
    pause_s: float = 0.02


@contextmanager
def one_moment(connection: sa.Connection) -> Iterator[None]:
    """Begin a transaction that sees one moment, on a connection of `Database.online`."""
    connection.execution_options(isolation_level="REPEATABLE READ")
    try:
        with connection.begin():
            yield
    finally:
        connection.execution_options(isolation_level="READ COMMITTED")


class Engine:
    """The phases of online steps, on one connection.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection of `Database.online`.
    database : `Database`
        The database.
    wanted : `str`
        What is going to be done, for messages.
    pace : `Pace`
        How fast.
    wait_s : `float`
        How long to try to get a lock, in seconds.
    progress : `Progress`
        Is told what happens.
    """

    def __init__(
        self, connection: sa.Connection, database: Database, wanted: str, pace: Pace, wait_s: float, progress: Progress
    ) -> None:
        self.connection = connection
        self.database = database
        self.namespace = database.namespace
        self.wanted = wanted
        self.pace = pace
        self.wait_s = wait_s
        self.progress = progress
        self._preparer = DIALECTS["postgresql"].identifier_preparer

    # -- names and statements ---------------------------------------------

    def quote(self, name: str) -> str:
        """Return a name as SQL."""
        return str(self._preparer.quote(name))

    def qualified(self, name: str) -> str:
        """Return a name in the namespace as SQL."""
        return f"{self._preparer.quote_schema(str(self.namespace))}.{self.quote(name)}"

    def do(self, text: str) -> Any:
        """Execute SQL text."""
        return self.connection.execute(_sql(text))

    def alone(self, text: str, undo: str | None = None) -> None:
        """Execute a statement that permits no transaction around it, again after a deadlock.

        Parameters
        ----------
        text : `str`
            The statement.
        undo : `str`, optional
            Takes away what it leaves behind when it fails.
        """
        deadline = time.monotonic() + self.wait_s
        while True:
            connection = self.connection.execution_options(isolation_level="AUTOCOMMIT")
            try:
                connection.execute(sa.text("SET lock_timeout = 0"))
                connection.execute(sa.text("SET statement_timeout = 0"))
                connection.execute(_sql(text))
            except DBAPIError as error:
                # What waits for all others is in their way itself.
                if sql_state(error) != _DEADLOCK or time.monotonic() > deadline:
                    raise
            else:
                return
            finally:
                self.connection.rollback()
                self.connection.execution_options(isolation_level="READ COMMITTED")
            if undo is not None:
                self.alone(undo)

    def structure(self) -> Structure:
        """Read what there is."""
        with one_moment(self.connection):
            return read_structure(self.connection, self.namespace)

    def briefly(
        self,
        work: Callable[[], object],
        tables: Sequence[str] = (),
        *,
        exclusive: bool = False,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """Do something in a transaction that keeps others out for a moment.

        Parameters
        ----------
        work : callable
            Does it.
        tables : sequence of `str`, optional
            Tables that nobody else may use meanwhile.
        exclusive : `bool`, optional
            Whether no other registrytool may be at work.
        first : callable, optional
            Does in the same transaction what can be done before the tables are locked.

        Raises
        ------
        RegistryBusyError
            Others had the locks for too long.
        """
        deadline = time.monotonic() + self.wait_s
        while True:
            try:
                with self.connection.begin():
                    self.do("SET LOCAL idle_in_transaction_session_timeout = 0")
                    self.do(f"SET LOCAL lock_timeout = {PATIENCE_MS}")
                    if not exclusive or self._no_other():
                        first()
                        if tables:
                            # One limit for all of them together.
                            self.do(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
                            names = ", ".join(self.qualified(t) for t in tables)
                            self.do(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
                        self.do("SET LOCAL statement_timeout = 0")
                        work()
                        return
            except DBAPIError as error:
                if sql_state(error) not in _TRY_AGAIN:
                    raise
            if time.monotonic() > deadline:
                raise self._gave_up()
            time.sleep(random.uniform(*_PAUSES_S))  # noqa: S311 (no secret)

    def _no_other(self) -> bool:
        a, b = lock_keys(self.namespace)
        return bool(self.connection.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:a, :b)"), {"a": a, "b": b}))

    def _gave_up(self) -> RegistryBusyError:
        error = self.database.busy(self.wanted)
        error.hint = "Run it again with --resume when they have finished; --wait says how long it tries."
        return error

    # -- building ---------------------------------------------------------

    def build(self, work: Work, phase: Callable[[str], None]) -> None:
        """Build everything beside the tables; what is there already is kept.

        Parameters
        ----------
        work : `Work`
            What to build.
        phase : callable
            Is told which phase begins.

        Raises
        ------
        RegistryBusyError
            Others had a lock for too long.
        RegistryStateError
            Rows do not keep to a new key or check.
        """
        phase("expand")
        found = self.structure()
        for table in dict.fromkeys(c.table for c in work.columns):
            missing = [c for c in work.columns_of(table) if c.helper not in found.tables[table].columns]
            if missing:
                self._add_columns(table, missing)
        phase("backfill")
        for table in work.filled:
            self._fill(table, work.columns_of(table), found.tables[table].primary_key)
        phase("build")
        found = self.structure()
        try:
            for index in work.indexes:
                self._build_index(index, found)
            for constraint in work.constraints:
                self._add_constraint(constraint, found)
            for table, name in work.validate:
                self._validate(table, name)
        except DBAPIError as error:
            if not sql_state(error).startswith("23"):
                raise
            message = f"Cannot {self.wanted}: the data does not keep to the new definition ({first_line(error)})."
            raise RegistryStateError(
                message, hint="Mend it and go on with --resume, or go back with --abort."
            ) from error

    def _add_columns(self, table: str, columns: Sequence[NewColumn]) -> None:
        """Add columns and the trigger that fills them for whatever is written from now on."""
        values = [c for c in columns if c.value is not None]

        def work() -> None:
            clauses = [
                f"ADD COLUMN {self.quote(c.helper)} {c.type}"
                + (f" DEFAULT {c.default}" if c.default is not None else "")
                for c in columns
            ]
            self.do(f"ALTER TABLE {self.qualified(table)} {', '.join(clauses)}")
            write_attribute(self.connection, self.namespace, _CHECKPOINT + table, None)
            if values:
                name = self.qualified(helper_name("fill", table))
                lines = "\n".join(f"  NEW.{self.quote(c.helper)} := {c.value};" for c in values)
                self.do(
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $registrytool$\n"
                    f"BEGIN\n{lines}\n  RETURN NEW;\nEND\n$registrytool$"
                )
                # For every update: rows that the batches have not reached yet may be moved behind them.
                self.do(
                    f"CREATE TRIGGER {self.quote(helper_name('fill', table))} BEFORE INSERT OR UPDATE "
                    f"ON {self.qualified(table)} FOR EACH ROW EXECUTE FUNCTION {name}()"
                )

        self.briefly(work, [table])

    def _fill(self, table: str, columns: Sequence[NewColumn], key: Sequence[str]) -> None:
        """Fill new columns of the rows that were there before, in batches along the primary key."""
        types = {c: self._type(table, c) for c in key}
        quoted = [self.quote(c) for c in key]
        row, target = f"({', '.join(quoted)})", self.qualified(table)
        texts = ", ".join(f"CAST({q} AS text)" for q in quoted)
        # The trigger computes the value, here as everywhere.
        first = next(c for c in columns if c.value is not None)
        update = f"UPDATE {target} SET {self.quote(first.helper)} = NULL"
        with self.connection.begin():
            total = int(
                self.connection.scalar(
                    sa.text("SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = CAST(:name AS regclass)"),
                    {"name": target},
                )
                or 0
            )
            checkpoint = read_attributes(self.connection, self.namespace).get(_CHECKPOINT + table)
        state: dict[str, Any] = json.loads(checkpoint) if checkpoint else {"after": None, "rows": 0, "done": False}

        def bound(prefix: str) -> str:
            return f"({', '.join(f'CAST(:{prefix}{n} AS {types[c]})' for n, c in enumerate(key))})"

        while not state["done"]:
            state = self._batch(target, texts, row, quoted, bound, update, table, state)
            self.progress.rows(table, state["rows"], max(total, state["rows"]))
            if not state["done"]:
                time.sleep(self.pace.pause_s)

    def _batch(
        self,
        target: str,
        texts: str,
        row: str,
        key: Sequence[str],
        bound: Callable[[str], str],
        update: str,
        table: str,
        state: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Fill the next rows and write down how far that is, in one transaction."""
        result: dict[str, Any] = {}
        after = state["after"]
        since = f"{row} > {bound('a')}" if after is not None else "true"

        def values(prefix: str, texts: Sequence[str] | None) -> dict[str, str]:
            return {f"{prefix}{n}": text for n, text in enumerate(texts or ())}

        def work() -> None:
            last = self.connection.execute(
                sa.text(
                    f"SELECT {texts} FROM {target} WHERE {since} ORDER BY {', '.join(key)} "
                    f"OFFSET {self.pace.batch_rows - 1} LIMIT 1"
                ),
                values("a", after),
            ).first()
            until = f" AND {row} <= {bound('z')}" if last is not None else ""
            parameters = values("a", after) | values("z", last)
            done = self.connection.execute(sa.text(f"{update} WHERE {since}{until}"), parameters)
            result.update(
                after=list(last) if last is not None else after,
                rows=state["rows"] + done.rowcount,
                done=last is None,
            )
            write_attribute(self.connection, self.namespace, _CHECKPOINT + table, json.dumps(result))

        self.briefly(work)
        return result

    def _type(self, table: str, column: str) -> str:
        with self.connection.begin():
            return str(
                self.connection.scalar(
                    sa.text(
                        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                        "WHERE attrelid = CAST(:name AS regclass) AND attname = :column"
                    ),
                    {"name": self.qualified(table), "column": column},
                )
            )

    def _build_index(self, index: NewIndex, found: Structure) -> None:
        present = next((i for i in found.tables[index.table].indexes if i.name == index.helper), None)
        if present is not None and present.valid:
            return
        if present is not None:
            # Left over by a build that was interrupted; nobody can use it, and everybody keeps it up to date.
            self.alone(f"DROP INDEX CONCURRENTLY {self.qualified(index.helper)}")
        self.progress.phase(f"building {index.name}")
        columns = ", ".join(self.quote(c) for c in index.columns)
        unique = "UNIQUE " if index.unique else ""
        self.alone(
            f"CREATE {unique}INDEX CONCURRENTLY {self.quote(index.helper)} ON {self.qualified(index.table)} "
            f"USING {index.method} ({columns})",
            f"DROP INDEX CONCURRENTLY IF EXISTS {self.qualified(index.helper)}",
        )

    def _add_constraint(self, constraint: NewConstraint, found: Structure) -> None:
        table = found.tables[constraint.table]
        items: list[Check | ForeignKey] = [*table.checks, *table.foreign_keys]
        present = next((c for c in items if c.name == constraint.helper), None)
        if present is None:
            name, definition = self.quote(constraint.helper), constraint.definition
            text = f"ALTER TABLE {self.qualified(constraint.table)} ADD CONSTRAINT {name} {definition} NOT VALID"
            self.briefly(partial(self.do, text))
        if present is None or not present.validated:
            self._validate(constraint.table, constraint.helper)

    def _validate(self, table: str, name: str) -> None:
        self.progress.phase(f"checking {name}")
        text = f"ALTER TABLE {self.qualified(table)} VALIDATE CONSTRAINT {self.quote(name)}"
        self.briefly(partial(self.do, text))

    # -- exchange ---------------------------------------------------------

    def exchange(self, work: Work) -> None:
        """Put what was built in its place, in the transaction of the caller; definitions change, no row does."""
        for table in work.tables:
            self._exchange_table(table, work)

    def _exchange_table(self, table: str, work: Work) -> None:
        target = self.qualified(table)
        columns = work.columns_of(table)
        if any(c.value is not None for c in columns):
            self._drop_trigger(table)
        dropped = [f"DROP COLUMN {self.quote(c.name)}" for c in columns if c.replaces]
        if dropped:
            self.do(f"ALTER TABLE {target} {', '.join(dropped)}")
        for column in columns:
            self.do(f"ALTER TABLE {target} RENAME COLUMN {self.quote(column.helper)} TO {self.quote(column.name)}")
        constraints = [c for c in work.constraints if c.table == table]
        proofs = [c for c in constraints if c.column is not None]
        if proofs:
            # The checks prove it, so that no row is read.
            nulls = [f"ALTER COLUMN {self.quote(str(c.column))} SET NOT NULL" for c in proofs]
            self.do(f"ALTER TABLE {target} {', '.join(nulls)}")
            gone = [f"DROP CONSTRAINT {self.quote(c.helper)}" for c in proofs]
            self.do(f"ALTER TABLE {target} {', '.join(gone)}")
        for index in (i for i in work.indexes if i.table == table):
            name, helper = self.quote(index.name), self.quote(index.helper)
            if index.constraint is None:
                self.do(f"DROP INDEX IF EXISTS {self.qualified(index.name)}")
                self.do(f"ALTER INDEX {self.qualified(index.helper)} RENAME TO {name}")
            else:
                self._drop_constraint(table, index.name)
                if index.constraint == "PRIMARY KEY":
                    self._drop_primary_key(table)
                self.do(f"ALTER TABLE {target} ADD CONSTRAINT {name} {index.constraint} USING INDEX {helper}")
        for constraint in constraints:
            if constraint.name is not None:
                self._drop_constraint(table, constraint.name)
                names = f"{self.quote(constraint.helper)} TO {self.quote(constraint.name)}"
                self.do(f"ALTER TABLE {target} RENAME CONSTRAINT {names}")

    def _drop_constraint(self, table: str, name: str) -> None:
        self.do(f"ALTER TABLE {self.qualified(table)} DROP CONSTRAINT IF EXISTS {self.quote(name)}")

    def _drop_primary_key(self, table: str) -> None:
        name = self.connection.scalar(
            sa.text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype = 'p'"),
            {"table": self.qualified(table)},
        )
        if name is not None:
            self._drop_constraint(table, name)

    def _drop_trigger(self, table: str) -> None:
        name = helper_name("fill", table)
        self.do(f"DROP TRIGGER IF EXISTS {self.quote(name)} ON {self.qualified(table)}")
        self.do(f"DROP FUNCTION IF EXISTS {self.qualified(name)}()")

    # -- taking away ------------------------------------------------------

    def take_away(self, names: Iterable[str]) -> None:
        """Drop whatever an online step has built; it can be interrupted and done again.

        Parameters
        ----------
        names : iterable of `str`
            Tables of the registry.
        """
        found = self.structure()
        for name in sorted(set(names) & found.tables.keys()):
            table = found.tables[name]
            items: list[Check | ForeignKey] = [*table.checks, *table.foreign_keys]
            clauses = [f"DROP CONSTRAINT {self.quote(str(c.name))}" for c in items if str(c.name).startswith(HELPER)]
            clauses += [f"DROP COLUMN {self.quote(c)}" for c in table.columns if c.startswith(HELPER)]
            if clauses:
                self.briefly(partial(self._drop, name, clauses), [name])
        for name in sorted(set(names) & found.tables.keys()):
            for index in self.structure().tables[name].indexes if _has_helper(found, name) else ():
                if index.name.startswith(HELPER):
                    self.alone(f"DROP INDEX CONCURRENTLY {self.qualified(index.name)}")

    def _drop(self, table: str, clauses: Sequence[str]) -> None:
        write_attribute(self.connection, self.namespace, _CHECKPOINT + table, None)
        self._drop_trigger(table)
        self.do(f"ALTER TABLE {self.qualified(table)} {', '.join(clauses)}")

    def forget(self, prefix: str = _CHECKPOINT) -> None:
        """Remove attributes of an online run, in the transaction of the caller; by default those of one step."""
        table = sa.table(ATTRIBUTES, sa.column("name"), schema=self.namespace)
        self.connection.execute(sa.delete(table).where(table.c.name.startswith(prefix, autoescape=True)))


def _has_helper(found: Structure, table: str) -> bool:
    return any(i.name.startswith(HELPER) for i in found.tables[table].indexes)


def filled_rows(attributes: Any) -> dict[str, int]:
    """Return how many rows are filled already, by table, from the attributes of a registry."""
    return {
        name.removeprefix(_CHECKPOINT): int(json.loads(value)["rows"])
        for name, value in attributes.items()
        if name.startswith(_CHECKPOINT)
    }
