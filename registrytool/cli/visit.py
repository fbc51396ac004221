"""``registrytool visit``: visits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo
from ._output import answer, count, progress, say, tell

if TYPE_CHECKING:
    from registrytool.instruments.visits import VisitReport
    from registrytool.maintain.session import Session

app = typer.Typer(no_args_is_help=True, help="Define visits.")


@app.command("define")
def define(
    context: typer.Context,
    repo: Repo,
    instrument: Annotated[
        str,
        typer.Argument(metavar="INSTRUMENT", help="Instrument, or file with its definition.", show_default=False),
    ],
    systems: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option(
            "--system",
            metavar="NAME",
            help="one-to-one, by-group-metadata or by-seq-start-end; can be repeated.  [default: as defined]",
        ),
    ] = None,
    where: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--where", metavar="EXPRESSION", help='Exposures, such as "day_obs = 20250101".'),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Change visits that are there and differ.")] = False,
    regions: Annotated[bool, typer.Option(help="Compute regions where the definition has corners.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Define the visits that exposures make, with their regions on the sky.

    What is defined already stays: run it whenever exposures have come.
    """
    from registrytool.catalog import Catalog
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.visits import VisitOptions, define_visits
    from registrytool.maintain.record_query import selection
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    definition = load_definition(instrument)

    def chosen(session: Session) -> Any:
        return selection(session, "exposure", (), where)

    options = VisitOptions(tuple(systems or ()), None, chosen, update, regions, dry_run)
    with progress(context) as events:
        report = define_visits(repository, definition, options, progress=events, catalog=Catalog.find(content))
    answer(context, output, {"repository": repository.name, **report.to_dict()}, lambda: _show(report))


def _show(report: VisitReport) -> None:
    for note in report.conflicts:
        tell(note)
    say(
        f"{'Nothing was changed. It would be: ' if report.dry_run else ''}{count(report.visits, 'visit')} new, "
        f"{report.updated} changed, {report.existing} there already; {count(report.regions, 'region')} of detectors; "
        f"{count(report.not_on_sky, 'exposure')} not on the sky."
    )
