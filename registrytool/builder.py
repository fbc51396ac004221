"""What schema files call on their argument: tables, columns and constraints by the naming rules of the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .errors import ContentError
from .naming import shrink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

    import sqlalchemy as sa

    from .models import ComponentVersion, State
    from .universe import Universe

#: Times are TAI nanoseconds since 1970; on SQLite these two stand for "no bound" (the end is 2100-01-01).
MIN_NSEC = 0
MAX_NSEC = 4102444800000000000


#: What a table is made of, as schema files give it.
_Item: TypeAlias = "sa.Column[Any] | ForeignKeySpec | UniqueSpec | IndexSpec"


@dataclass(frozen=True, slots=True)
class ForeignKeySpec:
    """A foreign key of a table that is being defined."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    ondelete: str | None
    index: bool


@dataclass(frozen=True, slots=True)
class UniqueSpec:
    """A unique constraint of a table that is being defined."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index of a table that is being defined."""

    columns: tuple[str, ...]
    method: str | None = None
    name: str | None = None


class Definitions(Protocol):
    """Where the schema files of all versions are: the catalogue."""

    def module(self, version: ComponentVersion) -> ModuleType:
        """Return the definitions of a version."""

    def version(self, component: str, implementation: str, version: str) -> ModuleType:
        """Return the definitions of a version, on which those of another may build."""


class Builder:
    """What a schema file uses to define its tables: the rules of the format for one registry.

    A table is made when it is asked for, since a registry has some fifty, and most commands need a few.

    Parameters
    ----------
    catalog : `Definitions`
        Where the other schema files are.
    state : `State`
        Versions of the registry.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    universe : `Universe`
        Dimension universe of the registry.
    namespace : `str`, optional
        PostgreSQL schema.
    """

    def __init__(
        self, catalog: Definitions, state: State, dialect: str, universe: Universe, namespace: str | None = None
    ) -> None:
        import sqlalchemy as sa

        self.catalog = catalog
        self.state = state
        self.dialect = dialect
        self.universe = universe
        self._metadata = sa.MetaData(schema=namespace)
        #: What was defined, in this order, and what is still to be made of it.
        self._names: list[str] = []
        self._waiting: dict[str, tuple[tuple[_Item, ...], str | None]] = {}
        # Types of columns and of validity ranges were those of the dimensions, for all components.
        dimensions = catalog.module(state["dimensions"]) if state.get("dimensions") is not None else None
        self._old_type = getattr(dimensions, "column_type", None)
        self._timespan_columns: tuple[str, str] | None = getattr(dimensions, "TIMESPAN", None)
        self._references: dict[str, tuple[str, Any, str, str]] = {}
        self._component = ""

    def load(self, component: str) -> ModuleType:
        """Load the definitions of a component at its version and learn its references."""
        self._component = component
        module = self.catalog.module(self.state[component])
        self._references.update(getattr(module, "REFERENCES", {}))
        return module

    def version(self, component: str, implementation: str, version: str) -> ModuleType:
        """Return the definitions of another version, on which a file may build: released files never change."""
        return self.catalog.version(component, implementation, version)

    # -- columns ----------------------------------------------------------

    def reference(self, name: str, *, column: str | None = None, primary_key: bool = False) -> sa.Column[Any]:
        """Return a column that refers to a collection, run or dataset.

        Parameters
        ----------
        name : `str`
            ``collection``, ``run`` or ``dataset``.
        column : `str`, optional
            Name of the column, if it is not the usual one.
        primary_key : `bool`, optional
            Whether it is part of the primary key.
        """
        import sqlalchemy as sa

        usual, column_type, _, _ = self._references[name]
        return sa.Column(column or usual, column_type, nullable=False, primary_key=primary_key)

    def reference_name(self, name: str) -> str:
        """Return the usual name of a column that refers to a collection, run or dataset."""
        return self._references[name][0]

    def autoincrement(self, name: str, *, comment: str | None = None) -> sa.Column[Any]:
        """Return the integer primary key that the database (SQLite) or a sequence (PostgreSQL) numbers."""
        import sqlalchemy as sa

        column_type = sa.Integer() if self.dialect == "sqlite" else sa.BigInteger()
        return sa.Column(name, column_type, primary_key=True, info={"sequence": True}, comment=comment)

    def timespan(self, *, nullable: bool = True) -> list[sa.Column[Any]]:
        """Return the columns of a validity range; those that cannot be NULL default to all of time."""
        import sqlalchemy as sa

        if self.dialect == "sqlite" or self._timespan_columns is not None:
            names = self._timespan_columns or ("timespan_begin", "timespan_end")
            bounds = zip(names, (MIN_NSEC, MAX_NSEC), strict=True)
            return [
                sa.Column(
                    name,
                    sa.BigInteger(),
                    nullable=nullable,
                    server_default=None if nullable else sa.text(str(bound)),
                )
                for name, bound in bounds
            ]
        from sqlalchemy.dialects import postgresql

        default = None if nullable else sa.text("'(,)'::int8range")
        return [sa.Column("timespan", postgresql.INT8RANGE(), nullable=nullable, server_default=default)]

    def dimension(self, name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[Any]:
        """Return a column that holds the key of a dimension."""
        import sqlalchemy as sa

        if name in self.universe:
            key = self.universe[name].key
            return sa.Column(name, self.column_type(key.type, key.length), nullable=nullable, primary_key=primary_key)
        # Skypix dimensions are indexes of pixels.
        return sa.Column(name, sa.BigInteger(), nullable=nullable, primary_key=primary_key)

    def column_type(self, name: str, length: int | None = None) -> sa.types.TypeEngine[Any]:
        """Return the column type for a type of a configuration."""
        old: sa.types.TypeEngine[Any] | None = (
            self._old_type(self, name, length) if self._old_type is not None else None
        )
        return column_type(name, length) if old is None else old

    # -- constraints ------------------------------------------------------

    def foreign_key(
        self,
        columns: Iterable[str],
        target: str,
        target_columns: Iterable[str],
        *,
        ondelete: str | None = None,
        index: bool = True,
    ) -> ForeignKeySpec:
        """Return a foreign key, by default with an index on its columns."""
        return ForeignKeySpec(tuple(columns), target, tuple(target_columns), ondelete, index)

    def reference_key(
        self, name: str, *, column: str | None = None, ondelete: str | None = None, index: bool = True
    ) -> ForeignKeySpec:
        """Return the foreign key of a column that refers to a collection, run or dataset."""
        usual, _, table, target = self._references[name]
        return self.foreign_key((column or usual,), table, (target,), ondelete=ondelete, index=index)

    def dimension_key(self, name: str) -> list[ForeignKeySpec]:
        """Return the foreign key to the table of a dimension: a list of one, or of none if it has no table."""
        if name not in self.universe or not self.universe[name].has_table:
            return []
        element = self.universe[name]
        targets = (*element.required[:-1], element.key.name)
        return [self.foreign_key(element.required, name, targets)]

    def unique(self, *columns: str) -> UniqueSpec:
        """Return a unique constraint."""
        return UniqueSpec(columns)

    def index(self, *columns: str, method: str | None = None, name: str | None = None) -> IndexSpec:
        """Return an index."""
        return IndexSpec(columns, method, name)

    # -- tables -----------------------------------------------------------

    def table(self, name: str, *items: _Item, comment: str | None = None) -> None:
        """Define a table and, by the rules of the format, the names of all that belongs to it.

        An index is left out if a primary key, unique constraint or other index has the very same columns.

        Parameters
        ----------
        name : `str`
            Name of the table.
        *items
            Columns in their order, and constraints and indexes made by the methods of this class.
        comment : `str`, optional
            Comment of the table, on PostgreSQL.

        Raises
        ------
        ContentError
            There is such a table already.
        """
        if name in self:
            message = f"The table {name} is defined twice."
            raise ContentError(message)
        self._names.append(name)
        self._waiting[name] = (items, comment)

    def __contains__(self, name: object) -> bool:
        return self._key(str(name)) in self._metadata.tables or name in self._waiting

    def find(self, name: str) -> sa.Table | None:
        """Return a table that has been defined, `None` if there is none of that name.

        The tables to which its foreign keys refer need not have been made: `metadata` has all.
        """
        if name in self._waiting:
            return self._make(name)
        return self._metadata.tables.get(self._key(name))

    @property
    def metadata(self) -> sa.MetaData:
        """All tables that have been defined so far, in the order of their definitions."""
        if self._waiting:
            for name in tuple(self._waiting):
                self._make(name)
            tables = self._metadata.tables
            for key in map(self._key, self._names):
                # Those that were asked for sooner stand in front; to users of SQLAlchemy this mapping is read-only.
                dict.__setitem__(tables, key, dict.pop(tables, key))
        return self._metadata

    def _key(self, name: str) -> str:
        """Return what SQLAlchemy calls a table."""
        return f"{self._metadata.schema}.{name}" if self._metadata.schema else name

    def _make(self, name: str) -> sa.Table:
        import sqlalchemy as sa

        items, comment = self._waiting.pop(name)
        columns = [item for item in items if isinstance(item, sa.Column)]
        table = sa.Table(name, self._metadata, comment=comment if self.dialect == "postgresql" else None)
        for column in columns:
            column.autoincrement = False
            if self.dialect == "sqlite":
                column.comment = None
            table.append_column(column)
            if column.info.get("sequence") and self.dialect == "postgresql":
                sa.Sequence(shrink(f"{name}_seq_{column.name}", self.dialect), metadata=self._metadata)
        primary_key = tuple(table.primary_key.columns.keys())
        uniques = [item.columns for item in items if isinstance(item, UniqueSpec)]
        for unique in uniques:
            table.append_constraint(sa.UniqueConstraint(*unique, name=self._name(name, "unq", unique)))
        if self.dialect == "sqlite":
            self._length_checks(table, columns)
        taken = {primary_key, *uniques}
        for item in items:
            if isinstance(item, IndexSpec) and item.columns not in taken:
                taken.add(item.columns)
                label = item.name or self._name(name, "idx", item.columns)
                # For SQLite, SQLAlchemy would load its part for PostgreSQL to look at this.
                method: dict[str, Any] = {"postgresql_using": item.method} if self.dialect == "postgresql" else {}
                sa.Index(label, *(table.c[c] for c in item.columns), **method)
        for key in items:
            if isinstance(key, ForeignKeySpec):
                if key.index and key.columns not in taken:
                    taken.add(key.columns)
                    sa.Index(self._name(name, "fkidx", key.columns), *(table.c[c] for c in key.columns))
                self._foreign_key(table, key)
        return table

    def _foreign_key(self, table: sa.Table, key: ForeignKeySpec) -> None:
        """Add a foreign key; by names, which SQLAlchemy looks up when both tables are there."""
        import sqlalchemy as sa

        name = "_".join(("fkey", table.name, key.target, *key.target_columns, *key.columns))
        table.append_constraint(
            sa.ForeignKeyConstraint(
                key.columns,
                [f"{self._key(key.target)}.{column}" for column in key.target_columns],
                name=shrink(name, self.dialect),
                ondelete=key.ondelete,
            )
        )

    def _name(self, table: str, kind: str, columns: Sequence[str]) -> str:
        return shrink("_".join((table, kind, *columns)), self.dialect)

    def _length_checks(self, table: sa.Table, columns: Iterable[sa.Column[Any]]) -> None:
        """SQLite does not keep to the length of a string by itself; the format also forbids empty ones."""
        import sqlalchemy as sa

        for column in columns:
            if type(column.type) is sa.String and column.type.length is not None:
                text = f'length("{column.name}")<={column.type.length} AND length("{column.name}")>=1'
                table.append_constraint(sa.CheckConstraint(sa.text(text), name=f"{table.name}_len_{column.name}"))


def column_type(name: str, length: int | None = None) -> sa.types.TypeEngine[Any]:
    """Return the column type for a type of the dimension configuration.

    Raises
    ------
    ContentError
        There is no such type.
    """
    import sqlalchemy as sa

    if name == "string":
        # Longer strings are not checked by anybody, since week 2020.39.
        return sa.String(length) if length is not None and length <= 32 else sa.Text()
    types: dict[str, type[sa.types.TypeEngine[Any]]] = {
        "int": sa.BigInteger,
        "float": sa.Float,
        "bool": sa.Boolean,
        "hash": sa.Text,
        "region": sa.Text,
        "datetime": sa.BigInteger,
        "uuid": sa.Uuid,
        "blob": sa.LargeBinary,
    }
    if name not in types:
        message = f"A dimension universe cannot have columns of type {name!r}."
        raise ContentError(message)
    return types[name]()
