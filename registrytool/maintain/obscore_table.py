"""The live ObsCore table: make it, and compare its rows with the datasets that its configuration asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration, plan_migration
from registrytool.models import _Model
from registrytool.obscore import CONFIG_OPTION, read_obscore_config
from registrytool.progress import NullProgress

from .collections import CollectionType, load_collections
from .dataset_types import load_dataset_types
from .pieces import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from registrytool.catalog import Catalog
    from registrytool.models import MigrationReport
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .session import Session

#: Rows whose keys are asked for at once.
_PIECE = 500


@dataclass(frozen=True, slots=True)
class ObsCoreCheck(_Model):
    """How the rows of an ObsCore table compare with what its configuration asks for.

    Attributes
    ----------
    registry, table : `str`
        The registry, and the name of the table.
    wanted : `int`
        Datasets that should have a row.
    rows : `int`
        Rows that there are.
    missing, surplus : `~collections.abc.Mapping` [`str`, `int`]
        Datasets without a row that should have one, and datasets with a row that should have none, by dataset type.
    unknown_types, unknown_collections : `tuple` [`str`, ...]
        What the configuration names and the registry does not have.
    """

    registry: str
    table: str
    wanted: int
    rows: int
    missing: Mapping[str, int]
    surplus: Mapping[str, int]
    unknown_types: tuple[str, ...] = ()
    unknown_collections: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is a row for each dataset that should have one, and no other."""
        return not self.missing and not self.surplus


def enable_obscore(
    repository: Repository,
    config: Path,
    *,
    catalog: Catalog | None = None,
    backup: bool = True,
    backup_to: Path | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MigrationReport:
    """Make the live ObsCore table of a registry; this is the migration step to ``obscore`` 0.0.1.

    The table is empty: Butlers add a row for each dataset that they store from then on.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    config : `pathlib.Path`
        YAML file with the configuration of the table.
    catalog : `Catalog`, optional
        The content.
    backup : `bool`, optional
        Whether to make a backup.
    backup_to : `pathlib.Path`, optional
        File or folder for the backup.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    report : `MigrationReport`
        What was done.

    Raises
    ------
    RegistryStateError
        The registry has such a table already.
    ConfigurationError
        The configuration is not one.
    """
    from registrytool.catalog import Catalog as Versions

    from .session import reading

    catalog = catalog or Versions()
    with reading(repository, catalog=catalog) as session:
        if session.state.get("obscore") is not None:
            message = f"The registry of {repository.name} has an ObsCore table already."
            raise RegistryStateError(message, hint="'registrytool obscore configure' gives it another configuration.")
    target = f"obscore={catalog.newest('obscore', 'ObsCoreLiveTableManager').version}"
    options = MigrateOptions((target,), {CONFIG_OPTION: str(config)}, backup=backup, backup_to=backup_to)
    return _migrated(repository, options, catalog, progress, dry_run=dry_run)


def configure_obscore(
    repository: Repository,
    config: Path,
    *,
    catalog: Catalog | None = None,
    accept_loss: bool = False,
    backup: bool = True,
    backup_to: Path | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MigrationReport:
    """Give the ObsCore table another configuration; this is the migration step of ``obscore-config``.

    Columns come and go, and rows stay: new columns have the constant of the configuration, or NULL.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    config : `pathlib.Path`
        YAML file with the configuration, of another namespace or version than the present one.
    catalog : `Catalog`, optional
        The content.
    accept_loss : `bool`, optional
        Whether columns may go that have values.
    backup : `bool`, optional
        Whether to make a backup.
    backup_to : `pathlib.Path`, optional
        File or folder for the backup.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    report : `MigrationReport`
        What was done.

    Raises
    ------
    RegistryStateError
        The registry has no such table, or values would be lost.
    ConfigurationError
        The configuration is not one, or has the version of the present one.
    """
    from registrytool.catalog import Catalog as Versions

    from .session import reading

    catalog = catalog or Versions()
    with reading(repository, catalog=catalog) as session:
        if session.state.get("obscore") is None:
            message = f"The registry of {repository.name} has no ObsCore table."
            raise RegistryStateError(message, hint="'registrytool obscore enable' makes one.")
    wanted = read_obscore_config(config)
    target = f"obscore-config={wanted['namespace']}/{wanted['version']}"
    options = MigrateOptions((target,), {CONFIG_OPTION: str(config)}, accept_loss, backup, backup_to)
    return _migrated(repository, options, catalog, progress, dry_run=dry_run)


def _migrated(
    repository: Repository, options: MigrateOptions, catalog: Catalog, progress: Progress | None, *, dry_run: bool
) -> MigrationReport:
    if dry_run:
        return plan_migration(repository, options, catalog=catalog)
    return apply_migration(repository, options, catalog=catalog, progress=progress or NullProgress())


def check_obscore(session: Session) -> ObsCoreCheck:
    """Compare the rows of the ObsCore table with the datasets that its configuration asks for.

    Parameters
    ----------
    session : `Session`
        The open registry.

    Returns
    -------
    check : `ObsCoreCheck`
        What was found.

    Raises
    ------
    RegistryStateError
        There is no such table, or its configuration has a pattern that is none.
    """
    config = session.recorded.dynamic.obscore
    if config is None or session.state.get("obscore") is None:
        message = f"The registry of {session.repository.name} has no ObsCore table."
        raise RegistryStateError(message, hint="'registrytool obscore enable' makes one.")
    name = str(config.get("table_name") or "obscore")
    table = session.table(name)
    types = load_dataset_types(session)
    named = sorted(config.get("dataset_types") or {})
    keys, column, unknown = _places(session, config)
    dataset = session.table("dataset")
    wanted = 0
    missing: dict[str, int] = {}
    for dataset_type in (types[t] for t in named if t in types):
        source = dataset if column == session.run_column else session.table(dataset_type.tags_table)
        key = source.c.id if source is dataset else source.c.dataset_id
        for part in chunks(keys, _PIECE):
            mine = sa.and_(source.c.dataset_type_id == dataset_type.id, source.c[column].in_(part))
            wanted += _count(session, source, mine)
            has_row = sa.exists().where(table.c.registry_dataset_id == key)
            number = _count(session, source, sa.and_(mine, ~has_row))
            if number:
                missing[dataset_type.name] = missing.get(dataset_type.name, 0) + number
    rows = int(session.scalar(sa.select(sa.func.count()).select_from(table)))
    surplus = _surplus(session, table, [types[t].id for t in named if t in types], keys, column)
    return ObsCoreCheck(
        session.repository.name,
        name,
        wanted,
        rows,
        dict(sorted(missing.items())),
        surplus,
        tuple(t for t in named if t not in types),
        unknown,
    )


def _count(session: Session, source: sa.FromClause, condition: sa.ColumnElement[bool]) -> int:
    return int(session.scalar(sa.select(sa.func.count()).select_from(source).where(condition)))


def _places(session: Session, config: Mapping[str, Any]) -> tuple[list[Any], str, tuple[str, ...]]:
    """Return the keys of the collections that a configuration means, and the column that has them."""
    collections = load_collections(session)
    names = [str(name) for name in config.get("collections") or ()]
    if config.get("collection_type") == "TAGGED":
        found = [collections[n].key for n in names if n in collections]
        return found, session.collection_column, tuple(n for n in names if n not in collections)
    try:
        patterns = [re.compile(name) for name in names]
    except re.error as error:
        message = f"The ObsCore configuration of {session.repository.name} has a pattern that is none: {error}."
        raise RegistryStateError(message, hint="Collections are regular expressions there.") from error
    runs = [c for c in collections.values() if c.type is CollectionType.RUN]
    meant = [c for c in runs if not names or any(p.fullmatch(c.name) for p in patterns)]
    idle = (n for n, p in zip(names, patterns, strict=True) if not any(p.fullmatch(c.name) for c in runs))
    return [c.key for c in meant], session.run_column, tuple(idle)


def _surplus(session: Session, table: sa.Table, types: list[int], keys: list[Any], column: str) -> dict[str, int]:
    """Count rows of datasets that should have none, by dataset type."""
    dataset = session.table("dataset")
    names = {t.id: t.name for t in load_dataset_types(session).values()}
    joined = table.join(dataset, dataset.c.id == table.c.registry_dataset_id)
    found: dict[str, int] = {}
    if column == session.run_column:
        run = dataset.c[column].label("key")
        query = sa.select(dataset.c.dataset_type_id, run, sa.func.count().label("number")).select_from(joined)
        for row in session.rows(query.group_by(dataset.c.dataset_type_id, run)):
            if row.dataset_type_id not in types or row.key not in set(keys):
                found[names[row.dataset_type_id]] = found.get(names[row.dataset_type_id], 0) + row.number
        return dict(sorted(found.items()))
    members = []
    for dataset_type in load_dataset_types(session).values():
        if dataset_type.id in types:
            tags = session.table(dataset_type.tags_table)
            mine = sa.and_(tags.c.dataset_type_id == dataset_type.id, tags.c[column].in_(keys))
            members.append(sa.select(tags.c.dataset_id).where(mine))
    query = sa.select(dataset.c.dataset_type_id, sa.func.count().label("number")).select_from(joined)
    if members:
        query = query.where(dataset.c.id.not_in(sa.union_all(*members)))
    for row in session.rows(query.group_by(dataset.c.dataset_type_id)):
        found[names[row.dataset_type_id]] = row.number
    return dict(sorted(found.items()))
