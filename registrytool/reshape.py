"""Turn tables of one structure into tables of another: one mechanism for migration steps and for the repair of drift.

Given what there is (a `Structure`) and what there shall be (table definitions), the statements follow; a migration
step adds only what cannot be derived: with what to fill new columns.  On PostgreSQL tables are altered in place, on
SQLite they are written again, or, where the rows stay as they are, only their definition is replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import (
    AddConstraint,
    CreateColumn,
    CreateIndex,
    CreateSequence,
    CreateTable,
    SetColumnComment,
    SetTableComment,
)
from sqlalchemy.sql.visitors import replacement_traverse

from .errors import RegistryStateError
from .sqlite_tables import begin_bulk, definition_text, finish_bulk, set_definition, wrong_rows
from .structure import DIALECTS, Column, ForeignKey, Structure, Table, from_metadata

if TYPE_CHECKING:
    from .executor import Executor

#: Values of new or changed columns, by table and column.
Fill = Mapping[str, Mapping[str, sa.ColumnElement[Any]]]
#: Old and new names of columns, by table.
Renames = Mapping[str, Mapping[str, str]]
#: What the rows of a table are written again from, by table: the table itself joined with others.
Sources = Mapping[str, sa.FromClause]

_TEMPORARY = "registrytool_new_"
#: Rows of one table while it is empty.
_ASIDE = "registrytool_rows"


class ConstraintViolation(Exception):  # noqa: N818 (says what it is)
    """Rows do not keep to a new definition; translated by the runner."""


@dataclass(frozen=True, slots=True)
class Change:
    """What reshaping does to one table.

    ``action`` is ``create``, ``drop``, ``rewrite`` (every row is written again), ``alter`` (definitions only, rows are
    read at most) or ``index`` (indexes only).
    """

    table: str
    action: str
    lock: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Tables of which nobody may read, or write, where foreign keys that refer to them go, or come.

    To drop a foreign key, or its table, PostgreSQL locks both its tables wholly.
    """

    losing: frozenset[str] = frozenset()
    gaining: frozenset[str] = frozenset()

    def __or__(self, other: Neighbours) -> Neighbours:
        """Return those of both."""
        return Neighbours(self.losing | other.losing, self.gaining | other.gaining)


@dataclass
class Reshape:
    """The way from one structure to another.

    Parameters
    ----------
    before : `Structure`
        What there is.
    origin : `sqlalchemy.MetaData` or `None`
        The same as definitions, to which the expressions of ``fill`` refer.
    after : `sqlalchemy.MetaData`
        What there shall be.
    fill : `Fill`, optional
        Expressions for the values of new or changed columns, in terms of the old ones.
    renames : `Renames`, optional
        Columns that get another name and keep their values.
    sources : `Sources`, optional
        Tables of which ``fill`` needs the columns of other tables too: what to select the rows from.
    keep_foreign : `bool`, optional
        Keep tables, indexes and sequences that are not wanted: they belong to somebody else.
    structure : `Structure`, optional
        The structure of ``after``, if it is known already.
    plain : `bool`, optional
        Keep to statements that every shell executes: SQLite tables are written again where their definition would
        be replaced.
    """

    before: Structure
    origin: sa.MetaData | None
    after: sa.MetaData
    fill: Fill = field(default_factory=dict)
    renames: Renames = field(default_factory=dict)
    sources: Sources = field(default_factory=dict)
    keep_foreign: bool = False
    structure: Structure | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        self.dialect = self.before.dialect
        self.namespace = self.after.schema
        self.target = self.structure or from_metadata(self.after, self.dialect)
        self._preparer = DIALECTS[self.dialect].identifier_preparer
        self._definitions = {t.name: t for t in self.after.sorted_tables}

    # -- what changes -----------------------------------------------------

    @property
    def created(self) -> list[str]:
        """Tables to make, each after those it refers to."""
        return [n for n in self._definitions if n not in self.before.tables]

    @property
    def dropped(self) -> list[str]:
        """Tables of the registry to drop: those that other tables do not refer to first."""
        names = [] if self.keep_foreign else [n for n in self.before.tables if n not in self.target.tables]
        order: list[str] = []
        while names:
            free = [
                n
                for n in names
                if not any(fk.target == n for m in names if m != n for fk in self.before.tables[m].foreign_keys)
            ] or names[:1]
            order.extend(free)
            names = [n for n in names if n not in free]
        return order

    @property
    def altered(self) -> list[str]:
        """Tables to change."""
        return [
            n
            for n in self._definitions
            if n in self.before.tables and self._differs(self.before.tables[n], self.target.tables[n])
        ]

    def changes(self) -> Iterator[Change]:
        """Tell what is going to be done, table by table."""
        for name in self.created:
            yield Change(name, "create", "none: the table is new")
        for name in self.altered:
            yield Change(name, *self._effect(name))
        for name in self.dropped:
            yield Change(name, "drop", "ACCESS EXCLUSIVE" if self.dialect == "postgresql" else "whole file")

    def neighbours(self) -> Neighbours:
        """Tell which tables must be locked besides those that change, since foreign keys refer to them."""
        if self.dialect != "postgresql":
            return Neighbours()
        before, target, altered = self.before.tables, self.target.tables, self.altered
        going = [*self._keys_in_the_way(altered), *((n, fk) for n in self.dropped for fk in before[n].foreign_keys)]
        coming = [(n, fk) for n in self.created for fk in target[n].foreign_keys]
        coming += [(n, fk) for n in altered for fk in target[n].foreign_keys if fk not in before[n].foreign_keys]
        losing = {name for table, fk in going for name in (table, fk.target)}
        return Neighbours(frozenset(losing), frozenset(fk.target for _, fk in coming) - losing)

    def _differs(self, have: Table, want: Table) -> bool:
        if self.fill.get(have.name) or have.name in self.sources:
            return True
        indexes = [i for i in have.indexes if i in want.indexes] if self.keep_foreign else list(have.indexes)
        have = dataclasses.replace(have, columns=_comparable(have, want), indexes=tuple(indexes))
        return dataclasses.replace(have, comment=have.comment and want.comment) != want

    def _effect(self, name: str) -> tuple[str, str]:
        have, want = self.before.tables[name], self.target.tables[name]
        if self.dialect == "sqlite":
            if self._only_indexes(have, want):
                return "index", "whole file"
            kept = self._same_rows(have, want) and not self.fill.get(name)
            return ("alter" if kept else "rewrite"), "whole file"
        if self._only_indexes(have, want):
            return "index", "SHARE"
        filled = self.fill.get(name) or name in self.sources
        if filled or any(_rewrites(have.columns[c], want.columns[c]) for c in self._kept(name)):
            return "rewrite", "ACCESS EXCLUSIVE"
        return "alter", "ACCESS EXCLUSIVE"

    @staticmethod
    def _only_indexes(have: Table, want: Table) -> bool:
        same = dataclasses.replace(have, columns=_comparable(have, want), indexes=want.indexes, comment=want.comment)
        return same == want and set(have.indexes) != set(want.indexes)

    def _kept(self, name: str) -> list[str]:
        have = self.before.tables[name].columns
        return [c for c in self.target.tables[name].columns if c in have]

    def _same_rows(self, have: Table, want: Table) -> bool:
        """Whether rows written for one definition of an SQLite table are right for the other."""
        return (
            not self.plain
            and have.name not in self.sources
            and all(self._can_be_set(have, want, c) for c in self.fill.get(have.name, {}))
            and not self.renames.get(have.name)
            and list(have.columns) == list(want.columns)
            and have.primary_key == want.primary_key
            and len(want.uniques) <= 1
            and [u.columns for u in have.uniques] == [u.columns for u in want.uniques]
            and all(
                c in self.fill.get(have.name, {}) or _affinity(have.columns[c].type) == _affinity(want.columns[c].type)
                for c in want.columns
            )
            # Whether an integer primary key is the row number depends on the exact word.
            and all((have.columns[c].type == "INTEGER") == (want.columns[c].type == "INTEGER") for c in want.columns)
        )

    @staticmethod
    def _can_be_set(have: Table, want: Table, column: str) -> bool:
        """Whether a column can get other values where it is: no index has it, and both types store numbers alike."""
        indexed = {c for t in (have, want) for i in t.indexes for c in i.columns}
        indexed.update(c for t in (have, want) for u in t.uniques for c in u.columns)
        types = {_affinity(t.columns[column].type) for t in (have, want) if column in t.columns}
        return column not in {*indexed, *have.primary_key, *want.primary_key} and types <= {"INTEGER", "NUMERIC"}

    # -- names ------------------------------------------------------------

    def _quote(self, name: str) -> str:
        return self._preparer.quote(name)

    def _qualified(self, name: str) -> str:
        if self.namespace:
            return f"{self._preparer.quote_schema(self.namespace)}.{self._quote(name)}"
        return self._quote(name)

    def _compiled(self, expression: sa.ClauseElement) -> str:
        return str(expression.compile(dialect=DIALECTS[self.dialect], compile_kwargs={"literal_binds": True}))

    # -- acting -----------------------------------------------------------

    def create(self, executor: Executor) -> None:
        """Make the tables and sequences that are missing."""
        if self.dialect == "postgresql":
            for sequence in self.after._sequences.values():  # noqa: SLF001 (no public list)
                if sequence.name not in self.before.sequences:
                    executor.execute(CreateSequence(sequence))
        for name in self.created:
            create_table(self._definitions[name], self.dialect, executor)

    def alter(self, executor: Executor, done: Callable[[str], None] = lambda _: None) -> None:
        """Change the tables that differ.

        Parameters
        ----------
        executor : `Executor`
            Executes the statements.
        done : callable
            Called with the name of each table that is finished.
        """
        names = self.altered
        if self.dialect == "sqlite":
            for name in names:
                self._alter_sqlite(name, executor)
                done(name)
            return
        gone = self._keys_in_the_way(names)
        for name, fk in gone:
            executor.execute(_sql(f"ALTER TABLE {self._qualified(name)} DROP CONSTRAINT {self._quote(str(fk.name))}"))
        for name in names:
            self._alter_postgresql(name, executor)
            done(name)
        for name in dict.fromkeys([*names, *(table for table, _ in gone)]):
            self._add_foreign_keys(name, {fk.name for table, fk in gone if table == name}, executor)

    def drop(self, executor: Executor) -> None:
        """Drop the tables and sequences that are not wanted any more."""
        for name in self.dropped:
            executor.execute(_sql(f"DROP TABLE {self._qualified(name)}"))
        if not self.keep_foreign:
            for name in self.before.sequences.keys() - self.target.sequences.keys():
                executor.execute(_sql(f"DROP SEQUENCE {self._qualified(name)}"))

    # -- SQLite -----------------------------------------------------------

    def _alter_sqlite(self, name: str, executor: Executor) -> None:
        have, want = self.before.tables[name], self.target.tables[name]
        definition = self._definitions[name]
        if not self._only_indexes(have, want):
            if self._same_rows(have, want):
                self._replace_definition(definition, executor)
            else:
                self._write_again(name, definition, executor)
                have = dataclasses.replace(have, indexes=())
        wrong = [
            i for i in have.indexes if i not in want.indexes and (not self.keep_foreign or self._same_name(i, want))
        ]
        for index in wrong:
            executor.execute(_sql(f"DROP INDEX {self._quote(index.name)}"))
        present = {i.name for i in have.indexes if i not in wrong}
        for item in sorted(definition.indexes, key=lambda i: str(i.name)):
            if str(item.name) not in present:
                executor.execute(CreateIndex(item))

    @staticmethod
    def _same_name(index: Any, want: Table) -> bool:
        return any(i.name == index.name for i in want.indexes)

    def _replace_definition(self, definition: sa.Table, executor: Executor) -> None:
        """Replace a definition; what is checked of the rows anew is checked here."""
        name = str(definition.name)
        have, want = self.before.tables[name], self.target.tables[name]
        if self.fill.get(name):
            values = self.fill[name]
            target = self._original(name) if self.origin is not None else sa.table(name, *map(sa.column, values))
            executor.execute(sa.update(target).values({target.c[c]: v for c, v in values.items()}))
        set_definition(executor, definition)
        required = [c for c in want.columns.values() if not c.nullable and have.columns[c.name].nullable]
        wrong = wrong_rows(executor, name) if required or set(have.checks) != set(want.checks) else None
        if wrong is not None:
            message = f"the rows of {name} do not keep to its new definition: {wrong}"
            raise ConstraintViolation(message)

    def _write_again(self, name: str, definition: sa.Table, executor: Executor) -> None:
        temporary = _TEMPORARY + name
        strangers = executor.strangers(name)
        bulk = executor.live and not self.plain
        indexes: Mapping[str, Sequence[str]] = {}
        if bulk:
            indexes = begin_bulk(executor, definition, temporary)
        else:
            executor.execute(_sql(definition_text(definition, temporary)))
        values = self._rows(name)
        columns = [str(c.name) for c in values.selected_columns]
        target = sa.table(temporary, *(sa.column(c) for c in columns))
        executor.execute(sa.insert(target).from_select(columns, values))
        finish_bulk(executor, temporary, indexes)
        executor.execute(_sql(f"DROP TABLE {self._quote(name)}"))
        executor.execute(_sql(f"ALTER TABLE {self._quote(temporary)} RENAME TO {self._quote(name)}"))
        if indexes:
            set_definition(executor, definition, indexes)
        structures = (self.target,) if self.keep_foreign else (self.before, self.target)
        ours = {i.name for t in structures for i in t.tables[name].indexes}
        for stranger, sql in strangers:
            if stranger in ours:
                continue
            try:
                executor.execute(_sql(sql))
            except OperationalError as error:
                message = f"{stranger}, which others made for the table {name}, cannot be made again: {error.orig}."
                hint = "Drop it first. The registry is as it was before."
                raise RegistryStateError(message, hint=hint) from error

    def _rows(self, name: str) -> sa.Select[Any]:
        """Return the query for the rows of a table that is written again."""
        values = [v.label(c) for c, v in self._values(name)]
        source: sa.FromClause = sa.table(name)
        if self.origin is not None:
            source = self.sources.get(name, self._original(name))
        return sa.select(*values).select_from(source)

    def _original(self, name: str) -> sa.Table:
        """Return the definition of a table as it was."""
        assert self.origin is not None  # noqa: S101 (whoever joins tables has their definitions)
        return self.origin.tables[f"{self.origin.schema}.{name}" if self.origin.schema else name]

    def _values(self, name: str) -> Iterator[tuple[str, sa.ColumnElement[Any]]]:
        """Give the value of each column of a table that is written again."""
        have = self.before.tables[name].columns
        # Where tables are joined, a name alone could mean a column of either.
        old: Callable[[str], sa.ColumnElement[Any]] = sa.column
        if name in self.sources:
            old = self._original(name).c.__getitem__
        fill, renamed = self.fill.get(name, {}), {new: old for old, new in self.renames.get(name, {}).items()}
        for column in self.target.tables[name].columns:
            if column in fill:
                yield column, fill[column]
            elif column in renamed:
                yield column, old(renamed[column])
            elif column in have:
                yield column, old(column)

    # -- PostgreSQL -------------------------------------------------------

    def _keys_in_the_way(self, names: list[str]) -> list[tuple[str, ForeignKey]]:
        """List foreign keys that must go first: wrong ones, and those that lean on a key that changes."""
        changed = {
            n
            for n in names
            if self.before.tables[n].primary_key != self.target.tables[n].primary_key
            or set(self.before.tables[n].uniques) - set(self.target.tables[n].uniques)
            or n in self.sources
        }
        return [
            (table.name, fk)
            for table in self.before.tables.values()
            for fk in table.foreign_keys
            if (fk.target in changed and table.name in self.target.tables)
            or (table.name in names and (table.name in self.sources or not self._stays(table.name, fk)))
        ]

    def _stays(self, name: str, fk: ForeignKey) -> bool:
        # A key that is only unchecked is checked instead of made again.
        return dataclasses.replace(fk, validated=True) in self.target.tables[name].foreign_keys

    def _alter_postgresql(self, name: str, executor: Executor) -> None:
        have, want = self.before.tables[name], self.target.tables[name]
        table = self._qualified(name)
        if name in self.sources:
            # Emptied and filled again instead of replaced, so that owner, rights and triggers stay. No index is there
            # meanwhile.
            rows = self._compiled(self._rows(name))
            executor.execute(_sql(f"CREATE UNLOGGED TABLE {self._qualified(_ASIDE)} AS {rows}"))
            executor.execute(_sql(f"TRUNCATE {table}"))
            kept = dataclasses.replace(have, primary_key=(), uniques=(), indexes=())
        else:
            kept = have
        wrong = [
            *(u.name for u in have.uniques if u not in want.uniques or u not in kept.uniques),
            *(c.name for c in have.checks if c not in want.checks),
            *(e.name for e in have.exclusions if e not in want.exclusions),
        ]
        for constraint_name in wrong:
            executor.execute(_sql(f"ALTER TABLE {table} DROP CONSTRAINT {self._quote(str(constraint_name))}"))
        if have.primary_key and kept.primary_key != want.primary_key:
            executor.execute(_sql(f"ALTER TABLE {table} DROP CONSTRAINT {self._quote(str(have.primary_key_name))}"))
        elif have.primary_key_name != want.primary_key_name:
            names = f"{self._quote(str(have.primary_key_name))} TO {self._quote(str(want.primary_key_name))}"
            executor.execute(_sql(f"ALTER TABLE {table} RENAME CONSTRAINT {names}"))
        for index in have.indexes:
            gone = index not in want.indexes or index not in kept.indexes
            if gone and (not self.keep_foreign or self._same_name(index, want)):
                executor.execute(_sql(f"DROP INDEX {self._qualified(index.name)}"))
        self._columns_postgresql(name, executor)
        if name in self.sources:
            columns = ", ".join(self._quote(c) for c, _ in self._values(name))
            aside = self._qualified(_ASIDE)
            executor.execute(_sql(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {aside}"))
            executor.execute(_sql(f"DROP TABLE {aside}"))
        self._constraints_postgresql(name, kept, executor)
        self._comments(self._definitions[name], have, executor)

    def _constraints_postgresql(self, name: str, kept: Table, executor: Executor) -> None:
        """Make keys, checks and indexes that are not there."""
        definition, want = self._definitions[name], self.target.tables[name]
        if kept.primary_key != want.primary_key:
            executor.execute(add_constraint(definition.primary_key))
        right = {u.name for u in kept.uniques if u in want.uniques} | {c.name for c in kept.checks if c in want.checks}
        for constraint in sorted(definition.constraints, key=lambda c: str(c.name)):
            if isinstance(constraint, sa.UniqueConstraint | sa.CheckConstraint) and constraint.name not in right:
                executor.execute(add_constraint(constraint))
        present = {i.name for i in kept.indexes if i in want.indexes}
        for new_index in sorted(definition.indexes, key=lambda i: str(i.name)):
            if str(new_index.name) not in present:
                executor.execute(CreateIndex(new_index))

    def _columns_postgresql(self, name: str, executor: Executor) -> None:
        have, want = self.before.tables[name].columns, self.target.tables[name].columns
        table, definition = self._qualified(name), self._definitions[name]
        fill, renames = self.fill.get(name, {}), self.renames.get(name, {})
        if name in self.sources:
            # There are no rows at the moment.
            fill = dict.fromkeys(want, sa.null())
        added = [c for c in want if c not in have and c not in renames.values()]
        for new in added:
            nullable = definition.c[new]._copy()  # noqa: SLF001 (the public way binds it to the table)
            nullable.nullable = True
            nullable.primary_key = False
            executor.execute(_sql(f"ALTER TABLE {table} ADD COLUMN {self._column_text(nullable)}"))
        # One statement for all changes of type, so that the table is written once.
        pairs = [*((c, c) for c in want if c in have), *renames.items()]
        clauses = [clause for old, new in pairs for clause in self._type_clauses(have[old], want[new], fill.get(new))]
        if clauses:
            executor.execute(_sql(f"ALTER TABLE {table} {', '.join(clauses)}"))
        values = {c: v for c, v in fill.items() if c in added or (c in have and have[c].type == want[c].type)}
        if values and name not in self.sources:
            executor.execute(self._update(definition, added, values))
        dropped = [f"DROP COLUMN {self._quote(c)}" for c in have if c not in want and c not in renames]
        if dropped:
            executor.execute(_sql(f"ALTER TABLE {table} {', '.join(dropped)}"))
        for old, new in renames.items():
            executor.execute(_sql(f"ALTER TABLE {table} RENAME COLUMN {self._quote(old)} TO {self._quote(new)}"))
        origin = {new: old for old, new in renames.items()}
        clauses = []
        for column in want.values():
            old_column = have.get(origin.get(column.name, column.name))
            if old_column is None or column.name in added:
                if not column.nullable:
                    clauses.append(f"ALTER COLUMN {self._quote(column.name)} SET NOT NULL")
            else:
                clauses.extend(self._null_clauses(old_column, column))
        if clauses:
            executor.execute(_sql(f"ALTER TABLE {table} {', '.join(clauses)}"))

    def _update(self, definition: sa.Table, added: list[str], values: Mapping[str, Any]) -> sa.Update:
        """Return the statement that fills columns of a table that has its old and its new ones at the moment."""
        origin = definition if self.origin is None else self.origin.tables[definition.key]
        columns = [*origin.columns, *(definition.c[c] for c in added if c not in origin.c)]
        both = sa.table(origin.name, *(sa.column(c.name, c.type) for c in columns), schema=origin.schema)

        def replace(element: Any, **_: Any) -> Any:
            """Let expressions refer to that table instead of the old definition."""
            if element is origin:
                return both
            return both.c[element.name] if isinstance(element, sa.Column) and element.table is origin else None

        return sa.update(both).values({c: replacement_traverse(v, {}, replace) for c, v in values.items()})

    def _column_text(self, column: sa.Column[Any]) -> str:
        sa.Table("t", sa.MetaData(), column)
        return str(CreateColumn(column).compile(dialect=DIALECTS[self.dialect]))

    def _type_clauses(self, have: Column, want: Column, value: sa.ColumnElement[Any] | None) -> Iterator[str]:
        if have.type == want.type:
            return
        name = self._quote(have.name)
        if have.default is not None:
            yield f"ALTER COLUMN {name} DROP DEFAULT"
        using = f" USING {self._compiled(value)}" if value is not None else ""
        yield f"ALTER COLUMN {name} TYPE {want.type}{using}"

    def _null_clauses(self, have: Column, want: Column) -> Iterator[str]:
        name = self._quote(want.name)
        if have.nullable != want.nullable:
            yield f"ALTER COLUMN {name} {'DROP' if want.nullable else 'SET'} NOT NULL"
        if want.default is not None and (have.default != want.default or have.type != want.type):
            yield f"ALTER COLUMN {name} SET DEFAULT {want.default}"
        elif have.default is not None and want.default is None and have.type == want.type:
            yield f"ALTER COLUMN {name} DROP DEFAULT"

    def _comments(self, definition: sa.Table, have: Table, executor: Executor) -> None:
        if definition.comment is not None and not have.comment:
            executor.execute(SetTableComment(definition))
        for column in definition.columns:
            if column.comment is not None and not (column.name in have.columns and have.columns[column.name].comment):
                executor.execute(SetColumnComment(column))

    def _add_foreign_keys(self, name: str, gone: set[str | None], executor: Executor) -> None:
        kept = {fk.name: fk for fk in self.before.tables[name].foreign_keys if fk.name not in gone}
        for fk in self.target.tables[name].foreign_keys:
            if fk.name not in kept:
                executor.execute(add_constraint(self._foreign_key(name, fk)))
            elif not kept[fk.name].validated:
                constraint = self._quote(str(fk.name))
                executor.execute(_sql(f"ALTER TABLE {self._qualified(name)} VALIDATE CONSTRAINT {constraint}"))

    def _foreign_key(self, name: str, fk: ForeignKey) -> sa.ForeignKeyConstraint:
        return next(c for c in self._definitions[name].foreign_key_constraints if c.name == fk.name)


def add_constraint(constraint: sa.Constraint) -> AddConstraint:
    """Return the statement that adds a constraint to a table, and leave the definition of the table alone.

    SQLAlchemy would note in the definition that the constraint is not to be part of the next CREATE TABLE; but
    definitions are shared.  (It can be told not to since 2.0.39.)
    """
    rule = constraint._create_rule  # noqa: SLF001 (no public way before 2.0.39)
    statement = AddConstraint(constraint)
    constraint._create_rule = rule  # noqa: SLF001
    return statement


def create_table(definition: sa.Table, dialect: str, executor: Executor) -> None:
    """Make a table with its indexes and comments."""
    executor.execute(CreateTable(definition))
    for index in sorted(definition.indexes, key=lambda i: str(i.name)):
        executor.execute(CreateIndex(index))
    if dialect == "postgresql":
        if definition.comment is not None:
            executor.execute(SetTableComment(definition))
        for column in definition.columns:
            if column.comment is not None:
                executor.execute(SetColumnComment(column))


def _sql(text: str) -> sa.TextClause:
    """Return a statement in which a colon is a colon, not the mark of a parameter."""
    return sa.text(text.replace(":", r"\:"))


def _comparable(have: Table, want: Table) -> dict[str, Column]:
    """Return columns with the comments that nobody compares taken from the other side."""
    return {
        name: dataclasses.replace(
            column, comment=column.comment and name in want.columns and want.columns[name].comment
        )
        for name, column in have.columns.items()
    }


def _rewrites(have: Column, want: Column) -> bool:
    """Whether PostgreSQL writes every row again for a change of type."""
    if have.type == want.type:
        return False
    texts = ("character varying", "text")
    widening = have.type.startswith(texts) and (want.type in texts or _length(want.type) >= _length(have.type) > 0)
    return not widening


def _length(kind: str) -> int:
    return int(kind.partition("(")[2].rstrip(")") or 0)


def _affinity(kind: str) -> str:
    """Return the affinity of an SQLite type: how values are stored (section 3.1 of the manual on data types)."""
    for affinity, words in (("INTEGER", ("INT",)), ("TEXT", ("CHAR", "CLOB", "TEXT")), ("BLOB", ("BLOB",))):
        if any(word in kind for word in words):
            return affinity
    if not kind:
        return "BLOB"
    return "REAL" if any(word in kind for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"
