"""What an online step builds beside the tables before it exchanges anything: derived from two structures; pure.

New and converted columns are made under helper names and filled by a trigger and by batches; indexes are built
concurrently; keys and checks are added without being checked, and checked then.  What is left for the short exchange
changes definitions alone.  A step of which this cannot be said has a reason for each obstacle.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from registrytool.naming import helper_name, is_helper
from registrytool.reshape import _rewrites
from registrytool.step import Step
from registrytool.structure import DIALECTS, ForeignKey, Index, Structure, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.executor import Refusal
    from registrytool.reshape import Fill, Renames, Sources
    from registrytool.step import Snapshot


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column under a helper name; ``value`` is its expression of the other columns of the row, as SQL."""

    table: str
    name: str
    helper: str
    type: str
    default: str | None
    value: str | None
    replaces: bool


@dataclass(frozen=True, slots=True)
class NewIndex:
    """An index to build concurrently; ``constraint`` is ``UNIQUE`` or ``PRIMARY KEY`` if it shall carry one."""

    table: str
    name: str
    helper: str
    columns: tuple[str, ...]
    unique: bool
    method: str
    constraint: str | None = None


@dataclass(frozen=True, slots=True)
class NewConstraint:
    """A check or foreign key, added unchecked and then checked; a check without ``name`` only proves NOT NULL."""

    table: str
    name: str | None
    helper: str
    definition: str
    target: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Work:
    """What is built for one step, table by table, and why it cannot be, if it cannot."""

    columns: tuple[NewColumn, ...] = ()
    indexes: tuple[NewIndex, ...] = ()
    constraints: tuple[NewConstraint, ...] = ()
    validate: tuple[tuple[str, str], ...] = ()
    obstacles: tuple[str, ...] = ()

    def columns_of(self, table: str) -> list[NewColumn]:
        """Return the new columns of a table."""
        return [c for c in self.columns if c.table == table]

    @property
    def tables(self) -> list[str]:
        """Tables beside which something is built."""
        names = [c.table for c in self.columns] + [i.table for i in self.indexes] + [c.table for c in self.constraints]
        return list(dict.fromkeys(names))

    @property
    def filled(self) -> list[str]:
        """Tables of which rows must be filled."""
        return list(dict.fromkeys(c.table for c in self.columns if c.value is not None))


@dataclass
class Effects:
    """What the script of a step asks for; its executor collects statements instead of executing them."""

    live: ClassVar[bool] = False
    fill: Fill = field(default_factory=dict)
    renames: Renames = field(default_factory=dict)
    joined: frozenset[str] = frozenset()
    statements: list[Any] = field(default_factory=list)
    asks: bool = False
    look: Any = None

    def execute(self, statement: Any) -> None:
        """Keep a statement."""
        self.statements.append(statement)

    def fetch(self, statement: Any) -> Sequence[Any]:
        """Note that the step asks for rows."""
        self.asks = True
        return self.look.fetch(statement) if self.look is not None else ()

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:  # noqa: ARG002
        """Note that the step asks for rows."""
        self.asks = True
        return iter(())

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:  # noqa: ARG002
        """Note that the step makes rows."""
        self.asks = True

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse if a query has rows, where there is a database to ask."""
        if self.look is not None:
            self.look.forbid(rows, refusal)

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:  # noqa: ARG002
        """Return nothing: PostgreSQL keeps what others have made."""
        return ()


class CapturedStep(Step):
    """A step of which the script only says what it wants."""

    def create_tables(self) -> None:
        """Do nothing: new tables are made at the exchange."""

    def reshape(
        self, *, fill: Fill | None = None, renames: Renames | None = None, sources: Sources | None = None
    ) -> None:
        """Keep what new columns are filled with and which get another name."""
        effects = self._executor
        assert isinstance(effects, Effects)  # noqa: S101 (made together)
        effects.fill, effects.renames, effects.joined = fill or {}, renames or {}, frozenset(sources or ())


def without_helpers(structure: Structure) -> Structure:
    """Return a structure without the objects of online migrations."""
    tables = {name: _without(table) for name, table in structure.tables.items()}
    return dataclasses.replace(structure, tables=tables)


def _without(table: Table) -> Table:
    def rest(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(item for item in items if not is_helper(item.name or ""))

    return dataclasses.replace(
        table,
        columns={n: c for n, c in table.columns.items() if not is_helper(n)},
        foreign_keys=rest(table.foreign_keys),
        uniques=rest(table.uniques),
        checks=rest(table.checks),
        indexes=rest(table.indexes),
    )


def derive(before: Structure, origin: Snapshot, after: Snapshot, effects: Effects) -> Work:
    """Work out what an online step builds.

    Parameters
    ----------
    before : `Structure`
        What there is, without helpers.
    origin, after : `Snapshot`
        The registry as its versions promise it before and after the step.
    effects : `Effects`
        What the script of the step asks for.

    Returns
    -------
    work : `Work`
        What to build, or why it cannot be.
    """
    return _Derivation(before, origin, after, effects).work()


class _Derivation:
    def __init__(self, before: Structure, origin: Snapshot, after: Snapshot, effects: Effects) -> None:
        self.before = before
        self.origin = origin
        self.after = after
        self.effects = effects
        self.columns: list[NewColumn] = []
        self.indexes: list[NewIndex] = []
        self.constraints: list[NewConstraint] = []
        self.validate: list[tuple[str, str]] = []
        self.obstacles: list[str] = []
        self._preparer = DIALECTS["postgresql"].identifier_preparer

    def work(self) -> Work:
        if self.effects.asks:
            self.obstacles.append("it computes rows in Python from what it reads")
        tables = {
            str(getattr(getattr(s, "table", None), "name", "a table"))
            for s in self.effects.statements
            if not _only_attributes(s)
        }
        if tables:
            self.obstacles.append(
                f"it changes rows of {', '.join(sorted(tables))} by statements of its own, which would miss "
                "what others write meanwhile"
            )
        for name, want in self.after.structure.tables.items():
            have = self.before.tables.get(name)
            if have is not None:
                self._table(have, want)
        return Work(
            tuple(self.columns),
            tuple(self.indexes),
            tuple(self.constraints),
            tuple(self.validate),
            tuple(dict.fromkeys(self.obstacles)),
        )

    # -- one table --------------------------------------------------------

    def _table(self, have: Table, want: Table) -> None:
        renamed = {new: old for old, new in self.effects.renames.get(want.name, {}).items()}
        self._columns(have, want, renamed)
        helpers = {c.name: c.helper for c in self.columns if c.table == want.name}
        present = {c: helpers.get(c) or renamed.get(c) or c for c in want.columns}
        changed = helpers.keys() & have.columns.keys()
        self._keys(have, want, present, changed)
        self._indexes(have, want, present, changed)
        self._checks(have, want, present)
        self._foreign_keys(have, want, present, changed)

    def _columns(self, have: Table, want: Table, renamed: Mapping[str, str]) -> None:
        fill = self.effects.fill.get(want.name, {})
        for name, column in want.columns.items():
            old = have.columns.get(renamed.get(name, name))
            value = fill.get(name)
            if old is not None and value is None:
                if _rewrites(old, column):
                    self.obstacles.append(f"{want.name}.{name} gets another type, and nothing says how")
                elif old.nullable and not column.nullable:
                    self._not_null(want.name, old.name, old.name)
                continue
            helper = helper_name("new", name)
            text = self._row_expression(want.name, name, value) if value is not None else None
            if value is None and not column.nullable and column.default is None:
                self.obstacles.append(f"{want.name}.{name} is new and NOT NULL, and nothing says what it holds")
            default = column.default if old is None else None
            self.columns.append(NewColumn(want.name, name, helper, column.type, default, text, old is not None))
            if not column.nullable:
                self._not_null(want.name, name, helper)

    def _not_null(self, table: str, name: str, column: str) -> None:
        definition = f"CHECK ({self._preparer.quote(column)} IS NOT NULL)"
        self.constraints.append(NewConstraint(table, None, helper_name("null", table, name), definition, column=name))

    def _row_expression(self, table: str, name: str, value: sa.ColumnElement[Any]) -> str | None:
        """Return an expression of the row that a trigger sees as NEW."""
        columns = self.origin.table(table).c
        elements = list(iterate(value))
        if table in self.effects.joined:
            elements.append(sa.select())
        for element in elements:
            foreign = isinstance(element, sa.Column) and element.table.name != table
            if isinstance(element, sa.Select | sa.CompoundSelect) or foreign:
                self.obstacles.append(
                    f"{table}.{name} follows from rows of other tables, which others change meanwhile"
                )
                return None

        def replace(element: Any, **_: Any) -> Any:
            if isinstance(element, sa.sql.elements.ColumnClause) and not element.is_literal and element.name in columns:
                return sa.literal_column(f"NEW.{self._preparer.quote_identifier(element.name)}", element.type)
            return None

        return str(
            replacement_traverse(value, {}, replace).compile(
                dialect=DIALECTS["postgresql"], compile_kwargs={"literal_binds": True}
            )
        )

    # -- what belongs to it -----------------------------------------------

    def _keys(self, have: Table, want: Table, present: Mapping[str, str], changed: set[str]) -> None:
        if have.primary_key != want.primary_key or set(want.primary_key) & changed:
            if self._referred(want.name, have.primary_key):
                self.obstacles.append(f"other tables refer to {want.name} by its primary key, which changes")
            name = str(want.primary_key_name)
            columns = tuple(present[c] for c in want.primary_key)
            self.indexes.append(
                NewIndex(want.name, name, helper_name("key", want.name), columns, True, "btree", "PRIMARY KEY")
            )
        for unique in want.uniques:
            if unique not in have.uniques or set(unique.columns) & changed:
                if self._referred(want.name, unique.columns):
                    self.obstacles.append(
                        f"other tables refer to {want.name} by {', '.join(unique.columns)}, which change"
                    )
                helper = helper_name("unique", want.name, *unique.columns)
                columns = tuple(present[c] for c in unique.columns)
                self.indexes.append(NewIndex(want.name, str(unique.name), helper, columns, True, "btree", "UNIQUE"))
        for exclusion in want.exclusions:
            if exclusion not in have.exclusions or any(c in exclusion.definition for c in changed):
                self.obstacles.append(
                    f"the exclusion constraint {exclusion.name} of {want.name} cannot be built beside it"
                )

    def _referred(self, table: str, columns: tuple[str, ...]) -> bool:
        return any(
            fk.target == table and set(fk.target_columns) == set(columns)
            for other in (*self.before.tables.values(), *self.after.structure.tables.values())
            for fk in other.foreign_keys
        )

    def _indexes(self, have: Table, want: Table, present: Mapping[str, str], changed: set[str]) -> None:
        for index in want.indexes:
            if index not in have.indexes or set(index.columns) & changed:
                self.indexes.append(self._index(want.name, index, present))

    def _index(self, table: str, index: Index, present: Mapping[str, str]) -> NewIndex:
        columns = tuple(present[c] for c in index.columns)
        return NewIndex(table, index.name, helper_name("index", index.name), columns, index.unique, index.method)

    def _checks(self, have: Table, want: Table, present: Mapping[str, str]) -> None:
        for check in want.checks:
            if check in have.checks:
                continue
            unvalidated = next((c for c in have.checks if dataclasses.replace(c, validated=True) == check), None)
            if unvalidated is not None:
                self.validate.append((want.name, str(check.name)))
                continue
            renamed = [c for c, p in present.items() if c != p and c in check.expression]
            if renamed:
                self.obstacles.append(f"the check {check.name} of {want.name} is about columns that are not there yet")
            definition = self.after.table(want.name)
            found = next(
                c for c in definition.constraints if isinstance(c, sa.CheckConstraint) and c.name == check.name
            )
            text = f"CHECK ({found.sqltext})"
            self.constraints.append(
                NewConstraint(want.name, check.name, helper_name("check", want.name, str(check.name)), text)
            )

    def _foreign_keys(self, have: Table, want: Table, present: Mapping[str, str], changed: set[str]) -> None:
        found = {dataclasses.replace(fk, validated=True): fk for fk in have.foreign_keys}
        for fk in want.foreign_keys:
            if fk in found and not set(fk.columns) & changed:
                if not found[fk].validated:
                    self.validate.append((want.name, str(fk.name)))
                continue
            if fk.target not in self.before.tables:
                self.obstacles.append(f"{want.name} refers to the table {fk.target}, which is new")
                continue
            self.constraints.append(
                NewConstraint(
                    want.name,
                    fk.name,
                    helper_name("fkey", want.name, str(fk.name)),
                    self._key_text(fk, present),
                    fk.target,
                )
            )

    def _key_text(self, fk: ForeignKey, present: Mapping[str, str]) -> str:
        quote = self._preparer.quote
        schema = self.after.metadata.schema
        target = f"{self._preparer.quote_schema(schema)}.{quote(fk.target)}" if schema else quote(fk.target)
        own = ", ".join(quote(present[c]) for c in fk.columns)
        others = ", ".join(quote(c) for c in fk.target_columns)
        actions = [f" ON {e} {a}" for e, a in (("DELETE", fk.ondelete), ("UPDATE", fk.onupdate)) if a != "NO ACTION"]
        return f"FOREIGN KEY ({own}) REFERENCES {target} ({others}){''.join(actions)}"


def _only_attributes(statement: Any) -> bool:
    return getattr(getattr(statement, "table", None), "name", None) == "butler_attributes"


def attribute_statements(effects: Effects) -> Iterator[Any]:
    """Give the statements of a step that change attributes alone; they run at the exchange."""
    return (s for s in effects.statements if _only_attributes(s))


def ours(found: Structure, origin: Structure, after: Structure) -> Structure:
    """Return what there is without what belongs to others: what neither the old nor the new versions have."""
    names = origin.tables.keys() | after.tables.keys()
    tables = {}
    for name, table in found.tables.items():
        if name in names:
            known = {i.name for s in (origin, after) if name in s.tables for i in s.tables[name].indexes}
            tables[name] = dataclasses.replace(table, indexes=tuple(i for i in table.indexes if i.name in known))
    sequences = {n: s for n, s in found.sequences.items() if n in origin.sequences or n in after.sequences}
    return dataclasses.replace(found, tables=tables, sequences=sequences)
