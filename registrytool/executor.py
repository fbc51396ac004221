"""What executes the statements of a migration: a connection, or a recorder that only writes them down."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import sqlalchemy as sa

from .errors import RegistryToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Makes the error from the number of rows and the first one.
Refusal = Callable[[object, str], RegistryToolError]

#: Rows that pass through Python at a time, where some must.
_PIECE = 10_000


class Executor(Protocol):
    """Something that executes statements: a connection, or a recorder that only writes them down.

    ``live`` says which.
    """

    live: ClassVar[bool]

    def execute(self, statement: Any) -> None:
        """Execute a statement."""

    def fetch(self, statement: Any) -> Sequence[Any]:
        """Return the rows of a query; none if statements are only written down."""

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse to go on if a query has rows."""

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:
        """Give the rows of a query in pieces; none if statements are only written down."""

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows of texts and numbers, in the order of the columns."""

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:
        """Return name and definition of the indexes and triggers of an SQLite table."""


@dataclass(frozen=True, slots=True)
class ConnectionExecutor:
    """Executes statements on a connection."""

    live: ClassVar[bool] = True
    connection: sa.Connection

    def execute(self, statement: Any) -> None:
        """Execute a statement."""
        self.connection.execute(statement)

    def fetch(self, statement: Any) -> Sequence[Any]:
        """Return the rows of a query."""
        return self.connection.execute(statement).fetchall()

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse to go on if a query has rows."""
        first = self.connection.execute(rows.limit(1)).first()
        if first is not None:
            count = self.connection.scalar(sa.select(sa.func.count()).select_from(rows.subquery()))
            raise refusal(count, ", ".join(str(v) for v in first))

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:
        """Return name and definition of the indexes and triggers of an SQLite table."""
        query = sa.text(
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = :name AND type IN ('index', 'trigger') "
            "AND sql IS NOT NULL"
        )
        return [(name, sql) for name, sql in self.connection.execute(query, {"name": table})]

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:
        """Give the rows of a query in pieces, so that memory does not grow with their number."""
        options = {"stream_results": True, "yield_per": _PIECE}
        yield from self.connection.execute(statement, execution_options=options).partitions()

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows of texts and numbers, in the order of the columns."""
        quote = self.connection.dialect.identifier_preparer
        columns = ", ".join(quote.quote(c.name) for c in table.columns)
        target = f"{quote.format_table(table)} ({columns})"
        with closing(self.connection.connection.cursor()) as cursor:
            if self.connection.dialect.name == "sqlite":
                marks = ", ".join("?" * len(table.columns))
                cursor.executemany(f"INSERT INTO {target} VALUES ({marks})", rows)
            else:
                text = io.StringIO()
                csv.writer(text).writerows(rows)
                text.seek(0)
                cursor.copy_expert(f"COPY {target} FROM STDIN WITH (FORMAT csv)", text)


@dataclass
class Recorder:
    """Writes statements down instead of executing them."""

    live: ClassVar[bool] = False
    statements: list[Any] = field(default_factory=list)

    def execute(self, statement: Any) -> None:
        """Write a statement down."""
        self.statements.append(statement)

    def fetch(self, statement: Any) -> Sequence[Any]:  # noqa: ARG002 (nothing can be asked)
        """Return nothing: there is nobody to ask."""
        return ()

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse nothing: there is nobody to ask."""

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:  # noqa: ARG002
        """Return nothing: there is nobody to ask."""
        return ()

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:  # noqa: ARG002 (nothing can be asked)
        """Give nothing: there is nobody to ask."""
        return iter(())

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Write down nothing: there are no rows."""
