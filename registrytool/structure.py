"""The structure of a database, whatever it was read from, and the differences between two of them.

A `Structure` is made either from a `sqlalchemy.MetaData` (what the versions promise, `from_metadata`) or from a
database (what there is, `registrytool.introspect`).  Both use the words of the database catalogue, so that equal
things compare equal.  The order of columns is not part of a structure: clients address columns by name, and a
migrated PostgreSQL table cannot have the order of a fresh one without being written again.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from .models import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import Dialect

DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    # Without parameters in the style of the driver: a percent sign is itself.
    "postgresql": postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
}

# A backslash in a literal is itself, as on every server that keeps to the standard.
DIALECTS["postgresql"]._backslash_escapes = False  # type: ignore[attr-defined]  # noqa: SLF001 (the driver would set it)

#: Extensions that the format needs in the database.
EXTENSIONS = {"sqlite": frozenset[str](), "postgresql": frozenset({"btree_gist"})}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its type in the words of the database catalogue."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    comment: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key constraint; ``validated`` is false for one that PostgreSQL has not checked."""

    name: str | None
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    ondelete: str = "NO ACTION"
    onupdate: str = "NO ACTION"
    deferrable: bool = False
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique constraint."""

    name: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint, its expression without quotes and blanks that mean nothing."""

    name: str | None
    expression: str
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint of PostgreSQL."""

    name: str | None
    definition: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index that belongs to no constraint."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table with everything that belongs to it."""

    name: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    primary_key_name: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence."""

    name: str
    type: str = "bigint"
    start: int = 1
    increment: int = 1


@dataclass(frozen=True, slots=True)
class Structure:
    """The tables and sequences of one registry."""

    dialect: str
    tables: Mapping[str, Table]
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    extensions: frozenset[str] = frozenset()


# -- from SQLAlchemy ----------------------------------------------------------

_POSTGRESQL_TYPES = {
    "FLOAT": "double precision",
    "TIMESTAMP": "timestamp without time zone",
    "VARCHAR": "character varying",
    "CHAR": "character",
}


def type_name(column_type: sa.types.TypeEngine[Any], dialect: str) -> str:
    """Return a column type in the words of the database catalogue.

    Parameters
    ----------
    column_type : `sqlalchemy.types.TypeEngine`
        The type.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    name : `str`
        ``VARCHAR(32)`` on SQLite is ``character varying(32)`` on PostgreSQL, as `format_type` there says it.
    """
    text = column_type.compile(DIALECTS[dialect])
    if dialect == "sqlite":
        return text.upper()
    base, parenthesis, rest = text.partition("(")
    return (_POSTGRESQL_TYPES.get(base.strip(), base.strip()) + parenthesis + rest).lower()


def normal_expression(text: str) -> str:
    """Return an SQL expression without quotes around plain names and without blanks that mean nothing."""
    text = re.sub(r'["`\[]([A-Za-z_][A-Za-z0-9_]*)["`\]]', r"\1", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s*([(),]|<=|>=|<>|!=|=|<|>)\s*", r"\1", text)


def from_metadata(metadata: sa.MetaData, dialect: str) -> Structure:
    """Read the structure out of table definitions.

    Parameters
    ----------
    metadata : `sqlalchemy.MetaData`
        Definitions for one dialect, as `registrytool.catalog.Catalog.metadata` makes them.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    structure : `Structure`
        The same in neutral words; read once, since definitions do not change.
    """
    if "structure" not in metadata.info:
        metadata.info["structure"] = _read_metadata(metadata, dialect)
    structure: Structure = metadata.info["structure"]
    return structure


def _read_metadata(metadata: sa.MetaData, dialect: str) -> Structure:
    tables = {table.name: _from_table(table, dialect) for table in metadata.tables.values()}
    sequences: dict[str, Sequence] = {}
    if dialect == "postgresql":
        sequences = {s.name: Sequence(s.name) for s in metadata._sequences.values()}  # noqa: SLF001 (no public list)
    return Structure(dialect, tables, sequences, EXTENSIONS[dialect])


def _from_table(table: sa.Table, dialect: str) -> Table:
    foreign_keys, uniques, checks, exclusions = [], [], [], []
    for constraint in table.constraints:
        name = str(constraint.name) if constraint.name is not None else None
        if isinstance(constraint, sa.ForeignKeyConstraint):
            foreign_keys.append(
                ForeignKey(
                    name,
                    tuple(constraint.column_keys),
                    constraint.referred_table.name,
                    tuple(element.column.name for element in constraint.elements),
                    constraint.ondelete or "NO ACTION",
                    constraint.onupdate or "NO ACTION",
                )
            )
        elif isinstance(constraint, sa.UniqueConstraint):
            uniques.append(Unique(name, tuple(constraint.columns.keys())))
        elif isinstance(constraint, sa.CheckConstraint):
            checks.append(Check(name, normal_expression(str(constraint.sqltext))))
        elif isinstance(constraint, postgresql.ExcludeConstraint):
            exclusions.append(Exclusion(name, ""))
    indexes = [
        Index(
            str(index.name),
            tuple(index.columns.keys()),
            bool(index.unique),
            index.dialect_options[dialect].get("using") or "btree",
        )
        for index in table.indexes
    ]
    key = table.primary_key
    return Table(
        table.name,
        {column.name: _from_column(column, dialect) for column in table.columns},
        tuple(key.columns.keys()),
        # PostgreSQL names what has no name, and shortens the table's for it; SQLite does not.
        None if dialect == "sqlite" else f"{table.name[:58]}_pkey",
        _sorted(foreign_keys),
        _sorted(uniques),
        _sorted(checks),
        _sorted(exclusions),
        _sorted(indexes),
        comment=dialect == "postgresql" and table.comment is not None,
    )


def _from_column(column: sa.Column[Any], dialect: str) -> Column:
    default = None
    if isinstance(column.server_default, sa.DefaultClause):
        default = str(column.server_default.arg)
    return Column(
        column.name,
        type_name(column.type, dialect),
        bool(column.nullable),
        default,
        comment=dialect == "postgresql" and column.comment is not None,
    )


_Named = TypeVar("_Named", ForeignKey, Unique, Check, Exclusion, Index)


def _sorted(items: list[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(items, key=lambda item: (item.name or "", str(item))))


# -- differences --------------------------------------------------------------


def differences(expected: Structure, found: Structure) -> list[Difference]:
    """List what differs between two structures.

    Parameters
    ----------
    expected : `Structure`
        What the versions promise.
    found : `Structure`
        What there is.

    Returns
    -------
    differences : `list` [`Difference`]
        In the order of table names; empty if the structures are the same.
    """
    result: list[Difference] = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        want, have = expected.tables.get(name), found.tables.get(name)
        if want is None:
            result.append(Difference(name, "table", name, "unexpected", None, "a table"))
        elif have is None:
            result.append(Difference(name, "table", name, "missing", "a table", None))
        else:
            result.extend(_table_differences(want, have))
    for name in sorted(expected.sequences.keys() | found.sequences.keys()):
        result.extend(_compare("", "sequence", name, expected.sequences.get(name), found.sequences.get(name)))
    result.extend(
        Difference("", "extension", name, "missing", "installed", None)
        for name in sorted(expected.extensions - found.extensions)
    )
    return result


def _table_differences(want: Table, have: Table) -> Iterator[Difference]:
    for name in [*want.columns, *(c for c in have.columns if c not in want.columns)]:
        a, b = want.columns.get(name), have.columns.get(name)
        # The words of a comment are free, only that there is one is compared.
        if a is not None and b is not None and not a.comment:
            b = dataclasses.replace(b, comment=False)
        yield from _compare(want.name, "column", name, a, b)
    if want.comment and not have.comment:
        yield Difference(want.name, "comment", want.name, "missing", "a comment", None)
    if want.primary_key != have.primary_key:
        yield Difference(
            want.name, "primary key", want.name, "columns", ", ".join(want.primary_key), ", ".join(have.primary_key)
        )
    elif want.primary_key_name != have.primary_key_name:
        yield Difference(want.name, "primary key", want.name, "name", want.primary_key_name, have.primary_key_name)
    yield from _compare_sets(want.name, "foreign key", want.foreign_keys, have.foreign_keys)
    yield from _compare_sets(want.name, "unique constraint", want.uniques, have.uniques)
    yield from _compare_sets(want.name, "check", want.checks, have.checks)
    yield from _compare_sets(want.name, "exclusion constraint", want.exclusions, have.exclusions)
    yield from _compare_sets(want.name, "index", want.indexes, have.indexes)


def _compare_sets(table: str, kind: str, want: tuple[_Named, ...], have: tuple[_Named, ...]) -> Iterator[Difference]:
    """Compare by name; what has another name but is the same otherwise is called by its wrong name."""
    missing = [item for item in want if item not in have]
    extra = [item for item in have if item not in want]
    for item in list(missing):
        same_name = next((other for other in extra if other.name == item.name), None)
        if same_name is not None:
            missing.remove(item)
            extra.remove(same_name)
            yield from _compare(table, kind, str(item.name), item, same_name)
            continue
        renamed = next((other for other in extra if dataclasses.replace(other, name=item.name) == item), None)
        if renamed is not None:
            missing.remove(item)
            extra.remove(renamed)
            yield Difference(table, kind, str(item.name), "name", item.name, renamed.name)
    for item in missing:
        yield Difference(table, kind, str(item.name), "missing", describe(item), None)
    for item in extra:
        yield Difference(table, kind, item.name or "(unnamed)", "unexpected", None, describe(item))


def _compare(table: str, kind: str, name: str, want: Any, have: Any) -> Iterator[Difference]:
    if want is None:
        yield Difference(table, kind, name, "unexpected", None, describe(have))
    elif have is None:
        yield Difference(table, kind, name, "missing", describe(want), None)
    else:
        for item in dataclasses.fields(want):
            a, b = getattr(want, item.name), getattr(have, item.name)
            if a != b:
                yield Difference(table, kind, name, item.name, _plain(a), _plain(b))


def _plain(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


def describe(item: Any) -> str:
    """Return a short text for a column, constraint, index or sequence."""
    match item:
        case Column():
            null = "" if item.nullable else " NOT NULL"
            default = f" DEFAULT {item.default}" if item.default is not None else ""
            return f"{item.type}{null}{default}"
        case ForeignKey():
            action = f" ON DELETE {item.ondelete}" if item.ondelete != "NO ACTION" else ""
            return f"({', '.join(item.columns)}) -> {item.target}({', '.join(item.target_columns)}){action}"
        case Index():
            return f"{'unique ' if item.unique else ''}{item.method} ({', '.join(item.columns)})"
        case Unique():
            return f"({', '.join(item.columns)})"
        case Check():
            return item.expression
        case Exclusion():
            return item.definition
        case Sequence():
            return f"{item.type}, start {item.start}, increment {item.increment}"
    return str(item)
