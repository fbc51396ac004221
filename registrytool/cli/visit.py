"""``registrytool visit``: visits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._output import count, say, tell
from ._registry import Registry, changes

if TYPE_CHECKING:
    from registrytool.instruments.visits import VisitReport
    from registrytool.maintain.session import Session

app = typer.Typer(no_args_is_help=True, help="Define visits.")


@changes(app)
def define(
    registry: Registry,
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
) -> None:
    """Define the visits that exposures make, with their regions on the sky.

    What is defined already stays: run it whenever exposures have come.
    """
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.visits import VisitOptions, define_visits
    from registrytool.maintain.record_query import selection

    definition = load_definition(instrument)

    def chosen(session: Session) -> Any:
        return selection(session, "exposure", (), where)

    options = VisitOptions(tuple(systems or ()), None, chosen, update, regions)
    act = partial(define_visits, registry.repository, definition, options, catalog=registry.catalog)
    report = registry.carry_out(act, shows_progress=True)
    registry.answer(report.to_dict(), lambda: _show(report, dry_run=registry.dry_run))


def _show(report: VisitReport, *, dry_run: bool) -> None:
    for note in report.conflicts:
        tell(note)
    say(
        f"{'Nothing was changed. It would be: ' if dry_run else ''}{count(report.visits, 'visit')} new, "
        f"{report.updated} changed, {report.existing} there already; {count(report.regions, 'region')} of detectors; "
        f"{count(report.not_on_sky, 'exposure')} not on the sky."
    )
