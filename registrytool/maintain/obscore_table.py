"""The live ObsCore table: make it, and compare its rows with the datasets that its configuration asks for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.butler_yaml import names_manager, set_manager
from registrytool.errors import RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration, plan_migration
from registrytool.models import _Model
from registrytool.obscore import CONFIG_OPTION, read_obscore_config
from registrytool.progress import NullProgress

from .dataset_types import load_dataset_types
from .obscore_live import PIECE, LiveTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from registrytool.catalog import Catalog
    from registrytool.models import MigrationReport
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .session import Session


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

    The table is empty: Butlers add a row for each dataset that they store from then on.  If an earlier run was killed
    between its commit and ``butler.yaml``, that is made good.

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
        The registry has such a table already; or no Butler could write it any more.
    ConfigurationError
        The configuration is not one.
    """
    from registrytool.catalog import Catalog as Versions

    from .session import look

    catalog = catalog or Versions()
    state = look(repository, lambda session: session.state, catalog=catalog)
    present = state.get("obscore")
    newest = catalog.newest("obscore", "ObsCoreLiveTableManager")
    target = f"obscore={newest.version}"
    if present is not None:
        path = repository.config_file
        if path is None or names_manager(path, "obscore"):
            message = f"The registry of {repository.name} has an ObsCore table already."
            raise RegistryStateError(message, hint="'registrytool obscore configure' gives it another configuration.")
        if not dry_run:
            set_manager(path, "obscore", catalog.configured_class("obscore", present.implementation))
        report = _migrated(repository, MigrateOptions((target,), backup=False), catalog, progress, dry_run=dry_run)
        warning = "the table was there, and butler.yaml did not name its manager"
        return replace(report, warnings=(*report.warnings, warning))
    # The Butlers that wrote the oldest registries did not know such tables, and those that do know no such registries.
    now, then = (catalog.releases.readers_and_writers(s)[1] for s in (state, state.replace(newest)))
    if then == "none" and now != then:
        message = f"With an ObsCore table no Butler could write the registry of {repository.name}: it is too old."
        raise RegistryStateError(message, hint="Migrate it before, with 'registrytool migrate'.")
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

    from .session import look

    catalog = catalog or Versions()
    if look(repository, lambda session: session.state.get("obscore"), catalog=catalog) is None:
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
    live = require_live(session)
    dataset, key = session.table("dataset"), live.key
    wanted, missing = 0, {}
    for dataset_type in live.types:
        members = live.members(dataset_type).subquery()
        (identifier,) = members.c
        has_row = sa.exists().where(key == identifier)
        number = _count(session, members)
        lacking = _count(session, members, ~has_row)
        wanted += number
        if lacking:
            missing[dataset_type.name] = lacking
    types = {t.id: t.name for t in load_dataset_types(session).values()}
    strange = (
        sa.select(dataset.c.dataset_type_id, sa.func.count().label("number"))
        .select_from(live.table.join(dataset, dataset.c.id == key))
        .where(live.strangers())
        .group_by(dataset.c.dataset_type_id)
    )
    surplus = {types[row.dataset_type_id]: row.number for row in session.rows(strange)}
    return ObsCoreCheck(
        session.repository.name,
        live.table.name,
        wanted,
        _count(session, live.table),
        missing,
        dict(sorted(surplus.items())),
        live.unknown_types,
        live.unknown_collections,
    )


def require_live(session: Session) -> LiveTable:
    """Return the live ObsCore table of a registry.

    Raises
    ------
    RegistryStateError
        There is none, or its configuration has a pattern that is none.
    """
    live = LiveTable.of(session)
    if live is None:
        message = f"The registry of {session.repository.name} has no ObsCore table."
        raise RegistryStateError(message, hint="'registrytool obscore enable' makes one.")
    return live


def _count(session: Session, source: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> int:
    return int(session.scalar(sa.select(sa.func.count()).select_from(source).where(*conditions)))


@dataclass(frozen=True, slots=True)
class ObsCoreRebuild(_Model):
    """What becomes, or became, of the rows of an ObsCore table.

    Attributes
    ----------
    registry, table : `str`
        The registry, and the name of the table.
    inserted, changed, removed, kept : `int`
        Numbers of rows.
    """

    registry: str
    table: str
    inserted: int = 0
    changed: int = 0
    removed: int = 0
    kept: int = 0


def rebuild_obscore(
    repository: Repository,
    *,
    missing_only: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ObsCoreRebuild:
    """Make the rows of the live ObsCore table what Butlers would write for the datasets that there are.

    Rows that are right already stay as they are.  Works in pieces, each of which is committed; it can be stopped, and
    goes on when it is run again, at once where it stopped with ``missing_only``.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    missing_only : `bool`, optional
        Whether rows that there are of datasets that should have one are not looked at.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    report : `ObsCoreRebuild`
        What was done.

    Raises
    ------
    RegistryStateError
        There is no such table, its universe has rules of its own, or its configuration does not fit the datasets.
    ConfigurationError
        There are regions, and lsst-sphgeom is not installed.
    """
    from .session import change, look

    told = progress or NullProgress()
    if dry_run:
        return look(repository, lambda s: _rebuild(s, told, missing_only=missing_only, act=False), catalog=catalog)

    def work(session: Session) -> ObsCoreRebuild:
        return _rebuild(session, told, missing_only=missing_only, act=True)

    return change(repository, f"rebuild the ObsCore table of {repository.name}", work, catalog=catalog)


def _rebuild(session: Session, progress: Progress, *, missing_only: bool, act: bool) -> ObsCoreRebuild:
    live, tally = require_live(session), Counter[str]()
    strange = live.ids(sa.select(live.key).where(live.strangers()))
    tally["removed"] = len(strange)
    for part in strange.parts(PIECE) if act else ():
        live.delete(part)
        session.commit()
    wanted = [(t, live.missing(t) if missing_only else live.ids(live.members(t))) for t in live.types]
    done, total = 0, sum(len(ids) for _, ids in wanted)
    for dataset_type, ids in wanted:
        maker = live.maker(dataset_type)
        for part in ids.parts(PIECE):
            tally += live.make_right(maker, dataset_type, part, act=act)
            if act:
                session.commit()
            done += len(part)
            progress.rows(live.table.name, done, total)
    numbers = {name: tally[name] for name in ("inserted", "changed", "removed", "kept")}
    return ObsCoreRebuild(session.repository.name, live.table.name, **numbers)
