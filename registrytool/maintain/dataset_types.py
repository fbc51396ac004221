"""Dataset types of a registry: reading them, and making new ones with the tables that they need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.naming import shrink

from .collections import insert_missing, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registrytool.universe import Universe

    from .session import Session


@dataclass(frozen=True, slots=True)
class DatasetType:
    """One dataset type.

    Attributes
    ----------
    id : `int`
        What tables refer to it by.
    name : `str`
        Its name.
    storage_class : `str`
        How its datasets look in Python.
    dimensions : `tuple` [`str`, ...]
        Required dimensions, in the order of the universe: the columns of its tables.
    all_dimensions : `tuple` [`str`, ...]
        The same and all that these imply, in the order of the universe.
    is_calibration : `bool`
        Whether its datasets can be certified.
    tags_table : `str`
        Table of the members of runs and of collections of type TAGGED.
    calibs_table : `str` or `None`
        Table of the members of collections of type CALIBRATION.
    """

    id: int
    name: str
    storage_class: str
    dimensions: tuple[str, ...]
    all_dimensions: tuple[str, ...]
    is_calibration: bool
    tags_table: str
    calibs_table: str | None


def load_dataset_types(session: Session) -> Mapping[str, DatasetType]:
    """Read all dataset types of a registry.

    Parameters
    ----------
    session : `Session`
        The open registry.

    Returns
    -------
    dataset_types : `~collections.abc.Mapping` [`str`, `DatasetType`]
        The dataset types, by name and in alphabetical order.

    Raises
    ------
    RegistryStateError
        The registry is from before week 2020.46 and keeps the dimensions of dataset types in another form.
    """
    if not session.has_table("dimension_graph_definition"):
        name, version = session.repository.name, session.state["datasets"].version
        message = f"The datasets of {name} are of version {version}, and dataset types can be read from 1.0.0 on."
        raise RegistryStateError(message, hint="Migrate the registry before.")
    table, group = session.table("dataset_type"), session.table("dimension_graph_definition")
    members: dict[int, list[str]] = {}
    for row in session.rows(sa.select(group.c.dimension_graph_id, group.c.dimension_name)):
        members.setdefault(row.dimension_graph_id, []).append(row.dimension_name)
    universe = session.universe
    groups = {key: dimension_group(universe, names) for key, names in members.items()}
    result = {}
    for row in session.rows(sa.select(table).order_by(table.c.name)):
        required, everything = groups.get(row.dimensions_key, ((), ()))
        result[row.name] = DatasetType(
            row.id,
            row.name,
            row.storage_class,
            required,
            everything,
            row.calibration_association_table is not None,
            row.tag_association_table,
            row.calibration_association_table,
        )
    return result


def require_dataset_type(dataset_types: Mapping[str, DatasetType], name: str, *, where: str) -> DatasetType:
    """Return a dataset type that must be there.

    Raises
    ------
    RegistryStateError
        It is not.
    """
    if name in dataset_types:
        return dataset_types[name]
    parent, point, component = name.partition(".")
    if point and parent in dataset_types:
        message = f"{name!r} is no dataset type of the registry of {where}, but the component {component} of one."
        raise RegistryStateError(message, hint=f"Components are read from datasets of type {parent}: name that.")
    message = f"There is no dataset type {name!r} in the registry of {where}."
    raise RegistryStateError(message, hint=suggestion(name, dataset_types, "registrytool dataset-type list"))


def dimension_group(universe: Universe, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Complete a group of dimensions by all that they require and imply.

    Parameters
    ----------
    universe : `Universe`
        The universe.
    names : `~collections.abc.Iterable` [`str`]
        Names of dimensions.

    Returns
    -------
    required : `tuple` [`str`, ...]
        Dimensions that no other one of the group implies, in the order of the universe.
    everything : `tuple` [`str`, ...]
        All dimensions of the group, in the order of the universe.

    Raises
    ------
    RegistryStateError
        The universe has no such dimension.
    """
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in found:
            continue
        if not universe.is_known(name) or (name in universe and not universe[name].is_dimension):
            message = f"Universe {universe.namespace} {universe.version} has no dimension {name!r}."
            dimensions = [e.name for e in universe if e.is_dimension]
            raise RegistryStateError(message, hint=suggestion(name, dimensions, "registrytool schema show"))
        found.add(name)
        if name in universe:
            stack += (*universe[name].required, *universe[name].implied)
    implied = {i for name in found if name in universe for i in universe[name].implied}
    everything = universe.sorted(list(found))
    return tuple(n for n in everything if n not in implied), everything


def require_columns(universe: Universe, required: Iterable[str]) -> None:
    """Check that a table with columns for the required dimensions of a group can refer to their records.

    Raises
    ------
    RegistryStateError
        One of them needs the value of a dimension that another one implies, for which there is no column.
    """
    names = tuple(required)
    _, everything = dimension_group(universe, names)
    for name in names:
        lost = next((n for n in (universe[name].required if name in universe else ()) if n not in names), None)
        if lost is not None:
            owner = next(n for n in everything if n in universe and lost in universe[n].implied)
            message = f"No dataset type can have the dimensions {', '.join(everything)}: {name} requires {lost}, "
            message += f"of which there is no column where {owner} implies it."
            raise RegistryStateError(message, hint=f"Leave out {name}, or what brings {owner}.")


def ensure_dataset_type(
    session: Session,
    name: str,
    dimensions: Iterable[str],
    storage_class: str,
    *,
    is_calibration: bool = False,
) -> DatasetType:
    """Return a dataset type; it is made, with its tables, if there is none of that name.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.
    dimensions : `~collections.abc.Iterable` [`str`]
        Its dimensions; what they require need not be named.
    storage_class : `str`
        Name of its storage class.
    is_calibration : `bool`, optional
        Whether its datasets can be certified.

    Returns
    -------
    dataset_type : `DatasetType`
        The dataset type.

    Raises
    ------
    RegistryStateError
        There is one of that name with another definition, a name is wrong, or there are no such dimensions together.
    """
    dimensions = tuple(dimensions)
    found = find_same(session, name, dimensions, storage_class, is_calibration=is_calibration)
    if found is not None:
        return found
    required, _ = dimension_group(session.universe, dimensions)
    require_columns(session.universe, required)
    # As Butlers do before they make a group, in their order. Two registrytools come here one after the other.
    session.lock("dimension_graph_key")
    session.lock("dimension_graph_definition")
    key = _ensure_group(session, required)
    tags, calibs = _tables_of_group(session, key)
    row = {
        "id": session.new_ids("dataset_type", "id", 1)[0],
        "name": name,
        "storage_class": storage_class,
        "dimensions_key": key,
        "tag_association_table": tags,
        "calibration_association_table": calibs if is_calibration else None,
    }
    # Butlers do not wait for the lock if they know the group already.
    session.execute(insert_missing(session, "dataset_type"), row)
    session.refresh()
    _make_tables(session, [tags, calibs] if is_calibration else [tags])
    found = find_same(session, name, dimensions, storage_class, is_calibration=is_calibration)
    if found is None:  # pragma: no cover (somebody else made it and removed it again in between)
        message = f"The dataset type {name!r} was made and removed by somebody else at the same time."
        raise RegistryStateError(message, hint="Run the same command again.")
    return found


def find_same(
    session: Session,
    name: str,
    dimensions: Iterable[str],
    storage_class: str,
    *,
    is_calibration: bool = False,
) -> DatasetType | None:
    """Return the dataset type of a name and definition, `None` if there is none of that name.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name, dimensions, storage_class, is_calibration
        As `ensure_dataset_type` takes them.

    Raises
    ------
    RegistryStateError
        There is one of that name with another definition, a name is wrong, or the universe has no such dimension.
    """
    required, _ = dimension_group(session.universe, dimensions)
    check_dataset_type_name(session, name)
    check_storage_class(storage_class)
    found = load_dataset_types(session).get(name)
    if found is None:
        return None
    have = _definition(found.dimensions, found.storage_class, is_calibration=found.is_calibration)
    want = _definition(required, storage_class, is_calibration=is_calibration)
    if have != want:
        message = f"There is a dataset type {name!r} with another definition ({have}), and {want} is wanted."
        raise RegistryStateError(message, hint="Choose another name.")
    return found


def check_storage_class(name: str) -> None:
    """Check that something can be the name of a storage class.

    Raises
    ------
    RegistryStateError
        It cannot.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        message = f"A storage class cannot have the name {name!r}."
        raise RegistryStateError(message, hint="A name is made of letters, digits and underscores.")


def _definition(dimensions: tuple[str, ...], storage_class: str, *, is_calibration: bool) -> str:
    calibration = ", a calibration" if is_calibration else ""
    return f"dimensions {', '.join(dimensions) or 'none'}, storage class {storage_class}{calibration}"


def check_dataset_type_name(session: Session, name: str) -> None:
    """Check that something can be the name of a new dataset type.

    Raises
    ------
    RegistryStateError
        It cannot.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        message = f"A dataset type cannot have the name {name!r}."
        raise RegistryStateError(message, hint="A name is made of letters, digits and underscores.")
    if name in {governor.name for governor in session.universe.governors}:
        message = f"A dataset type cannot have the name {name!r}, which is that of a governor dimension."
        raise RegistryStateError(message)


def _ensure_group(session: Session, required: tuple[str, ...]) -> int:
    """Return the number of a group of dimensions, which is made if it is missing."""
    if not required:
        return 0
    keys, members = session.table("dimension_graph_key"), session.table("dimension_graph_definition")
    same = sa.func.sum(sa.case((members.c.dimension_name.in_(required), 1), else_=0))
    query = (
        sa.select(sa.func.min(members.c.dimension_graph_id))
        .group_by(members.c.dimension_graph_id)
        .having(sa.func.count() == len(required), same == len(required))
    )
    found = session.scalar(query)
    if found is None:
        (found,) = session.new_ids("dimension_graph_key", "id", 1)
        session.execute(sa.insert(keys), {"id": found})
        rows = [{"dimension_graph_id": found, "dimension_name": name} for name in required]
        session.execute(sa.insert(members), rows)
    return int(found)


def _tables_of_group(session: Session, key: int) -> tuple[str, str]:
    """Return the names of the tables of a group: those of its dataset types, or what the rule says."""
    table = session.table("dataset_type")
    query = sa.select(
        sa.func.min(table.c.tag_association_table).label("tags"),
        sa.func.min(table.c.calibration_association_table).label("calibs"),
    ).where(table.c.dimensions_key == key)
    row = session.rows(query)[0]
    return row.tags or f"dataset_tags_{key:08d}", row.calibs or f"dataset_calibs_{key:08d}"


def _make_tables(session: Session, names: Iterable[str]) -> None:
    """Make those of some tables of datasets that are missing."""
    definitions = [session.table(name) for name in names if name not in session.recorded.tables]
    if not definitions:
        return
    # All tables must have been made for their foreign keys to be looked up.
    tables = session.metadata.tables
    targets = {key.column.table.name for t in definitions for key in tables[t.key].foreign_keys}
    # What the server would lock one after the other, while others have locks that are waited for.
    session.lock_together(*targets, mode="SHARE ROW EXCLUSIVE")
    # Not needed by those who only read.
    from registrytool.executor import ConnectionExecutor
    from registrytool.reshape import create_table

    executor = ConnectionExecutor(session.connection)
    for definition in definitions:
        if sa.inspect(session.connection).has_table(definition.name, schema=session.namespace):
            continue  # somebody else was faster
        for column in definition.columns:
            if column.info.get("sequence") and session.dialect == "postgresql":
                name = shrink(f"{definition.name}_seq_{column.name}", session.dialect)
                executor.execute(sa.schema.CreateSequence(sa.Sequence(name, schema=session.namespace)))
        create_table(definition, session.dialect, executor)
    session.refresh()
