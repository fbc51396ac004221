"""``registrytool photodiode``: readings of photodiodes on test stands."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._output import count, say
from ._registry import Registry, changes
from .raw import Transfer, show_bad

if TYPE_CHECKING:
    from registrytool.instruments.photodiode import PhotodiodeReport

app = typer.Typer(no_args_is_help=True, help="Ingest readings of photodiodes.")


@changes(app)
def ingest(
    registry: Registry,
    instrument: Annotated[
        str, typer.Argument(metavar="INSTRUMENT", help="Name of the instrument.", show_default=False)
    ],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Text or FITS files, and folders.", show_default=False)
    ],
    run: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option("--run", metavar="NAME", help="Run for the datasets.  [default: INSTRUMENT/calib/photodiode]"),
    ] = None,
    transfer: Annotated[
        Transfer, typer.Option("--transfer", help="How FITS files get to their place; text is written anew.")
    ] = Transfer.COPY,
) -> None:
    """Ingest readings of photodiodes for the exposures to which they belong; exit code 4 if some belong to none.

    A file belongs to the exposure of which the observation (MC_C_20250101_000012), or the day and number (20250101_12),
    stands in its name or in its FITS header.  Exposures that have a reading are passed over.
    """
    from registrytool.instruments.photodiode import PATTERN, ingest_photodiode
    from registrytool.instruments.placement import Transfer as Way
    from registrytool.instruments.sources import find_files

    found = find_files(files, PATTERN)
    act = partial(ingest_photodiode, registry.repository, instrument, found, run=run, transfer=Way(transfer.value))
    report = registry.carry_out(partial(act, catalog=registry.catalog))
    registry.answer(report.to_dict(), lambda: _show(report, dry_run=registry.dry_run))
    if report.unmatched:
        raise typer.Exit(4)


def _show(report: PhotodiodeReport, *, dry_run: bool) -> None:
    show_bad(report.unmatched)
    say(
        f"{'Nothing was changed. It would be: ' if dry_run else ''}{count(report.datasets, 'dataset')} new, "
        f"{report.skipped} skipped, {count(len(report.unmatched), 'file')} left out."
    )
