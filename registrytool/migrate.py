"""Migrate a registry: plan, look ahead, back up, run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .backup import back_up, backup_path, require_backup_tool
from .butler_yaml import follow_plan, require_writable
from .catalog import Catalog
from .database import Database
from .errors import RegistryToolError
from .inspection import inspect
from .models import MigrationReport, Plan, StepWork
from .online.obstacles import online_obstacles
from .preparation import check_owner, plan_run, table_rows
from .progress import NullProgress, Progress
from .script import MigrationScript, write_script
from .snapshot import RegistryRecord, read_strangers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from .repository import Repository
    from .runner import Run

#: Megabytes that one second of writing tables again handles, to say about how long locks are held; measured by
#: scripts/benchmark on a small machine, so that real servers are faster.
_MB_PER_S = {"sqlite": 25.0, "postgresql": 40.0}


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """What the user asks of a migration.

    With ``step_by_step`` each step is committed when it is verified, instead of all together.
    """

    targets: Sequence[str] = ("newest",)
    settings: Mapping[str, str] = field(default_factory=dict)
    accept_loss: bool = False
    backup: bool = True
    backup_to: Path | None = None
    wait_s: float = 5.0
    step_by_step: bool = False


def plan_migration(
    repository: Repository, options: MigrateOptions | None = None, *, catalog: Catalog | None = None
) -> MigrationReport:
    """Say what a migration would do; nothing is written.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    options : `MigrateOptions`, optional
        What is wanted.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    report : `MigrationReport`
        The plan and its effect.
    """
    catalog, options = catalog or Catalog.find(), options or MigrateOptions()
    database = Database.of(repository)
    run = database.look(lambda c: _prepare(c, database, repository, options, catalog, NullProgress()))
    return _report(run, repository, catalog, applied=False)


def migration_script(
    repository: Repository, options: MigrateOptions | None = None, *, catalog: Catalog | None = None
) -> MigrationScript:
    """Write a script that does what a migration would do; nothing is written to the registry.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    options : `MigrateOptions`, optional
        What is wanted.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    script : `MigrationScript`
        The script, for psql or the sqlite3 shell.

    Raises
    ------
    PlanError
        A step cannot be written as SQL.
    """
    catalog, options = catalog or Catalog.find(), options or MigrateOptions()
    database = Database.of(repository)
    run, strangers = database.look(
        lambda c: (_prepare(c, database, repository, options, catalog, NullProgress()), read_strangers(c))
    )
    return write_script(run, registry=repository.name, strangers=strangers)


def offline_script(
    record: RegistryRecord, options: MigrateOptions | None = None, *, name: str, catalog: Catalog | None = None
) -> MigrationScript:
    """Write the script of a migration from the record of a registry, without its database.

    Parameters
    ----------
    record : `RegistryRecord`
        What ``registrytool schema show REPO --format json`` wrote.
    options : `MigrateOptions`, optional
        What is wanted.
    name : `str`
        Name of the registry, for the head of the script.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    script : `MigrationScript`
        The script, for psql or the sqlite3 shell.

    Raises
    ------
    PlanError
        A step cannot be written as SQL.
    """
    catalog, options = catalog or Catalog.find(), options or MigrateOptions()
    run = plan_run(
        record.inspection(catalog),
        record.namespace,
        catalog,
        options.targets,
        options.settings,
        accept_loss=options.accept_loss,
        where=name,
    )
    return write_script(run, registry=name, strangers=record.strangers)


def apply_migration(
    repository: Repository,
    options: MigrateOptions | None = None,
    *,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> MigrationReport:
    """Migrate a registry.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    options : `MigrateOptions`, optional
        What is wanted.
    catalog : `Catalog`, optional
        The content.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    report : `MigrationReport`
        What was done.

    Raises
    ------
    ConfigurationError
        Its ``butler.yaml`` must be changed with it, and cannot be written.
    RegistryStateError
        The registry is not fit for it; it is as it was.
    MigrationError
        A step failed; the registry is as it was.
    """
    catalog, options, progress = catalog or Catalog.find(), options or MigrateOptions(), progress or NullProgress()
    database = Database.of(repository)
    run = database.look(lambda c: _prepare(c, database, repository, options, catalog, progress))
    if not _is_due(run):
        return _nothing_done(run, repository, catalog)
    require_writable(repository.config_file, run.plan, catalog)
    target = None
    if options.backup:
        require_backup_tool(database)
        target = backup_path(database, repository.root, options.backup_to)
    started = time.monotonic()
    reports: list[MigrationReport] = []
    step_s: list[float] = []
    total = len(run.plan.steps)
    while _is_due(run):
        try:
            with database.write(f"migrate {repository.name}", wait_s=options.wait_s) as connection:
                run.hold_writers(connection)
                # Again, now that nobody else can change it.
                planned, run = run, _prepare(connection, database, repository, options, catalog, progress, before=run)
                if not _is_due(run):
                    break
                if run is not planned:
                    run.hold_writers(connection)
                if options.step_by_step:
                    run = run.first_step(len(step_s), total)
                if target is not None and not reports:
                    back_up(database, target, progress)
                run.apply(connection)
                progress.phase("committing")
            run.after_commit()
        except RegistryToolError as error:
            if reports:
                error.hint = f"{len(step_s)} of {total} steps are done and verified; the same command goes on." + (
                    f" {error.hint}" if error.hint else ""
                )
            raise
        warnings = follow_plan(repository.config_file, run.plan, catalog)
        reports.append(_report(run, repository, catalog, applied=True))
        reports[-1] = replace(reports[-1], warnings=(*reports[-1].warnings, *warnings))
        step_s += run.step_s
        if not options.step_by_step:
            break
        run = database.look(lambda c: _prepare(c, database, repository, options, catalog, progress))
    if not reports:
        return _nothing_done(run, repository, catalog, "another run has brought it there in the meantime")
    first, last = reports[0], reports[-1]
    return replace(
        first,
        plan=Plan(first.plan.start, last.plan.end, tuple(s for r in reports for s in r.plan.steps)),
        work=tuple(w for r in reports for w in r.work),
        warnings=tuple(dict.fromkeys(w for r in reports for w in r.warnings)),
        backup=str(target) if target is not None else None,
        elapsed_s=time.monotonic() - started,
        step_s=tuple(step_s),
    )


def _is_due(run: Run) -> bool:
    """Say whether there is anything to do."""
    return bool(run.plan.steps or run.inspection.differences)


def _nothing_done(run: Run, repository: Repository, catalog: Catalog, *notes: str) -> MigrationReport:
    """Report on a registry that is there already."""
    # A run that was killed after its commit has left butler.yaml behind.
    warnings = follow_plan(repository.config_file, run.plan, catalog)
    report = _report(run, repository, catalog, applied=True)
    return replace(report, warnings=(*report.warnings, *warnings, *notes))


def _prepare(
    connection: sa.Connection,
    database: Database,
    repository: Repository,
    options: MigrateOptions,
    catalog: Catalog,
    progress: Progress,
    before: Run | None = None,
) -> Run:
    """Read the registry, plan, and check what can be checked before the first write.

    What was found out before holds if the registry is as it was then.
    """
    inspection = inspect(connection, database.namespace, catalog, where=repository.name)
    if before is not None and inspection == before.inspection:
        return before
    run = plan_run(
        inspection,
        database.namespace,
        catalog,
        options.targets,
        options.settings,
        accept_loss=options.accept_loss,
        progress=progress,
        where=repository.name,
    )
    run.rows = table_rows(connection, database.namespace, inspection)
    check_owner(connection, run)
    return run


def _report(run: Run, repository: Repository, catalog: Catalog, *, applied: bool) -> MigrationReport:
    releases = catalog.releases
    work = []
    state = run.plan.start
    # Only where nothing has been done yet: it says what can be chosen.
    obstacles = online_obstacles(run) if run.dialect == "postgresql" and not applied else {}
    for item, *_ in run.preview:
        step = item.step
        state = state.replace(step.end) if step.end is not None else state.without(step.component)
        readers, writers = releases.readers_and_writers(state)
        why = obstacles.get(step.name)
        done = replace(item, readers=readers, writers=writers, online=why == (), obstacles=why or ())
        work.append(_estimated(done))
    warnings = list(run.inspection.notes)
    return MigrationReport(repository.name, run.plan, tuple(work), run.inspection.differences, applied, tuple(warnings))


def _estimated(work: StepWork) -> StepWork:
    """Guess how long the locks are held: about 250 bytes a row, indexes included."""
    rows = sum(t.rows or 0 for t in work.tables if t.action in ("rewrite", "index"))
    return replace(work, lock_s=round(rows * 250 / (_MB_PER_S["postgresql"] * 1e6), 1))
