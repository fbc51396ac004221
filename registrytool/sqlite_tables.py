"""Write SQLite tables in bulk, and change their definitions without writing them.

SQLite keeps the indexes of primary keys and unique constraints up to date while rows are inserted, in whatever order
these come, and knows no way to add a constraint later.  So rows are inserted without constraints, unique indexes are
made, which sorts them, and then the definition is given its constraints, whose indexes are those: an index of a
constraint differs from another one in its name and in that it has no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateTable

from .structure import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .executor import Executor

_DIALECT = DIALECTS["sqlite"]
_INDEX = "registrytool_unique_"


def definition_text(table: sa.Table, name: str) -> str:
    """Return the text of CREATE TABLE under some name, as SQLite keeps it."""
    head = f"CREATE TABLE {_quote(str(table.name))}"
    text = str(CreateTable(table).compile(dialect=_DIALECT)).strip()
    return f"CREATE TABLE {_quote(name)}" + text.removeprefix(head)


def begin_bulk(executor: Executor, table: sa.Table, name: str) -> Mapping[str, Sequence[str]]:
    """Make a table without the constraints that have an index.

    Parameters
    ----------
    executor : `Executor`
        A connection.
    table : `sqlalchemy.Table`
        What the table shall be in the end.
    name : `str`
        Its name until then.

    Returns
    -------
    indexes : `~collections.abc.Mapping` [`str`, `~collections.abc.Sequence` [`str`]]
        Columns of the indexes that its constraints will have, by their numbers.
    """
    # The table itself tells which indexes it has.
    executor.execute(_sql(definition_text(table, name)))
    indexes: dict[str, Sequence[str]] = {}
    for row in executor.fetch(_sql(f"PRAGMA index_list({_quote(name)})")):
        found = executor.fetch(_sql(f"PRAGMA index_info({_quote(row[1])})"))
        indexes[str(row[1]).rpartition("_")[2]] = [column for _, _, column in found]
    if indexes:
        executor.execute(_sql(f"DROP TABLE {_quote(name)}"))
        executor.execute(_sql(_bare(table, name)))
    return indexes


def finish_bulk(executor: Executor, name: str, indexes: Mapping[str, Sequence[str]]) -> None:
    """Make the indexes of the constraints, when all rows are there."""
    for number, columns in indexes.items():
        listed = ", ".join(_quote(c) for c in columns)
        executor.execute(_sql(f"CREATE UNIQUE INDEX {_INDEX}{number} ON {_quote(name)} ({listed})"))


def set_definition(executor: Executor, table: sa.Table, indexes: Mapping[str, Sequence[str]] | None = None) -> None:
    """Replace the text of CREATE TABLE, as section 7 of the SQLite manual on ALTER TABLE describes.

    Parameters
    ----------
    executor : `Executor`
        A connection, or a recorder.
    table : `sqlalchemy.Table`
        The definition.
    indexes : `~collections.abc.Mapping`, optional
        Indexes of `finish_bulk` that become those of its constraints.
    """
    name = str(table.name)
    executor.execute(_sql("PRAGMA writable_schema = ON"))
    executor.execute(
        sa.text("UPDATE sqlite_master SET sql = :definition WHERE type = 'table' AND name = :name").bindparams(
            sa.bindparam("definition", definition_text(table, name), sa.Text()), sa.bindparam("name", name, sa.Text())
        )
    )
    for number in indexes or ():
        executor.execute(
            sa.text(
                "UPDATE sqlite_master SET name = :automatic, sql = NULL WHERE type = 'index' AND name = :name"
            ).bindparams(
                sa.bindparam("automatic", f"sqlite_autoindex_{name}_{number}", sa.Text()),
                sa.bindparam("name", f"{_INDEX}{number}", sa.Text()),
            )
        )
    for (number,) in executor.fetch(sa.text("PRAGMA schema_version")):
        # Makes other connections read the schema again.
        executor.execute(_sql(f"PRAGMA schema_version = {number + 1}"))
    executor.execute(_sql("PRAGMA writable_schema = RESET"))


def wrong_rows(executor: Executor, name: str) -> str | None:
    """Say why the rows of a table do not keep to its definition; `None` if they do."""
    answers = [answer for (answer,) in executor.fetch(_sql(f"PRAGMA quick_check({_quote(name)})"))]
    return next((str(a) for a in answers if a != "ok"), None)


def _bare(table: sa.Table, name: str) -> str:
    """Return the text of CREATE TABLE without the constraints that have an index."""
    parts = [str(CreateColumn(column).compile(dialect=_DIALECT)) for column in table.columns]
    key = list(table.primary_key.columns)
    if len(key) == 1 and key[0].type.compile(_DIALECT) == "INTEGER":
        # This key has no index: it is the number of the row.
        parts.append(f"PRIMARY KEY ({_quote(key[0].name)})")
    checks = [c for c in table.constraints if isinstance(c, sa.CheckConstraint)]
    parts.extend(f"CONSTRAINT {_quote(str(c.name))} CHECK ({c.sqltext})" for c in checks)
    return f"CREATE TABLE {_quote(name)} ({', '.join(parts)})"


def _quote(name: str) -> str:
    return _DIALECT.identifier_preparer.quote(name)


def _sql(text: str) -> sa.TextClause:
    return sa.text(text.replace(":", r"\:"))
