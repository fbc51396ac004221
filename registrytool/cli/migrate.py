"""``registrytool migrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import BackupTo, ContentFolder, Db, Namespace, NoBackup, OutputFormat, RepoOrNone, Settings, Yes
from ._output import answer, confirmed, count, parse_settings, progress, say, show_table, tell

if TYPE_CHECKING:
    from registrytool.models import MigrationReport, PlannedStep
    from registrytool.online.operation import OnlineReport
    from registrytool.script import MigrationScript

    from ._options import Format


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)


def migrate(
    context: typer.Context,
    repo: RepoOrNone = None,
    to: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--to",
            metavar="TARGET",
            help="'newest', a Butler release (w_2024_10, 27.0) or component=version; can be repeated. "
            "[default: newest]",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print a script for psql or the sqlite3 shell, and do nothing.")
    ] = False,
    from_snapshot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--from-snapshot",
            metavar="FILE",
            help="With --sql, instead of REPO: what 'schema show REPO --format json' wrote.",
        ),
    ] = None,
    step_by_step: Annotated[
        bool, typer.Option("--step-by-step", help="Commit after each verified step instead of once at the end.")
    ] = False,
    backup: BackupTo = None,
    no_backup: NoBackup = False,
    settings: Settings = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Permit steps down that lose information.")
    ] = False,
    yes: Yes = False,
    online: Annotated[
        bool, typer.Option("--online", help="While others read and write; on PostgreSQL, step by step, no backup.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the online migration under way.")] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Take back what the online migration under way built and did.")
    ] = False,
    hold_contract: Annotated[
        bool, typer.Option("--hold-contract", help="Online: stop before the exchange; --resume finishes.")
    ] = False,
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", metavar="ROWS", min=1, help="Online: rows filled in one transaction.")
    ] = 2000,
    pause: Annotated[
        float, typer.Option("--pause", metavar="SECONDS", min=0, help="Online: pause after each batch.")
    ] = 0.02,
    wait: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="How long to wait for a lock. [default: 5, online 60]",
            show_default=False,
        ),
    ] = None,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Migrate a registry, forwards or back, in one transaction unless told otherwise.

    Known drift is repaired on the way. With --plan, exits with 4 if there is something to do.
    """
    from registrytool.catalog import Catalog
    from registrytool.errors import ConfigurationError
    from registrytool.migrate import MigrateOptions, apply_migration, migration_script, offline_script, plan_migration
    from registrytool.repository import open_repository
    from registrytool.snapshot import load_record

    for one, other, both in (
        ("--plan", "--sql", plan and sql),
        ("--backup", "--no-backup", backup and no_backup),
        ("REPO", "--from-snapshot", repo and from_snapshot),
        ("--online", "--plan", online and plan),
        ("--online", "--sql", online and sql),
        ("--online", "--step-by-step", online and step_by_step),
        ("--online", "--backup", online and backup),
        ("--online", "--resume", online and resume),
        ("--online", "--abort", online and abort),
        ("--resume", "--abort", resume and abort),
        ("--abort", "--hold-contract", abort and hold_contract),
    ):
        if both:
            message = f"The options {one} and {other} exclude each other."
            raise ConfigurationError(message, hint="Leave one of them out.")
    catalog = Catalog.find(content)
    options = MigrateOptions(
        tuple(to or ("newest",)),
        parse_settings(settings),
        accept_loss=accept_loss,
        backup=not no_backup,
        backup_to=backup,
        wait_s=5.0 if wait is None else wait,
        step_by_step=step_by_step,
    )
    if from_snapshot is not None:
        if not sql:
            message = "The option --from-snapshot goes with --sql: without a database there is only a script to write."
            raise ConfigurationError(message, hint="Add --sql, or name the repository instead.")
        record = load_record(from_snapshot)
        _show_script(context, output, offline_script(record, options, name=str(from_snapshot), catalog=catalog))
        return
    if repo is None:
        message = "No registry was named."
        raise ConfigurationError(message, hint="Name the repository, or with --sql its record by --from-snapshot.")
    repository = open_repository(repo, db=db, namespace=namespace)
    if online or resume or abort:
        from registrytool.online.engine import Pace
        from registrytool.online.operation import OnlineOptions, abort_online, migrate_online, resume_online

        for name, given in (("--to", to), ("--set", settings)):
            if given and not online:
                message = f"The option {name} belongs to --online: what was begun keeps its targets and settings."
                raise ConfigurationError(message, hint="Leave it out.")
        asked = OnlineOptions(
            options.targets,
            options.settings,
            accept_loss=accept_loss,
            hold=hold_contract,
            pace=Pace(batch_rows, pause),
            wait_s=60.0 if wait is None else wait,
        )
        if online:
            confirmed(f"Migrate {repository.name} online?", yes=yes)
        operation = abort_online if abort else resume_online if resume else migrate_online
        with progress(context) as shown:
            result = operation(repository, asked, catalog=catalog, progress=shown)
        answer(context, output, result.to_dict(), lambda: _show_online(result))
        return
    if hold_contract:
        message = "The option --hold-contract belongs to --online or --resume."
        raise ConfigurationError(message, hint="Add one of them, or leave it out.")
    if sql:
        _show_script(context, output, migration_script(repository, options, catalog=catalog))
        return
    report = plan_migration(repository, options, catalog=catalog)
    if plan:
        answer(context, output, report.to_dict(), lambda: _show_plan(report))
        if report.work or report.repairs:
            raise typer.Exit(4)
        return
    if report.work or report.repairs:
        for line in _summary(report):
            tell(line)
        confirmed(f"Migrate {repository.name}?", yes=yes)
    with progress(context) as shown:
        done = apply_migration(repository, options, catalog=catalog, progress=shown)
    answer(context, output, done.to_dict(), lambda: _show_done(done))


def _summary(report: MigrationReport) -> list[str]:
    lines = [f"{report.registry}: {count(len(report.work), 'step')}"]
    if report.repairs:
        kinds = sorted({str(d.drift) for d in report.repairs})
        lines.append(f"  first, known drift is repaired: {', '.join(kinds)}")
    lines.extend(f"  {item.step.name}: {_summary_of(item.step)}" for item in report.work)
    lines.extend(f"  note: {warning}" for warning in report.warnings)
    return lines


def _summary_of(step: PlannedStep) -> str:
    """Return what a step does; a step down undoes what its revision says."""
    return step.summary if step.direction.value == "up" else f"Undo: {step.summary}"


def _show_plan(report: MigrationReport) -> None:
    if not report.work and not report.repairs:
        say(f"{report.registry} is there already: nothing to do.")
        return
    for line in _summary(report):
        say(line)
    for item in report.work:
        say("")
        say(f"{item.step.name}  (revision {item.step.revision}, {item.step.direction.value})")
        say(f"  {_summary_of(item.step)}.")
        if item.step.loses:
            say(f"  loses: {item.step.loses}")
        if not item.step.reversible:
            say("  there is no way back over this step")
        if item.step.closed:
            say(f"  the repository must be closed: {item.step.closed}")
        if item.online:
            say("  can run online, while others read and write: --online")
        elif item.obstacles:
            say(f"  cannot run online: {', and '.join(item.obstacles)}")
        if item.step.options:
            say(f"  options: {', '.join(item.step.options)}")
        many = [t for t in item.tables if t.action != "alter"]
        altered = len(item.tables) - len(many)
        if many:
            show_table(
                ("table", "action", "rows (about)", "lock"),
                [(t.table, t.action, f"{t.rows:,}" if t.rows is not None else None, t.lock) for t in many],
            )
        if altered:
            say(f"  {count(altered, 'table')} {'changes' if altered == 1 else 'change'} in the definition only")
        say(f"  after it, can be read by {item.readers}; written by {item.writers}")


def _show_script(context: typer.Context, output: Format | None, script: MigrationScript) -> None:
    data = {
        "registry": script.registry,
        "dialect": script.dialect,
        "steps": [{"name": n, "statements": list(s)} for n, s in script.parts],
        "script": script.text,
    }
    answer(context, output, data, lambda: say(script.text.rstrip("\n")))


def _show_online(result: OnlineReport) -> None:
    for step, exchange_s in zip(result.steps, result.exchange_s, strict=True):
        say(f"{step}: done, others were kept out for {exchange_s:.2f} s.")
    for warning in result.warnings:
        say(f"Note: {warning}.")
    if result.aborted is not None:
        say(f"{result.registry}: what was built for {result.aborted} is taken away.")
        if result.stays is not None:
            say(f"{result.stays}.")
    elif result.held is not None:
        say(f"{result.held} is ready for its exchange: 'registrytool migrate {result.registry} --resume' finishes.")
    elif not result.steps:
        say(f"{result.registry} is there already: nothing to do.")
    else:
        say(f"{result.registry}: migrated online and verified in {result.elapsed_s:.1f} s.")


def _show_done(done: MigrationReport) -> None:
    if done.elapsed_s is None:
        say(f"{done.registry} is there already: nothing to do.")
        for warning in done.warnings:
            say(f"Note: {warning}.")
        return
    if done.repairs:
        say(f"Repaired known drift: {', '.join(sorted({str(d.drift) for d in done.repairs}))}.")
    show_table(
        ("step", "time"),
        [(i.step.name, f"{s:.1f} s") for i, s in zip(done.work, done.step_s, strict=True)],
    ) if done.work else None
    if done.backup:
        say(f"Backup: {done.backup}")
    for warning in done.warnings:
        say(f"Note: {warning}.")
    say(f"{done.registry}: migrated and verified in {done.elapsed_s:.1f} s.")
