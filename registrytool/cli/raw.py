"""``registrytool raw``: raw files."""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._output import count, say, tell
from ._registry import Registry, changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.instruments.ingest import IngestReport
    from registrytool.instruments.observation import BadFile
    from registrytool.instruments.visits import VisitReport

app = typer.Typer(no_args_is_help=True, help="Ingest raw files.")


class Transfer(enum.StrEnum):
    """How files get to their place."""

    AUTO = "auto"
    COPY = "copy"
    MOVE = "move"
    LINK = "link"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    RELSYMLINK = "relsymlink"
    DIRECT = "direct"
    IN_PLACE = "in-place"


class Existing(enum.StrEnum):
    """What to do with files that are ingested already."""

    FAIL = "fail"
    SKIP = "skip"
    UPDATE = "update"


TransferOption = Annotated[
    Transfer,
    typer.Option("--transfer", help="How files get to their place; auto: in place if they are there, else link."),
]
InstrumentOption = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option(
        "--instrument", metavar="NAME|FILE", help="Definition of an instrument.  [default: by the name in the headers]"
    ),
]


@changes(app)
def ingest(
    registry: Registry,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...", help="FITS files, folders, and _index.json files; also URIs.", show_default=False
        ),
    ],
    instrument: InstrumentOption = None,
    run: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--run", metavar="NAME", help="Run for the datasets.  [default: that of the definition]"),
    ] = None,
    transfer: TransferOption = Transfer.AUTO,
    pattern: Annotated[
        str, typer.Option("--pattern", metavar="REGEX", help="Names of the files that are taken from folders.")
    ] = r".*\.fits?(\.fz|\.gz)?",
    existing: Annotated[Existing, typer.Option("--existing", help="What to do with files that are ingested.")] = (
        Existing.FAIL
    ),
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first file that is wrong.")] = False,
    processes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--processes", "-j", metavar="N", min=1, help="Processes that read headers.  [default: all]"),
    ] = None,
    visits: Annotated[bool, typer.Option("--define-visits", help="Define the visits of the exposures too.")] = False,
) -> None:
    """Ingest raw files: exposure records, datasets, and files in the datastore; exit code 4 if some are left out.

    A file that is wrong is reported, and does not stop the rest.  The same command goes on where a run was stopped,
    with --existing skip.
    """
    from registrytool.instruments.ingest import IngestOptions, ingest_raws
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.placement import Transfer as Way
    from registrytool.instruments.sources import find_files
    from registrytool.instruments.visits import VisitOptions, define_visits

    definitions = tuple(load_definition(name) for name in instrument or ())
    options = IngestOptions(definitions, run, Way(transfer.value), existing.value, fail_fast, processes)
    act = partial(ingest_raws, registry.repository, find_files(files, pattern), options, catalog=registry.catalog)
    report = registry.carry_out(act, shows_progress=True)
    done: list[VisitReport] = []
    if visits and not registry.dry_run:
        for name in dict.fromkeys(i for i, _ in report.all_exposures):
            own = next((d for d in definitions if d.name == name), None) or load_definition(name)
            chosen = VisitOptions(exposures=tuple(e for i, e in report.all_exposures if i == name))
            define = partial(define_visits, registry.repository, own, chosen, catalog=registry.catalog)
            done.append(registry.carry_out(define, shows_progress=True))
    data: dict[str, Any] = report.to_dict()
    if visits:
        data["visits"] = [v.to_dict() for v in done]
    registry.answer(data, lambda: _show(report, done, dry_run=registry.dry_run))
    if report.bad:
        raise typer.Exit(4)


def _show(report: IngestReport, visits: Sequence[VisitReport], *, dry_run: bool) -> None:
    show_bad(report.bad)
    if report.recovered:
        tell(f"Removed {count(report.recovered, 'file')} of a run that was killed.")
    say(
        f"{'Nothing was changed. It would be: ' if dry_run else ''}{count(report.datasets, 'dataset')} and "
        f"{count(report.exposures, 'exposure')} new, {count(report.updated, 'exposure')} changed, "
        f"{count(report.skipped, 'dataset')} skipped, {count(len(report.bad), 'file')} left out."
    )
    for one in visits:
        say(f"{one.instrument}: {count(one.visits, 'visit')} defined, {one.existing} there already.")


def show_bad(bad: Sequence[BadFile]) -> None:
    """Tell which files were left out, and why."""
    for one in bad:
        tell(f"{one.file}: {one.reason}")
