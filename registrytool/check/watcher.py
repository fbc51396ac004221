"""Watch what each statement of a step does to a database: its locks, the tables that it writes again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from registrytool.executor import ConnectionExecutor

from .statements import single_statements
from .tried import Emitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.executor import Refusal


_DDL = re.compile(
    r"\s*(ALTER|CREATE|DROP|LOCK|TRUNCATE|VACUUM|CLUSTER|REINDEX|REFRESH|SET|SELECT\s+set_config)\b", re.IGNORECASE
)
_NOT_NULL = re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE)


class Watcher:
    """Executes statements and writes down what each does: its text, its locks, the tables that it writes again."""

    live: ClassVar[bool] = True

    def __init__(
        self, connection: sa.Connection, namespace: str | None, tables: frozenset[str], emitted: list[Emitted]
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._tables = tables
        self._emitted = emitted
        self._bound = 0
        self._seen = self._look()

    def fetch(self, statement: Any) -> Sequence[Any]:
        """Return the rows of a query."""
        return self._connection.execute(statement).fetchall()

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse to go on if a query has rows."""
        ConnectionExecutor(self._connection).forbid(rows, refusal)

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:
        """Return name and definition of the indexes and triggers of an SQLite table."""
        return ConnectionExecutor(self._connection).strangers(table)

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:
        """Give the rows of a query in pieces."""
        return ConnectionExecutor(self._connection).stream(statement)

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows."""
        ConnectionExecutor(self._connection).load(table, rows)

    def execute(self, statement: Any) -> None:
        """Execute a statement."""
        sent: list[str] = []

        def listen(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
            sent.append(text % parameters if isinstance(parameters, dict) and parameters else text)

        proved = self._proved() if _NOT_NULL.search(str(statement)) else frozenset()
        sa.event.listen(self._connection, "before_cursor_execute", listen)
        try:
            self._connection.execute(statement)
        finally:
            sa.event.remove(self._connection, "before_cursor_execute", listen)
        for text in sent:
            pieces = list(single_statements(text))
            now = self._look() if any(map(_DDL.match, pieces)) else self._seen
            rewritten = frozenset(t for t, file in now.files.items() if self._seen.files.get(t, file) != file)
            # What they do is known of all that are sent at once.
            first = Emitted(pieces[0], now.locks - self._seen.locks, rewritten, now.timeout, proved)
            self._emitted += (first, *(Emitted(piece, proved=proved) for piece in pieces[1:]))
            self._seen = now

    def _look(self) -> _Seen:
        """Look at the locks of this session and the files of the tables."""
        if self._connection.dialect.name != "postgresql":
            return _Seen(frozenset(), {}, timeout=True)
        rows = self._connection.execute(_LOOK, {"namespace": self._namespace}).all()
        ours = [row for row in rows if row.relname in self._tables]
        waiting = self._connection.scalar(_WAITING)
        # No longer than the runner waits.
        self._bound = self._bound or waiting
        timeout = 0 < waiting <= self._bound
        return _Seen(
            frozenset((row.relname, row.mode) for row in ours if row.mode is not None),
            {row.relname: row.file for row in ours},
            timeout,
        )

    def _proved(self) -> frozenset[tuple[str, str]]:
        """Return the columns of which a validated check says that they are not NULL."""
        if self._connection.dialect.name != "postgresql":
            return frozenset()
        rows = self._connection.execute(_CHECKS, {"namespace": self._namespace}).all()
        found = ((row.relname, _IS_NOT_NULL.fullmatch(row.definition)) for row in rows)
        return frozenset((table, match[1].strip('"')) for table, match in found if match)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Locks and files of the tables at a moment."""

    locks: frozenset[tuple[str, str]]
    files: Mapping[str, int]
    timeout: bool


_LOOK = sa.text(
    "SELECT c.relname, pg_relation_filenode(c.oid) AS file, l.mode FROM pg_class AS c "
    "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_locks AS l ON l.relation = c.oid AND l.granted AND l.pid = pg_backend_pid() "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "WHERE n.nspname = :namespace AND c.relkind = 'r'"
)
_WAITING = sa.text("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'".replace("::", r"\:\:"))
_CHECKS = sa.text(
    "SELECT c.relname, pg_get_constraintdef(k.oid) AS definition FROM pg_constraint AS k "
    "JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :namespace AND k.contype = 'c' AND k.convalidated"
)
_IS_NOT_NULL = re.compile(r"CHECK \(\((\S+) IS NOT NULL\)\)")
