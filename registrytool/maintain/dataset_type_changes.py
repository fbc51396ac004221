"""Register, rename and remove dataset types, give them another storage class, and find what nobody uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import _Model

from .dataset_types import (
    DatasetType,
    check_dataset_type_name,
    check_storage_class,
    dimension_group,
    ensure_dataset_type,
    find_same,
    load_dataset_types,
    require_columns,
    require_dataset_type,
)
from .session import planned_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .session import Session


@dataclass(frozen=True, slots=True)
class DatasetTypeReport(_Model):
    """What happens, or happened, to a dataset type.

    Attributes
    ----------
    registry, dataset_type : `str`
        The registry, and the name of the dataset type.
    dimensions : `tuple` [`str`, ...]
        Its required dimensions.
    storage_class : `str`
        Its storage class, afterwards.
    is_calibration : `bool`
        Whether its datasets can be certified.
    changed : `bool`
        Whether anything is different from before.
    new_name : `str` or `None`
        Its name afterwards, if that is another one.
    warnings : `tuple` [`str`, ...]
        What else should be known.
    """

    registry: str
    dataset_type: str
    dimensions: tuple[str, ...]
    storage_class: str
    is_calibration: bool
    changed: bool
    new_name: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetTypeInfo(_Model):
    """A dataset type, and how much it is used.

    Attributes
    ----------
    dataset_type : `DatasetType`
        The dataset type.
    datasets : `int` or `None`
        Number of its datasets, `None` if they were not counted.
    runs : `int` or `None`
        Number of runs that have some.
    """

    dataset_type: DatasetType
    datasets: int | None = None
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class Unused(_Model):
    """Dataset types without datasets, and tables without dataset types.

    Attributes
    ----------
    dataset_types : `tuple` [`str`, ...]
        Dataset types that no dataset has.
    tables : `tuple` [`str`, ...]
        Tables of tags or certifications that no dataset type names.
    """

    dataset_types: tuple[str, ...]
    tables: tuple[str, ...]


def list_dataset_types(
    session: Session, globs: Iterable[str] = (), *, counts: bool = False
) -> tuple[DatasetTypeInfo, ...]:
    """List dataset types.

    Parameters
    ----------
    session : `Session`
        The open registry.
    globs : `~collections.abc.Iterable` [`str`], optional
        Names or patterns; none stands for all.
    counts : `bool`, optional
        Whether to count their datasets.

    Returns
    -------
    found : `tuple` [`DatasetTypeInfo`, ...]
        The dataset types, in alphabetical order.

    Raises
    ------
    RegistryStateError
        There is no dataset type of a name without wildcards.
    """
    found = matching_dataset_types(session, globs)
    if not counts:
        return tuple(DatasetTypeInfo(t) for t in found)
    dataset = session.table("dataset")
    query = sa.select(
        dataset.c.dataset_type_id,
        sa.func.count().label("datasets"),
        sa.func.count(sa.distinct(dataset.c[session.run_column])).label("runs"),
    ).group_by(dataset.c.dataset_type_id)
    if len(found) <= 500:
        query = query.where(dataset.c.dataset_type_id.in_([t.id for t in found]))
    numbers = {row.dataset_type_id: (row.datasets, row.runs) for row in session.rows(query)}
    return tuple(DatasetTypeInfo(t, *numbers.get(t.id, (0, 0))) for t in found)


def matching_dataset_types(session: Session, globs: Iterable[str] = ()) -> list[DatasetType]:
    """Return the dataset types that match any of some patterns; none stands for all.

    Raises
    ------
    RegistryStateError
        There is no dataset type of a name without wildcards.
    """
    import fnmatch

    from .collections import is_glob

    types = load_dataset_types(session)
    patterns = list(globs)
    wanted: set[str] = set() if patterns else set(types)
    for pattern in patterns:
        if is_glob(pattern):
            wanted.update(fnmatch.filter(types, pattern))
        else:
            wanted.add(require_dataset_type(types, pattern, where=session.repository.name).name)
    return [types[name] for name in sorted(wanted)]


# -- registering ------------------------------------------------------------------


def plan_register(
    session: Session,
    name: str,
    dimensions: Sequence[str],
    storage_class: str,
    *,
    is_calibration: bool = False,
) -> DatasetTypeReport:
    """Say what registering a dataset type would do.

    Raises
    ------
    RegistryStateError
        There is one of that name with another definition, a name is wrong, or there are no such dimensions together.
    """
    found = find_same(session, name, dimensions, storage_class, is_calibration=is_calibration)
    required, _ = dimension_group(session.universe, dimensions)
    require_columns(session.universe, required)
    return DatasetTypeReport(
        session.repository.name, name, required, storage_class, is_calibration, changed=found is None
    )


def register_dataset_type(
    repository: Repository,
    name: str,
    dimensions: Sequence[str],
    storage_class: str,
    *,
    is_calibration: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> DatasetTypeReport:
    """Register a dataset type; one that is there already, and the same, is left alone.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    dimensions : sequence of `str`
        Its dimensions; what they require need not be named.
    storage_class : `str`
        Name of its storage class.  Butlers must know it; registrytool cannot tell.
    is_calibration : `bool`, optional
        Whether its datasets can be certified.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `DatasetTypeReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_register`.
    """

    def work(session: Session, *, act: bool) -> DatasetTypeReport:
        report = plan_register(session, name, dimensions, storage_class, is_calibration=is_calibration)
        if act:
            ensure_dataset_type(session, name, dimensions, storage_class, is_calibration=is_calibration)
        return report

    wanted = f"register the dataset type {name!r} in {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


# -- removing ---------------------------------------------------------------------


def plan_remove(session: Session, name: str) -> DatasetTypeReport:
    """Say what removing a dataset type would do.

    Raises
    ------
    RegistryStateError
        There is no such dataset type, or it has datasets.
    """
    found = require_dataset_type(load_dataset_types(session), name, where=session.repository.name)
    (info,) = list_dataset_types(session, [name], counts=True)
    if info.datasets:
        message = f"The dataset type {name!r} has {info.datasets} datasets in {info.runs} runs."
        if info.datasets == 1:
            message = f"The dataset type {name!r} has a dataset."
        raise RegistryStateError(message, hint=f"'registrytool dataset remove REPO {name}' removes datasets.")
    return _report(session, found, changed=True)


def _report(session: Session, found: DatasetType, **settings: Any) -> DatasetTypeReport:
    settings.setdefault("storage_class", found.storage_class)
    return DatasetTypeReport(
        session.repository.name,
        found.name,
        found.dimensions,
        is_calibration=found.is_calibration,
        **settings,
    )


def remove_dataset_type(
    repository: Repository, name: str, *, catalog: Catalog | None = None, dry_run: bool = False
) -> DatasetTypeReport:
    """Remove a dataset type that has no datasets; its tables stay, as they do with the Butler.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `DatasetTypeReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_remove`.
    """

    def work(session: Session, *, act: bool) -> DatasetTypeReport:
        table = session.table("dataset_type")
        if act:
            # Nobody can make a dataset of it until this has ended; who has just made one is waited for.
            session.rows(sa.select(table.c.id).where(table.c.name == name).with_for_update())
        report = plan_remove(session, name)
        if act:
            # Summaries of collections go with the row.
            session.execute(sa.delete(table).where(table.c.name == name))
        return report

    wanted = f"remove the dataset type {name!r} from {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


# -- changing ---------------------------------------------------------------------


def plan_rename_dataset_type(session: Session, name: str, new_name: str) -> DatasetTypeReport:
    """Say what renaming a dataset type would do.

    Raises
    ------
    RegistryStateError
        There is no such dataset type, or one of the other name, or that cannot be a name.
    """
    types = load_dataset_types(session)
    found = require_dataset_type(types, name, where=session.repository.name)
    check_dataset_type_name(session, new_name)
    if new_name != name and new_name in types:
        message = f"The dataset type {name!r} cannot be renamed to {new_name!r}: there is one of that name."
        raise RegistryStateError(message, hint="Choose another name.")
    return _report(session, found, changed=new_name != name, new_name=new_name)


def rename_dataset_type(
    repository: Repository, name: str, new_name: str, *, catalog: Catalog | None = None, dry_run: bool = False
) -> DatasetTypeReport:
    """Give a dataset type another name; its datasets stay, and so do their files.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name, new_name : `str`
        Its name, and the other one.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `DatasetTypeReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_rename_dataset_type`.
    """

    def plan(session: Session) -> DatasetTypeReport:
        return plan_rename_dataset_type(session, name, new_name)

    return _update(repository, name, plan, {"name": new_name}, "rename", catalog=catalog, dry_run=dry_run)


def plan_set_storage_class(session: Session, name: str, storage_class: str) -> DatasetTypeReport:
    """Say what another storage class would do.

    Raises
    ------
    RegistryStateError
        There is no such dataset type, or that cannot be the name of a storage class.
    """
    found = require_dataset_type(load_dataset_types(session), name, where=session.repository.name)
    check_storage_class(storage_class)
    changed = found.storage_class != storage_class
    warnings: tuple[str, ...] = ()
    if changed:
        (info,) = list_dataset_types(session, [name], counts=True)
        if info.datasets:
            reason = "Butlers read them only if they can convert it to"
            text = f"{info.datasets} datasets were written with the storage class {found.storage_class}"
            warnings = (f"{text}; {reason} {storage_class}",)
    return _report(session, found, changed=changed, storage_class=storage_class, warnings=warnings)


def set_storage_class(
    repository: Repository, name: str, storage_class: str, *, catalog: Catalog | None = None, dry_run: bool = False
) -> DatasetTypeReport:
    """Give a dataset type another storage class.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    storage_class : `str`
        Name of the storage class.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `DatasetTypeReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_set_storage_class`.
    """

    def plan(session: Session) -> DatasetTypeReport:
        return plan_set_storage_class(session, name, storage_class)

    values = {"storage_class": storage_class}
    return _update(repository, name, plan, values, "set the storage class of", catalog=catalog, dry_run=dry_run)


def _update(
    repository: Repository,
    name: str,
    plan: Callable[[Session], DatasetTypeReport],
    values: dict[str, str],
    verb: str,
    *,
    catalog: Catalog | None,
    dry_run: bool,
) -> DatasetTypeReport:
    def work(session: Session, *, act: bool) -> DatasetTypeReport:
        report = plan(session)
        if act:
            table = session.table("dataset_type")
            session.execute(sa.update(table).where(table.c.name == name).values(values))
        return report

    wanted = f"{verb} the dataset type {name!r} of {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


# -- finding what nobody uses -------------------------------------------------------


def find_unused(session: Session) -> Unused:
    """Find dataset types without datasets, and tables without dataset types.

    Parameters
    ----------
    session : `Session`
        The open registry.

    Returns
    -------
    unused : `Unused`
        What was found.
    """
    dataset, table = session.table("dataset"), session.table("dataset_type")
    used = sa.exists().where(dataset.c.dataset_type_id == table.c.id)
    names = [row.name for row in session.rows(sa.select(table.c.name).where(~used).order_by(table.c.name))]
    types = load_dataset_types(session).values()
    named = {t.tags_table for t in types} | {t.calibs_table for t in types}
    tables = [t for t in session.recorded.tables if re.fullmatch(r"dataset_(tags|calibs)_\d{8,}", t)]
    return Unused(tuple(names), tuple(sorted(set(tables) - named)))
