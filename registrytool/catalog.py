"""The catalogue: a state, a dialect and the registered dataset types give exactly one `sqlalchemy.MetaData`.

The definitions are content: one file for each version of each component, ``schemas/<component>/<Implementation>/
v1_0_0.py``, loaded by path.  Such a file defines ``tables(registry)`` and, where it has them, ``REFERENCES`` (the
columns by which other tables refer to its own) and functions for tables that are made on demand.  What they call on
their argument is a `Builder`, which knows the naming rules of the format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from .config import Content, read_yaml
from .errors import ContentError, UnknownVersionError
from .models import ComponentVersion, DynamicContent, State
from .naming import module_name, parse_module_name, shrink, version_key
from .universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    import sqlalchemy as sa

    from .history import History
    from .models import Drift
    from .releases import Releases

#: Components that every registry has, in the order in which their tables are defined.
MANAGERS = ("attributes", "dimensions", "collections", "datasets", "datastores", "opaque")
#: Components of which the version is stored in a configuration, with the attribute that holds it.
CONFIGURATIONS = {"dimensions-config": "config:dimensions.json", "obscore-config": "config:obscore.json"}
COMPONENTS = (*MANAGERS, "dimensions-config", "obscore", "obscore-config")

#: Times are TAI nanoseconds since 1970; on SQLite these two stand for "no bound" (the end is 2100-01-01).
MIN_NSEC = 0
MAX_NSEC = 4102444800000000000

#: How many sets of table definitions a catalogue keeps at hand: one for each state between two steps.
_KEPT = 32


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


class Builder:
    """What a schema file uses to define its tables: the rules of the format for one registry.

    Parameters
    ----------
    catalog : `Catalog`
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
        self, catalog: Catalog, state: State, dialect: str, universe: Universe, namespace: str | None = None
    ) -> None:
        import sqlalchemy as sa

        self.catalog = catalog
        self.state = state
        self.dialect = dialect
        self.universe = universe
        self.metadata = sa.MetaData(schema=namespace)
        # Types of columns and of validity ranges were those of the dimensions, for all components.
        dimensions = catalog.module(state["dimensions"]) if state.get("dimensions") is not None else None
        self._old_type = getattr(dimensions, "column_type", None)
        self._timespan_columns: tuple[str, str] | None = getattr(dimensions, "TIMESPAN", None)
        self._references: dict[str, tuple[str, Any, str, str]] = {}
        self._pending: list[tuple[sa.Table, list[ForeignKeySpec]]] = []
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

    def table(
        self,
        name: str,
        *items: sa.Column[Any] | ForeignKeySpec | UniqueSpec | IndexSpec,
        comment: str | None = None,
    ) -> sa.Table:
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

        Returns
        -------
        table : `sqlalchemy.Table`
            The table; its foreign keys are added when all tables are known.
        """
        import sqlalchemy as sa

        columns = [item for item in items if isinstance(item, sa.Column)]
        table = sa.Table(name, self.metadata, comment=comment if self.dialect == "postgresql" else None)
        for column in columns:
            column.autoincrement = False
            if self.dialect == "sqlite":
                column.comment = None
            table.append_column(column)
            if column.info.get("sequence") and self.dialect == "postgresql":
                sa.Sequence(shrink(f"{name}_seq_{column.name}", self.dialect), metadata=self.metadata)
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
                sa.Index(
                    label,
                    *(table.c[c] for c in item.columns),
                    postgresql_using=item.method,
                )
        keys = [item for item in items if isinstance(item, ForeignKeySpec)]
        for key in keys:
            if key.index and key.columns not in taken:
                taken.add(key.columns)
                sa.Index(self._name(name, "fkidx", key.columns), *(table.c[c] for c in key.columns))
        self._pending.append((table, keys))
        return table

    def _name(self, table: str, kind: str, columns: Sequence[str]) -> str:
        return shrink("_".join((table, kind, *columns)), self.dialect)

    def _length_checks(self, table: sa.Table, columns: Iterable[sa.Column[Any]]) -> None:
        """SQLite does not keep to the length of a string by itself; the format also forbids empty ones."""
        import sqlalchemy as sa

        for column in columns:
            if type(column.type) is sa.String and column.type.length is not None:
                text = f'length("{column.name}")<={column.type.length} AND length("{column.name}")>=1'
                table.append_constraint(sa.CheckConstraint(sa.text(text), name=f"{table.name}_len_{column.name}"))

    def finish(self) -> sa.MetaData:
        """Add the foreign keys and return the definitions."""
        import sqlalchemy as sa

        schema = f"{self.metadata.schema}." if self.metadata.schema else ""
        for table, keys in self._pending:
            for key in keys:
                target = self.metadata.tables[schema + key.target]
                name = "_".join(("fkey", table.name, key.target, *key.target_columns, *key.columns))
                table.append_constraint(
                    sa.ForeignKeyConstraint(
                        [table.c[c] for c in key.columns],
                        [target.c[c] for c in key.target_columns],
                        name=shrink(name, self.dialect),
                        ondelete=key.ondelete,
                    )
                )
        self._pending.clear()
        return self.metadata


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


class Catalog:
    """The versions of all components that the content defines.

    Parameters
    ----------
    content : `Content`, optional
        The content; by default that of the package.
    """

    def __init__(self, content: Content | None = None) -> None:
        self.content = content or Content.find()
        self._modules: dict[ComponentVersion, ModuleType] = {}
        self._universes: dict[ComponentVersion, dict[str, Any]] = {}
        self._metadata: dict[Any, sa.MetaData] = {}

    @classmethod
    def find(cls, folder: Path | None = None) -> Catalog:
        """Return the catalogue of some content; that of the package does not change and is read once in a process.

        Parameters
        ----------
        folder : `pathlib.Path`, optional
            Folder that the user named; otherwise the content that came with the package.

        Raises
        ------
        ConfigurationError
            There is no content in the folder.
        """
        return cls(Content.find(folder)) if folder is not None else _catalog_of_package()

    # -- what there is ----------------------------------------------------

    @cached_property
    def versions(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Versions by component and implementation, oldest first; what a project adds comes before what is below."""
        result: dict[str, dict[str, tuple[str, ...]]] = {}
        for component in COMPONENTS:
            found: dict[str, set[str]] = {}
            for layer in self.content.layers:
                folder = layer.schemas / component
                for directory in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if not directory.is_dir() or directory.name.startswith(("_", ".")):
                        continue
                    names = found.setdefault(directory.name, set())
                    if component in CONFIGURATIONS:
                        names.update(p.stem for p in directory.glob("*.yaml") if p.stem.isdigit())
                    else:
                        names.update(v for p in directory.glob("v*.py") if (v := parse_module_name(p.stem)) is not None)
            result[component] = {name: tuple(sorted(names, key=version_key)) for name, names in found.items()}
        return result

    @cached_property
    def history(self) -> History:
        """All revisions of the content; to read them takes as long as to run a small step."""
        from .history import History

        return History(self.content)

    @cached_property
    def releases(self) -> Releases:
        """What is known of Butler releases."""
        from .releases import Releases

        return Releases(self)

    @cached_property
    def drift(self) -> Mapping[str, Drift]:
        """Kinds of drift that the content knows, by identifier.

        Raises
        ------
        ContentError
            The file is malformed.
        """
        from .drift import load_drift

        return load_drift(self.content)

    def require(self, version: ComponentVersion) -> None:
        """Check that a version is defined.

        Raises
        ------
        UnknownVersionError
            It is not; the message says whether it is newer than all that are known.
        """
        implementations = self.versions.get(version.component, {})
        if version.implementation not in implementations:
            what = "namespace" if version.component in CONFIGURATIONS else "implementation"
            raise UnknownVersionError(
                f"{version.component} {what}",
                version.implementation,
                sorted(implementations),
                hint="Other schema content is named with --content.",
            )
        known = implementations[version.implementation]
        if version.version in known:
            return
        try:
            newer = bool(known) and version_key(version.version) > version_key(known[-1])
        except ValueError:
            newer = False
        raise UnknownVersionError(
            f"version of {version.component} {version.implementation}",
            version.version,
            list(known),
            hint="It is newer than this registrytool: upgrade registrytool." if newer else None,
        )

    def newest(self, component: str, implementation: str) -> ComponentVersion:
        """Return the newest version of an implementation, or of the one that succeeds it.

        Raises
        ------
        UnknownVersionError
            The implementation is not known.
        """
        successor = self.content.implementations.get(component, {}).get(implementation, {}).get("successor")
        if successor is not None:
            return self.newest(component, successor)
        known = self.versions.get(component, {}).get(implementation, ())
        found = ComponentVersion(component, implementation, known[-1] if known else "of any number")
        self.require(found)
        return found

    def newest_state(self) -> State:
        """Return the state of a new registry with default implementations."""
        managers = [self.newest(c, next(iter(self.content.implementations[c]))) for c in MANAGERS]
        namespace = next(iter(self.versions["dimensions-config"]), "")
        versions = [*managers, self.newest("dimensions-config", namespace)]
        return State({v.component: v for v in versions})

    def implementation_of(self, component: str, class_name: str) -> str | None:
        """Return the implementation that a class name means, stored or configured; `None` if it is not known."""
        for name, classes in self.content.implementations.get(component, {}).items():
            if class_name in (classes["stored"], classes.get("configured")):
                return name
        return None

    def stored_class(self, component: str, implementation: str) -> str:
        """Return the class name that the database stores."""
        return self.content.implementations[component][implementation]["stored"]

    def configured_class(self, component: str, implementation: str) -> str:
        """Return the class name that ``butler.yaml`` has."""
        classes = self.content.implementations[component][implementation]
        return classes.get("configured", classes["stored"])

    # -- definitions ------------------------------------------------------

    def module(self, version: ComponentVersion) -> ModuleType:
        """Load the schema file of a version.

        Raises
        ------
        UnknownVersionError
            There is no such file.
        ContentError
            The file cannot be executed.
        """
        if version not in self._modules:
            from importlib.util import module_from_spec, spec_from_file_location

            self.require(version)
            name = module_name(version.version)
            path = self.content.schema_file(version.component, version.implementation, f"{name}.py")
            spec = spec_from_file_location(f"registrytool_schema_{version.component}_{name}", path)
            if spec is None or spec.loader is None:
                message = f"Cannot load {path}."
                raise ContentError(message)
            module = module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except Exception as error:
                message = f"The schema file {path} cannot be executed: {type(error).__name__}: {error}."
                raise ContentError(message) from error
            self._modules[version] = module
        return self._modules[version]

    def version(self, component: str, implementation: str, version: str) -> ModuleType:
        """Return the definitions of a version, on which those of another may build."""
        return self.module(ComponentVersion(component, implementation, version))

    def universe_config(self, version: ComponentVersion) -> dict[str, Any]:
        """Return the configuration of a universe, or an obscore configuration, that the content defines.

        Raises
        ------
        UnknownVersionError
            It is not defined.
        """
        if version not in self._universes:
            self.require(version)
            path = self.content.schema_file(version.component, version.implementation, f"{version.version}.yaml")
            config = read_yaml(path)
            if not isinstance(config, dict):
                message = f"{path} does not hold a mapping."
                raise ContentError(message)
            self._universes[version] = config
        return self._universes[version]

    def released_universe(self, namespace: str, version: str) -> dict[str, Any]:
        """Return the configuration of a universe, on which a schema file may build."""
        return self.universe_config(ComponentVersion("dimensions-config", namespace, version))

    def universe(self, state: State) -> Mapping[str, Any]:
        """Return the dimension universe that the content has for a state.

        Before week 2020.45 registries did not store one: it belonged to the version of the dimensions.

        Raises
        ------
        ContentError
            The state has none, though its dimensions need one.
        """
        version = state.get("dimensions-config")
        if version is not None:
            return self.universe_config(version)
        implicit = getattr(self.module(state["dimensions"]), "universe", None)
        if implicit is None:
            message = f"Registries with {state['dimensions']} store a dimension universe, and none is named."
            raise ContentError(message)
        config: Mapping[str, Any] = implicit(self)
        return config

    def can_hold(self, state: State, dialect: str) -> bool:
        """Return whether a database can hold registries of a state."""
        return not self._odd(state, dialect)

    def _odd(self, state: State, dialect: str) -> list[ComponentVersion]:
        """Return the versions that a database cannot hold."""
        return [
            version
            for version in state.components.values()
            if version.component not in CONFIGURATIONS
            and dialect not in getattr(self.module(version), "DIALECTS", (dialect,))
        ]

    def metadata(
        self,
        state: State,
        dialect: str,
        dynamic: DynamicContent | None = None,
        *,
        universe: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> sa.MetaData:
        """Return the table definitions of a registry.

        Parameters
        ----------
        state : `State`
            Versions of all components.
        dialect : `str`
            ``sqlite`` or ``postgresql``.
        dynamic : `DynamicContent`, optional
            Tables that exist because of what is registered.
        universe : `~collections.abc.Mapping`, optional
            Configuration of the dimension universe, of any namespace; by default the one that the content has for
            the state.
        namespace : `str`, optional
            PostgreSQL schema of the tables.

        Returns
        -------
        metadata : `sqlalchemy.MetaData`
            All tables, constraints, indexes and sequences; whoever asks for the same again gets the same object, so
            it must not be changed.

        Raises
        ------
        UnknownVersionError
            The content has no such version.
        ContentError
            The database cannot hold such registries.
        """
        dynamic = dynamic or DynamicContent()
        if odd := self._odd(state, dialect):
            listed = " and ".join(str(version) for version in odd)
            name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[dialect]
            message = f"{name} cannot hold registries with {listed}."
            raise ContentError(message, hint="Take another database, or another implementation.")
        config = universe if universe is not None else self.universe(state)
        known = self._metadata
        key = (
            frozenset(state.components.values()),
            dialect,
            (dynamic.dataset_tables, dynamic.record_tables, json.dumps(dynamic.obscore, sort_keys=True, default=str)),
            json.dumps(config, sort_keys=True, default=str),
            namespace,
        )
        # Looking ahead, migrating and checking ask for the same few states over and over.
        found = known.pop(key) if key in known else self._define(state, dialect, dynamic, config, namespace)
        known[key] = found
        if len(known) > _KEPT:
            del known[next(iter(known))]
        return found

    def _define(
        self,
        state: State,
        dialect: str,
        dynamic: DynamicContent,
        config: Mapping[str, Any],
        namespace: str | None,
    ) -> sa.MetaData:
        builder = Builder(self, state, dialect, Universe(config), namespace)
        modules = {component: builder.load(component) for component in MANAGERS}
        for module in modules.values():
            module.tables(builder)
        for item in dynamic.dataset_tables:
            make = modules["datasets"].tags if item.kind == "tags" else modules["datasets"].calibs
            make(builder, item.name, builder.universe.sorted(item.dimensions))
        for name in dynamic.record_tables:
            modules["opaque"].records(builder, name)
        if state.get("obscore") is not None and dynamic.obscore is not None:
            builder.load("obscore").tables(builder, dynamic.obscore)
        return builder.finish()


@cache
def _catalog_of_package() -> Catalog:
    return Catalog(Content.find())


def parse_json(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON configuration.

    Raises
    ------
    ContentError
        The text is not JSON, or not a mapping.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        message = f"{what} is not JSON: {error}."
        raise ContentError(message) from error
    if not isinstance(value, dict):
        message = f"{what} is not a JSON mapping."
        raise ContentError(message)
    return value
