"""``registrytool obscore``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import BackupTo, NoBackup
from ._output import count, say, show_table
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from registrytool.maintain.obscore_table import ObsCoreCheck
    from registrytool.models import MigrationReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, check and fill the live ObsCore table.")


@changes(app, asks=True)
def enable(
    registry: Registry,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file with the configuration of the table.")],
    backup: BackupTo = None,
    no_backup: NoBackup = False,
) -> None:
    """Make the ObsCore table; Butlers add a row for each dataset that they store from then on.

    The same as 'registrytool migrate --to obscore=0.0.1'; butler.yaml names the manager afterwards.
    """
    from registrytool.maintain.obscore_table import enable_obscore

    act = partial(enable_obscore, registry.repository, config, backup=not no_backup, backup_to=backup)
    report = registry.carry_out(
        partial(act, catalog=registry.catalog),
        lambda _: f"Make an ObsCore table in {registry.repository.name}?",
        shows_progress=True,
    )
    registry.answer(report.to_dict(), lambda: _enabled(report))


@changes(app, asks=True)
def configure(
    registry: Registry,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file with the new configuration.")],
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Let columns go that have values.")] = False,
    backup: BackupTo = None,
    no_backup: NoBackup = False,
) -> None:
    """Give the ObsCore table another configuration: columns come and go, rows stay.

    The same as 'registrytool migrate --to obscore-config=NAMESPACE/VERSION'. New columns get the constant that the
    configuration has for all datasets, or NULL.
    """
    from registrytool.maintain.obscore_table import configure_obscore

    act = partial(
        configure_obscore,
        registry.repository,
        config,
        accept_loss=accept_loss,
        backup=not no_backup,
        backup_to=backup,
    )
    report = registry.carry_out(
        partial(act, catalog=registry.catalog),
        lambda _: f"Configure the ObsCore table of {registry.repository.name}?",
        shows_progress=True,
    )
    registry.answer(report.to_dict(), lambda: _enabled(report))


def _enabled(report: MigrationReport) -> None:
    for work in report.work:
        for table in work.tables:
            done = {"create": "made", "drop": "dropped"}.get(table.action, "changed")
            say(f"The table {table.table} {'was' if report.applied else 'would be'} {done} ({table.action}).")
    if report.backup:
        say(f"The backup is {report.backup}.")
    for warning in report.warnings:
        say(f"Note: {warning.rstrip('.')}.")


@reads(app)
def check(
    registry: Registry,
) -> None:
    """Compare the rows of the ObsCore table with the datasets that its configuration asks for.

    Exits with 4 if rows are missing, or there are too many.
    """
    from registrytool.maintain.obscore_table import check_obscore

    with registry.reading() as session:
        found = check_obscore(session)
    registry.answer({**found.to_dict(), "clean": found.clean}, lambda: _checked(found))
    if not found.clean:
        raise typer.Exit(4)


def _checked(found: ObsCoreCheck) -> None:
    rows = [("without a row", name, number) for name, number in found.missing.items()]
    rows += [("with a row too much", name, number) for name, number in found.surplus.items()]
    if rows:
        show_table(("datasets", "type", "rows"), rows)
    for name in found.unknown_types:
        say(f"Note: the configuration names the dataset type {name}, which there is not.")
    for name in found.unknown_collections:
        say(f"Note: the configuration names collections {name}, which there are not.")
    say(f"{count(found.rows, 'row')} in {found.table}; {count(found.wanted, 'dataset')} should have one.")


@changes(app)
def rebuild(
    registry: Registry,
    missing: Annotated[bool, typer.Option("--missing", help="Only add rows that are missing.")] = False,
) -> None:
    """Make the rows of the ObsCore table what a Butler would write for the datasets that there are.

    Works in pieces, each of which is committed. It can be stopped, and run again; with --missing it goes on at once.
    """
    from registrytool.maintain.obscore_table import rebuild_obscore

    act = partial(rebuild_obscore, registry.repository, missing_only=missing, catalog=registry.catalog)
    report = registry.carry_out(act, shows_progress=True)

    def table() -> None:
        would = "would be " if registry.dry_run else ""
        rows = f"{count(report.inserted, 'row')} {would}added to {report.table}"
        say(f"{rows}, {report.changed} changed, {report.removed} removed, {report.kept} kept.")

    registry.answer(report.to_dict(), table)
