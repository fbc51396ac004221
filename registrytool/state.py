"""What a registry says about itself: versions, universe, dataset types, stamps; reading and writing it.

This is the only module that touches ``butler_attributes`` and ``alembic_version``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from .catalog import Catalog, parse_json
from .encoded import read_encoded_tables
from .errors import ContentError, RegistryNotFoundError, RegistryStateError, UnknownVersionError
from .models import CONFIGURATIONS, MANAGERS, ComponentVersion, DatasetTables, DynamicContent, State
from .naming import revision_id
from .universe import DEFAULT_NAMESPACE, Universe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

ATTRIBUTES = "butler_attributes"
STAMPS = "alembic_version"
#: Tree of patches of the existing migration tool; its stamps correspond to nothing in ``butler_attributes``.
PATCHES = frozenset(
    {revision_id("dimensions-config-patches"), revision_id("dimensions-config-patches", "daf_butler", "v6-patch1")}
)
#: Attributes that hold the log of what registrytool did, followed by the time.
LOG_PREFIX = "registrytool.log."
#: Attributes that hold the state of an online migration.
ONLINE_PREFIX = "registrytool.online."
ONLINE_RUN = f"{ONLINE_PREFIX}run"
_MANAGER = "config:registry.managers."


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a registry says about itself.

    ``stamps`` is `None` if there is no ``alembic_version`` table; ``strange_tables`` lists opaque tables of an
    unknown kind.
    """

    state: State
    attributes: Mapping[str, str]
    universe: Mapping[str, Any]
    dynamic: DynamicContent
    stamps: frozenset[str] | None
    tables: frozenset[str]
    strange_tables: tuple[str, ...] = ()

    @property
    def expected_stamps(self) -> frozenset[str]:
        """Revisions that belong to the versions."""
        return stamps_of(self.state)

    @property
    def foreign_stamps(self) -> tuple[str, ...]:
        """Revisions in ``alembic_version`` that contradict ``butler_attributes``."""
        roots = {revision_id(c) for c in (*MANAGERS, *CONFIGURATIONS, "obscore")}
        return tuple(sorted((self.stamps or frozenset()) - self.expected_stamps - roots - PATCHES))

    @property
    def online(self) -> Mapping[str, Any] | None:
        """What is recorded of the online migration that is under way, `None` if there is none."""
        text = self.attributes.get(ONLINE_RUN)
        return _parse_config(text, f"The attribute {ONLINE_RUN}") if text is not None else None

    def check_online(self, where: str) -> None:
        """Check that no online migration is under way.

        Raises
        ------
        RegistryStateError
            There is one, and the sentence says how to end it.
        """
        run = self.online
        if run is not None:
            message = f"An online migration of {where} is under way (step {run.get('step')}, {run.get('phase')})."
            raise RegistryStateError(
                message,
                hint=f"Finish it with 'registrytool migrate {where} --resume', or go back with "
                f"'registrytool migrate {where} --abort'.",
            )

    def check_stamps(self) -> None:
        """Check that ``alembic_version`` does not contradict ``butler_attributes``.

        Raises
        ------
        RegistryStateError
            It does.
        """
        if self.foreign_stamps:
            belong = "belongs" if len(self.foreign_stamps) == 1 else "belong"
            message = (
                f"The revisions in {STAMPS} contradict the versions in {ATTRIBUTES}: {', '.join(self.foreign_stamps)} "
                f"{belong} to none of them."
            )
            raise RegistryStateError(
                message,
                hint="Find out which is right; 'registrytool stamp --purge' rewrites the revisions from the versions.",
            )


def stamps_of(state: State) -> frozenset[str]:
    """Return the revision identifiers that a state is stamped with."""
    return frozenset(revision_id(v.component, v.implementation, v.version) for v in state.components.values())


def _attributes_table(namespace: str | None) -> sa.TableClause:
    return sa.table(ATTRIBUTES, sa.column("name", sa.Text()), sa.column("value", sa.Text()), schema=namespace)


def table_names(connection: sa.Connection, namespace: str | None) -> frozenset[str]:
    """Return the names of all tables of a registry."""
    return frozenset(sa.inspect(connection).get_table_names(schema=namespace))


def read_attributes(connection: sa.Connection, namespace: str | None) -> dict[str, str]:
    """Return the content of ``butler_attributes``."""
    table = _attributes_table(namespace)
    return {row.name: row.value for row in connection.execute(sa.select(table.c.name, table.c.value))}


def require_attributes(
    connection: sa.Connection, namespace: str | None, tables: Collection[str], *, where: str
) -> dict[str, str]:
    """Return the content of ``butler_attributes``, which every registry has.

    Raises
    ------
    RegistryNotFoundError
        There is no registry.
    RegistryStateError
        It says nothing about itself.
    """
    if ATTRIBUTES not in tables:
        place = f" in namespace {namespace}" if namespace else ""
        check = "Check the namespace" if namespace else "Check the name of the database"
        message = f"There is no registry{place} of {where}: the table {ATTRIBUTES} is missing."
        raise RegistryNotFoundError(message, hint=f"{check}; 'registrytool create' makes a new registry.")
    attributes = read_attributes(connection, namespace)
    if not attributes:
        message = f"The registry of {where} says nothing about itself: the table {ATTRIBUTES} is empty."
        raise RegistryStateError(
            message,
            hint="It was made before week 2020.32, when versions were not recorded yet: which tables it should have "
            "cannot be told. Ingest its files into a new repository.",
        )
    return attributes


def read_recorded(connection: sa.Connection, namespace: str | None, catalog: Catalog, *, where: str) -> Recorded:
    """Read what a registry says about itself.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    namespace : `str` or `None`
        PostgreSQL schema.
    catalog : `Catalog`
        Known classes and versions.
    where : `str`
        Name of the registry, for messages.

    Returns
    -------
    recorded : `Recorded`
        What it says.

    Raises
    ------
    RegistryNotFoundError
        There is no registry.
    RegistryStateError
        What it says is incomplete.
    UnknownVersionError
        It names a class or version that the content does not know.
    """
    tables = table_names(connection, namespace)
    attributes = require_attributes(connection, namespace, tables, where=where)
    state, universe = parse_state(attributes, catalog, where=where)
    dynamic, strange = _read_dynamic(connection, namespace, tables, state, universe, attributes, catalog)
    return Recorded(state, attributes, universe, dynamic, read_stamps(connection, namespace, tables), tables, strange)


def parse_state(attributes: Mapping[str, str], catalog: Catalog, *, where: str) -> tuple[State, Mapping[str, Any]]:
    """Work out the state and the universe from the attributes of a registry.

    Raises
    ------
    RegistryStateError
        An attribute is missing or malformed.
    UnknownVersionError
        An attribute names a class or version that the content does not know.
    """
    versions: list[ComponentVersion] = []
    for component in (*MANAGERS, "obscore"):
        class_name = attributes.get(_MANAGER + component)
        if class_name is None:
            if component == "obscore":
                continue
            message = f"The registry of {where} does not say which class manages its {component}."
            raise RegistryStateError(message, hint=f"The attribute {_MANAGER}{component} is missing.")
        implementation = catalog.implementation_of(component, class_name)
        if implementation is None:
            raise UnknownVersionError(
                f"{component} manager class",
                class_name,
                sorted(catalog.content.implementations.get(component, ())),
                hint="Other schema content is named with --content.",
                where=where,
            )
        version = attributes.get(f"version:{class_name}")
        if version is None:
            message = f"The registry of {where} does not say which version its {component} have."
            raise RegistryStateError(message, hint=f"The attribute version:{class_name} is missing.")
        versions.append(ComponentVersion(component, implementation, version))
    text = attributes.get(CONFIGURATIONS["dimensions-config"])
    universe: Mapping[str, Any]
    if text is not None:
        what = f"The attribute {CONFIGURATIONS['dimensions-config']} in the registry of {where}"
        universe = _parse_config(text, what)
        parse_universe(universe, what)
        namespace = str(universe.get("namespace") or DEFAULT_NAMESPACE)
        versions.append(ComponentVersion("dimensions-config", namespace, str(universe.get("version"))))
    else:
        universe = _implicit_universe(versions, catalog, where=where)
    obscore = attributes.get(CONFIGURATIONS["obscore-config"])
    if obscore is not None:
        config = _parse_config(obscore, f"The attribute {CONFIGURATIONS['obscore-config']} in the registry of {where}")
        versions.append(
            ComponentVersion(
                "obscore-config", str(config.get("namespace") or "daf_butler_obscore"), str(config.get("version"))
            )
        )
    for found in versions:
        # The structure of a universe follows from its own configuration, which the registry holds; the obscore
        # configuration likewise.  Whether they are known matters only for migrating them.
        if found.component not in CONFIGURATIONS:
            require_known(catalog, found, where=where)
    return State({v.component: v for v in versions}), universe


def _implicit_universe(versions: Sequence[ComponentVersion], catalog: Catalog, *, where: str) -> Mapping[str, Any]:
    """Return the universe of a registry that does not hold one: before week 2020.45 it was part of the code."""
    state = State({v.component: v for v in versions})
    require_known(catalog, state["dimensions"], where=where)
    try:
        return catalog.universe(state)
    except ContentError as error:
        message = f"The registry of {where} does not hold its dimension universe."
        hint = f"The attribute {CONFIGURATIONS['dimensions-config']} is missing: restore it from a backup."
        raise RegistryStateError(message, hint=hint) from error


def require_known(catalog: Catalog, found: ComponentVersion, *, where: str) -> None:
    """Check that the content knows a version of a registry.

    Raises
    ------
    RegistryStateError
        It is not a version.
    UnknownVersionError
        It is not known; the sentence says which registry has it.
    """
    if not re.fullmatch(r"\d+(\.\d+)*", found.version):
        message = f"The registry of {where} says that its {found.component} have the version {found.version}."
        hint = f"A version is made of numbers and points: mend the attribute in the table {ATTRIBUTES}."
        raise RegistryStateError(message, hint=hint)
    try:
        catalog.require(found)
    except UnknownVersionError as error:
        what = error.what.removeprefix("version of ")
        raise UnknownVersionError(what, error.name, error.known, hint=error.hint, where=where) from None


def _parse_config(text: str, what: str) -> dict[str, Any]:
    """Parse a configuration that a registry stores."""
    try:
        return parse_json(text, what)
    except ContentError as error:
        raise RegistryStateError(error.message, hint="Mend it, or restore the registry from a backup.") from error


def parse_universe(config: Mapping[str, Any], what: str) -> Universe:
    """Parse the configuration of a dimension universe that somebody else wrote.

    Parameters
    ----------
    config : `~collections.abc.Mapping`
        The configuration.
    what : `str`
        What it is, for messages, with a capital letter.

    Raises
    ------
    RegistryStateError
        It is not a universe.
    """
    version, elements = config.get("version"), config.get("elements")
    needed = "It needs at least version, skypix and elements."
    if version is None or not isinstance(elements, Mapping):
        missing = "version" if version is None else "elements"
        message = f"{what} is not a dimension universe: it has no {missing}."
        raise RegistryStateError(message, hint=needed)
    if not re.fullmatch(r"\d+", str(version)):
        message = f"{what} is not a dimension universe: its version is {version}."
        raise RegistryStateError(message, hint="It must be a whole number.")
    try:
        return Universe(config)
    except ContentError as error:
        # Behind the sentence of a malformed configuration stands an error of Python.
        reason = error.message if error.__cause__ is None else "an element does not have the form that it needs."
        message = f"{what} is not a dimension universe: {reason[0].lower()}{reason[1:]}"
        raise RegistryStateError(message, hint=None if error.__cause__ is None else needed) from error


def _read_dynamic(
    connection: sa.Connection,
    namespace: str | None,
    tables: frozenset[str],
    state: State,
    universe: Mapping[str, Any],
    attributes: Mapping[str, str],
    catalog: Catalog,
) -> tuple[DynamicContent, tuple[str, ...]]:
    """Find out which tables exist because of what is registered."""
    encoded = getattr(catalog.module(state["datasets"]), "ENCODED", None)
    needed = {"dataset_type", "opaque_meta"} | ({"dimension_graph_definition"} if encoded is None else set())
    if needed - tables:
        # The comparison of structures says what else is wrong; dataset tables cannot be told without these.
        return DynamicContent(obscore=_obscore(attributes)), ()
    if encoded is not None:
        found = read_encoded_tables(connection, namespace, tables, encoded, Universe(universe))
    else:
        found = _read_dataset_tables(connection, namespace, tables)
    opaque = sa.table("opaque_meta", sa.column("table_name"), schema=namespace)
    listed = [name for (name,) in connection.execute(sa.select(opaque.c.table_name))]
    wanted = set(catalog.module(state["opaque"]).RECORD_COLUMNS)
    columns = _columns(connection, namespace, [name for name in listed if name in tables])
    records: list[str] = []
    strange: list[str] = []
    for name in sorted(listed):
        # A table that is listed but missing is taken for the usual kind, so that it is reported.
        (records if columns.get(name, wanted) == wanted else strange).append(name)
    ordered = tuple(found[name] for name in sorted(found))
    return DynamicContent(ordered, tuple(records), _obscore(attributes)), tuple(strange)


def _columns(connection: sa.Connection, namespace: str | None, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of the columns of tables; the inspector of SQLAlchemy takes long to find out all the rest."""
    if connection.dialect.name == "sqlite":
        query = sa.text("SELECT name FROM pragma_table_info(:name)")
        return {name: set(connection.scalars(query, {"name": name})) for name in names}
    query = sa.text(
        "SELECT c.relname, a.attname FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = :namespace AND c.relname = ANY (:names)"
    )
    found: dict[str, set[str]] = defaultdict(set)
    for table, column in connection.execute(query, {"namespace": namespace, "names": list(names)}):
        found[table].add(column)
    return found


def _read_dataset_tables(
    connection: sa.Connection, namespace: str | None, tables: frozenset[str]
) -> dict[str, DatasetTables]:
    dataset_type = sa.table(
        "dataset_type",
        sa.column("dimensions_key"),
        sa.column("tag_association_table"),
        sa.column("calibration_association_table"),
        schema=namespace,
    )
    definition = sa.table(
        "dimension_graph_definition", sa.column("dimension_graph_id"), sa.column("dimension_name"), schema=namespace
    )
    groups: dict[int, list[str]] = defaultdict(list)
    for key, dimension in connection.execute(sa.select(definition.c.dimension_graph_id, definition.c.dimension_name)):
        groups[key].append(dimension)
    found: dict[str, DatasetTables] = {}
    for key, tags, calibs in connection.execute(sa.select(*dataset_type.c)):
        for kind, name in (("tags", tags), ("calibs", calibs)):
            if name is not None:
                found[name] = DatasetTables(name, kind, tuple(groups[key]))
    # Tables of dataset types that have been removed stay, and belong to the registry.
    for name in tables - found.keys():
        match = re.fullmatch(r"dataset_(tags|calibs)_(\d{8,})", name)
        if match and (int(match[2]) in groups or int(match[2]) == 0):
            found[name] = DatasetTables(name, match[1], tuple(groups[int(match[2])]))
    return found


def _obscore(attributes: Mapping[str, str]) -> dict[str, Any] | None:
    text = attributes.get(CONFIGURATIONS["obscore-config"])
    return _parse_config(text, "The obscore configuration") if text is not None else None


def read_stamps(connection: sa.Connection, namespace: str | None, tables: Iterable[str]) -> frozenset[str] | None:
    """Return the revisions in ``alembic_version``, or `None` if there is no such table."""
    if STAMPS not in tables:
        return None
    table = sa.table(STAMPS, sa.column("version_num"), schema=namespace)
    return frozenset(connection.scalars(sa.select(table.c.version_num)))


# -- writing ------------------------------------------------------------------


class Executes(Protocol):
    """Something that takes statements: a connection, or what only writes them down."""

    def execute(self, statement: Any, /) -> Any:
        """Execute a statement."""


def write_attribute(
    executor: Executes,
    namespace: str | None,
    name: str | sa.ColumnElement[str],
    value: str | sa.ColumnElement[str] | None,
) -> None:
    """Set an attribute, or remove it if the value is `None`; name and value can be expressions."""
    table = _attributes_table(namespace)
    executor.execute(sa.delete(table).where(table.c.name == name))
    if value is not None:
        executor.execute(sa.insert(table).values(name=name, value=value))


def write_attributes(connection: sa.Connection, namespace: str | None, attributes: Mapping[str, str]) -> None:
    """Fill the attributes of a new registry."""
    rows = [{"name": name, "value": value} for name, value in attributes.items()]
    connection.execute(sa.insert(_attributes_table(namespace)), rows)


def version_attributes(catalog: Catalog, version: ComponentVersion) -> dict[str, str]:
    """Return the attributes that record the version of a manager."""
    stored = catalog.stored_class(version.component, version.implementation)
    return {_MANAGER + version.component: stored, f"version:{stored}": version.version}


def write_version(
    executor: Executes,
    namespace: str | None,
    catalog: Catalog,
    start: ComponentVersion | None,
    end: ComponentVersion | None,
) -> None:
    """Record that a manager has another version, implementation, or has come or gone."""
    old = version_attributes(catalog, start) if start is not None else {}
    new = version_attributes(catalog, end) if end is not None else {}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            write_attribute(executor, namespace, name, new.get(name))


def config_text(config: Mapping[str, Any]) -> str:
    """Return a configuration as the text that a registry stores."""
    return json.dumps(config)


def write_stamps(executor: Executes, namespace: str | None, stamps: Iterable[str]) -> None:
    """Make ``alembic_version`` hold exactly these revisions; the table is made if it is missing."""
    metadata = sa.MetaData(schema=namespace)
    # As Alembic makes it.
    table = sa.Table(
        STAMPS,
        metadata,
        sa.Column("version_num", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_num", name=f"{STAMPS}_pkc"),
    )
    executor.execute(CreateTable(table, if_not_exists=True))
    executor.execute(sa.delete(table))
    executor.execute(sa.insert(table).values([{"version_num": s} for s in sorted(stamps)]))
