"""Read the structure of a registry out of the catalogue of its database.

Everything is read in a handful of statements, whatever the number of tables.  SQLite keeps names of constraints, and
checks, only in the text of CREATE TABLE, which is parsed here.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .errors import RegistryStateError
from .structure import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    Sequence,
    Structure,
    Table,
    Unique,
    _sorted,
    normal_expression,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def read_structure(connection: sa.Connection, namespace: str | None = None) -> Structure:
    """Read the structure of all tables in a database or namespace.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    namespace : `str`, optional
        PostgreSQL schema.

    Returns
    -------
    structure : `registrytool.structure.Structure`
        Tables and sequences, those that do not belong to the registry included.
    """
    if connection.dialect.name == "sqlite":
        return _read_sqlite(connection)
    return _read_postgresql(connection, namespace or "public")


# -- SQLite -------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:
        (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<mark>[(),])
      | (?P<word>(?:(?!--|/\*)[^\s'"`\[\](),])+)
      | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)

Token = tuple[str, str]

#: What else can be named in the definition of a column: the name is not that of the constraint that follows.
_UNCOMPARED = ("NULL", "DEFAULT", "COLLATE", "GENERATED", "AS")


def _tokens(sql: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while match := _TOKEN.match(sql, position):
        kind = str(match.lastgroup)
        if kind == "end":
            return tokens
        tokens.append((kind, match.group(kind)))
        position = match.end()
    message = f"Cannot understand the definition of a table: {sql[position : position + 40]!r}."
    raise RegistryStateError(message)


def _name(token: Token) -> str:
    kind, text = token
    # SQLite takes a string for a name where only a name can stand.
    if kind not in ("quoted", "string"):
        return text
    quote, inner = text[0], text[1:-1]
    return inner if quote == "[" else inner.replace(quote * 2, quote)


def _inside(tokens: list[Token], start: int) -> tuple[list[Token], int]:
    """Return what stands between the parenthesis at ``start`` and its partner, and the position after it."""
    depth = 0
    for i in range(start, len(tokens)):
        if tokens[i] == ("mark", "("):
            depth += 1
        elif tokens[i] == ("mark", ")"):
            depth -= 1
            if depth == 0:
                return tokens[start + 1 : i], i + 1
    message = "Cannot understand the definition of a table: a parenthesis is not closed."
    raise RegistryStateError(message)


def _items(tokens: list[Token]) -> Iterator[list[Token]]:
    """Split at the commas that stand outside of parentheses."""
    item: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token[1], 0) if token[0] == "mark" else 0
        if depth == 0 and token == ("mark", ","):
            yield item
            item = []
        else:
            item.append(token)
    if item:
        yield item


def _columns(tokens: list[Token]) -> tuple[str, ...]:
    return tuple(_name(item[0]) for item in _items(tokens))


def _text(tokens: list[Token]) -> str:
    return normal_expression(" ".join(text for _, text in tokens))


class _Definition:
    """Constraints of one CREATE TABLE statement."""

    def __init__(self, sql: str) -> None:
        self.primary_key_name: str | None = None
        self.foreign_keys: list[ForeignKey] = []
        self.uniques: list[Unique] = []
        self.checks: list[Check] = []
        tokens = _tokens(sql)
        if tokens[1][1].upper() == "VIRTUAL":
            # What follows is for the module that makes the table.
            return
        body, _ = _inside(tokens, tokens.index(("mark", "(")))
        for item in _items(body):
            self._item(item)

    def _item(self, item: list[Token]) -> None:
        words = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
        is_constraint = item[0][0] == "word" and item[0][1].upper() in words
        column = None if is_constraint else _name(item[0])
        name: str | None = None
        i = 0 if is_constraint else 1
        while i < len(item):
            word = item[i][1].upper() if item[i][0] == "word" else ""
            if word == "CONSTRAINT":
                name = _name(item[i + 1])
                i += 2
                continue
            if word == "CHECK":
                inner, i = _inside(item, i + 1)
                self.checks.append(Check(name, _text(inner)))
            elif word == "UNIQUE":
                columns, i = self._own_columns(item, i + 1, column)
                self.uniques.append(Unique(name, columns))
            elif word == "PRIMARY":
                self.primary_key_name = name
                _, i = self._own_columns(item, i + 2, column)
            elif word in ("FOREIGN", "REFERENCES"):
                columns, i = self._own_columns(item, i + 2, None) if word == "FOREIGN" else ((column or "",), i)
                i = self._reference(item, i + 1, name, columns)
            elif item[i] == ("mark", "("):
                _, i = _inside(item, i)
                continue
            else:
                i += 1
                if word not in _UNCOMPARED:
                    continue
            name = None

    @staticmethod
    def _own_columns(item: list[Token], i: int, column: str | None) -> tuple[tuple[str, ...], int]:
        if column is not None:
            return (column,), i
        inner, i = _inside(item, i)
        return _columns(inner), i

    def _reference(self, item: list[Token], i: int, name: str | None, columns: tuple[str, ...]) -> int:
        """Parse ``target (columns) ON DELETE ...``, which begins at ``i``."""
        target, i = _name(item[i]), i + 1
        target_columns: tuple[str, ...] = ()
        if i < len(item) and item[i] == ("mark", "("):
            inner, i = _inside(item, i)
            target_columns = _columns(inner)
        actions = {"DELETE": "NO ACTION", "UPDATE": "NO ACTION"}
        deferrable = False
        while i < len(item):
            word = item[i][1].upper()
            if word == "ON":
                event, action, i = item[i + 1][1].upper(), item[i + 2][1].upper(), i + 3
                if action in ("SET", "NO"):
                    action, i = f"{action} {item[i][1].upper()}", i + 1
                actions[event] = action
            elif word == "DEFERRABLE":
                deferrable, i = True, i + 1
            elif word in ("INITIALLY", "MATCH") or (
                word == "NOT" and item[i + 1 : i + 2] and item[i + 1][1].upper() == "DEFERRABLE"
            ):
                i += 2
            else:
                break
        self.foreign_keys.append(
            ForeignKey(name, columns, target, target_columns, actions["DELETE"], actions["UPDATE"], deferrable)
        )
        return i


@lru_cache(maxsize=1024)
def _definition(sql: str) -> _Definition:
    """Parse a CREATE TABLE statement; between two looks at a registry most tables stay as they are."""
    return _Definition(sql)


def _read_sqlite(connection: sa.Connection) -> Structure:
    def query(sql: str) -> list[Any]:
        return list(connection.exec_driver_sql(sql))

    listed = query(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    columns: dict[str, dict[str, Column]] = defaultdict(dict)
    keys: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for table, name, kind, notnull, default, position in query(
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_master AS m '
        "JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    ):
        columns[table][name] = Column(name, re.sub(r"\s+", " ", kind).upper(), not notnull, default)
        if position:
            keys[table].append((position, name))
    index_columns: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for table, name, unique, column in query(
        'SELECT m.name, i.name, i."unique", c.name FROM sqlite_master AS m '
        "JOIN pragma_index_list(m.name) AS i JOIN pragma_index_info(i.name) AS c "
        "WHERE m.type = 'table' AND i.origin = 'c' ORDER BY m.name, i.name, c.seqno"
    ):
        index_columns[table, name, bool(unique)].append(column or "(expression)")
    indexes: dict[str, list[Index]] = defaultdict(list)
    for (table, name, unique), names in index_columns.items():
        indexes[table].append(Index(name, tuple(names), unique))
    tables = {}
    for name, sql in listed:
        definition = _definition(sql)
        tables[name] = Table(
            name,
            columns[name],
            tuple(column for _, column in sorted(keys[name])),
            definition.primary_key_name,
            _sorted([_with_target(fk, keys) for fk in definition.foreign_keys]),
            _sorted(definition.uniques),
            _sorted(definition.checks),
            (),
            _sorted(indexes[name]),
        )
    return Structure("sqlite", tables)


def _with_target(fk: ForeignKey, keys: Mapping[str, list[tuple[int, str]]]) -> ForeignKey:
    """Return a foreign key with its target columns: those of the primary key if it names none."""
    if fk.target_columns:
        return fk
    return dataclasses.replace(fk, target_columns=tuple(column for _, column in sorted(keys.get(fk.target, ()))))


# -- PostgreSQL ---------------------------------------------------------------

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

_COLUMNS = """
SELECT c.oid, c.relname, obj_description(c.oid, 'pg_class') IS NOT NULL,
       a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       col_description(c.oid, a.attnum) IS NOT NULL, a.attnum
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = :namespace AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
"""

_CONSTRAINTS = """
SELECT k.conrelid, k.conname, k.contype::text, k.conkey, k.confkey, k.confrelid, f.relname,
       k.confdeltype::text, k.confupdtype::text, k.condeferrable, k.convalidated,
       CASE WHEN k.contype IN ('c', 'x') THEN pg_get_constraintdef(k.oid) END
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS f ON f.oid = k.confrelid
WHERE n.nspname = :namespace AND k.contype IN ('p', 'u', 'f', 'c', 'x')
"""

_INDEXES = """
SELECT i.indrelid, c.relname, i.indisunique, i.indisvalid AND i.indisready, m.amname,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) AS k),
       pg_get_expr(i.indpred, i.indrelid)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS m ON m.oid = c.relam
JOIN pg_class AS t ON t.oid = i.indrelid AND t.relkind IN ('r', 'p')
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE n.nspname = :namespace
  AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
"""

_SEQUENCES = """
SELECT c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = :namespace
"""


def _read_postgresql(connection: sa.Connection, namespace: str) -> Structure:
    def query(sql: str) -> list[Any]:
        return list(connection.execute(sa.text(sql), {"namespace": namespace} if ":namespace" in sql else {}))

    names: dict[int, str] = {}
    comments: dict[int, bool] = {}
    columns: dict[int, dict[str, Column]] = defaultdict(dict)
    numbers: dict[int, dict[int, str]] = defaultdict(dict)
    for oid, table, has_comment, name, kind, nullable, default, commented, number in query(_COLUMNS):
        names[oid], comments[oid] = table, has_comment
        if name is not None:
            columns[oid][name] = Column(name, kind, nullable, default, commented)
            numbers[oid][number] = name
    # The columns of tables in other namespaces are not known here; a key to one is told by its number.
    keys: dict[int, tuple[tuple[str, ...], str]] = {}
    foreign_keys: dict[int, list[ForeignKey]] = defaultdict(list)
    uniques: dict[int, list[Unique]] = defaultdict(list)
    checks: dict[int, list[Check]] = defaultdict(list)
    exclusions: dict[int, list[Exclusion]] = defaultdict(list)
    for row in query(_CONSTRAINTS):
        oid, name, kind, own, others, target, target_name, ondelete, onupdate, deferrable, valid, definition = row
        if oid not in names:
            # Made by another session since the first of these queries.
            continue
        own_columns = tuple(numbers[oid][n] for n in own or ())
        match kind:
            case "p":
                keys[oid] = (own_columns, name)
            case "u":
                uniques[oid].append(Unique(name, own_columns))
            case "f":
                target_columns = tuple(numbers.get(target, {}).get(n, f"#{n}") for n in others)
                foreign_keys[oid].append(
                    ForeignKey(
                        name,
                        own_columns,
                        target_name,
                        target_columns,
                        _ACTIONS[ondelete],
                        _ACTIONS[onupdate],
                        deferrable,
                        valid,
                    )
                )
            case "c":
                checks[oid].append(Check(name, normal_expression(definition), valid))
            case _:
                exclusions[oid].append(Exclusion(name, normal_expression(definition)))
    indexes: dict[int, list[Index]] = defaultdict(list)
    for oid, name, unique, valid, method, expressions, predicate in query(_INDEXES):
        if None in expressions:
            # Dropped by another session since the transaction began.
            continue
        parts = tuple(_unquoted(e) for e in expressions)
        if predicate is not None:
            parts = (*parts, f"WHERE {predicate}")
        indexes[oid].append(Index(name, parts, unique, method, valid))
    tables = {
        table: Table(
            table,
            columns[oid],
            keys[oid][0] if oid in keys else (),
            keys[oid][1] if oid in keys else None,
            _sorted(foreign_keys[oid]),
            _sorted(uniques[oid]),
            _sorted(checks[oid]),
            _sorted(exclusions[oid]),
            _sorted(indexes[oid]),
            comment=comments[oid],
        )
        for oid, table in names.items()
    }
    sequences = {name: Sequence(name, kind, start, step) for name, kind, start, step in query(_SEQUENCES)}
    extensions = frozenset(name for (name,) in query("SELECT extname FROM pg_extension"))
    return Structure("postgresql", tables, sequences, extensions)


def _unquoted(expression: str) -> str:
    if re.fullmatch(r'"(?:[^"]|"")*"', expression):
        return expression[1:-1].replace('""', '"')
    return expression
