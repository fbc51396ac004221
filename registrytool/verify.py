"""Compare the structure of a registry with what its versions promise, and repair known drift."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .backup import back_up, backup_path, require_backup_tool
from .catalog import Catalog
from .database import Database
from .errors import RegistryDriftError
from .inspection import Inspection, inspect
from .models import Difference, Plan, Verification
from .progress import NullProgress, Progress
from .runner import Run
from .state import STAMPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .repository import Repository


def verify_registry(repository: Repository, *, catalog: Catalog | None = None) -> Verification:
    """Compare a registry with the snapshot of its state; nothing is written.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    verification : `Verification`
        All differences.
    """
    database = Database.of(repository)
    found = catalog or Catalog.find()
    inspection = database.look(lambda c: inspect(c, database.namespace, found, where=repository.name))
    return _result(repository, inspection)


def _result(repository: Repository, inspection: Inspection, before: Inspection | None = None) -> Verification:
    # No other command works with a registry whose revisions contradict its versions, so it cannot be called clean.
    foreign = [
        Difference(STAMPS, "revision", name, "unexpected", None, name) for name in inspection.recorded.foreign_stamps
    ]
    return Verification(
        repository.name,
        inspection.recorded.state,
        len(inspection.expected.tables),
        (*inspection.differences, *foreign),
        inspection.notes,
        before.differences if before is not None else (),
    )


def repair_registry(
    repository: Repository,
    *,
    catalog: Catalog | None = None,
    backup: bool = True,
    backup_to: Path | None = None,
    settings: Mapping[str, str] | None = None,
    wait_s: float = 5.0,
    progress: Progress | None = None,
) -> Verification:
    """Repair known drift, in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    catalog : `Catalog`, optional
        The content.
    backup : `bool`, optional
        Whether to back the registry up first.
    backup_to : `pathlib.Path`, optional
        Where the backup goes.
    settings : `~collections.abc.Mapping` [`str`, `str`], optional
        Options of the repairs.
    wait_s : `float`, optional
        How long to wait for locks, in seconds.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    verification : `Verification`
        What is left, and what was repaired.

    Raises
    ------
    RegistryDriftError
        There are unknown differences, for which there is no repair.
    """
    catalog, progress = catalog or Catalog.find(), progress or NullProgress()
    database = Database.of(repository)
    before = database.look(lambda c: inspect(c, database.namespace, catalog, where=repository.name))
    before.recorded.check_stamps()
    before.recorded.check_online(repository.name)
    if not before.differences:
        return _result(repository, before)
    if before.unknown:
        raise RegistryDriftError([str(d) for d in before.unknown])
    target = None
    if backup:
        require_backup_tool(database)
        target = backup_path(database, repository.root, backup_to)
    with database.write(f"repair {repository.name}", wait_s=wait_s) as connection:
        _run(catalog, before, database).hold_writers(connection)
        before = inspect(connection, database.namespace, catalog, where=repository.name)
        before.recorded.check_stamps()
        before.recorded.check_online(repository.name)
        if not before.differences:
            # Another run has repaired it in the meantime.
            return _result(repository, before)
        if target is not None:
            back_up(database, target, progress)
        run = replace(_run(catalog, before, database), options=settings or {}, progress=progress)
        run.apply(connection)
        after = inspect(connection, database.namespace, catalog, where=repository.name)
    return _result(repository, after, before)


def _run(catalog: Catalog, inspection: Inspection, database: Database) -> Run:
    """Return a run without steps, which repairs what was found."""
    state = inspection.recorded.state
    return Run(catalog, Plan(state, state, ()), inspection, database.namespace)
