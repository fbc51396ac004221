"""``registrytool obscore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._datasets import DryRun
from ._options import BackupTo, ContentFolder, Db, Namespace, NoBackup, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, hide_passwords, progress, say, show_table

if TYPE_CHECKING:
    from registrytool.maintain.obscore_table import ObsCoreCheck
    from registrytool.models import MigrationReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make and check the live ObsCore table.")


def _open(repo: str, db: str | None, namespace: str | None, content: Any) -> tuple[Any, Any]:
    from registrytool.catalog import Catalog
    from registrytool.config import Content
    from registrytool.repository import open_repository

    return open_repository(repo, db=db, namespace=namespace), Catalog(Content.find(content))


@app.command()
def enable(
    context: typer.Context,
    repo: Repo,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file with the configuration of the table.")],
    backup: BackupTo = None,
    no_backup: NoBackup = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Make the ObsCore table; Butlers add a row for each dataset that they store from then on.

    The same as 'registrytool migrate --to obscore=0.0.1'; butler.yaml names the manager afterwards.
    """
    from registrytool.maintain.obscore_table import enable_obscore

    repository, catalog = _open(repo, db, namespace, content)
    report = enable_obscore(repository, config, catalog=catalog, dry_run=True)
    if not dry_run:
        confirmed(f"Make an ObsCore table in {hide_passwords(repo)}?", yes=yes)
        with progress(context) as shown:
            report = enable_obscore(
                repository, config, catalog=catalog, backup=not no_backup, backup_to=backup, progress=shown
            )
    answer(context, output, report.to_dict(), lambda: _enabled(report))


def _enabled(report: MigrationReport) -> None:
    for work in report.work:
        for table in work.tables:
            say(f"The table {table.table} {'was' if report.applied else 'would be'} made ({table.action}).")
    if report.backup:
        say(f"The backup is {report.backup}.")
    for warning in report.warnings:
        say(f"Note: {warning.rstrip('.')}.")


@app.command()
def check(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Compare the rows of the ObsCore table with the datasets that its configuration asks for.

    Exits with 4 if rows are missing, or there are too many.
    """
    from registrytool.maintain.obscore_table import check_obscore
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = check_obscore(session)
    answer(context, output, {**found.to_dict(), "clean": found.clean}, lambda: _checked(found))
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
