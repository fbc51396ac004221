"""``registrytool doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import Db, Namespace, OutputFormat, Repo
from ._output import answer, count, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.instruments.checks import InstrumentFinding


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    repo: Repo,
    definition: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option(
            "--definition",
            metavar="INSTRUMENT",
            help="Compare with this definition, instead of those that come with registrytool; can be repeated.",
        ),
    ] = None,
    db: Db = None,
    namespace: Namespace = None,
    output: OutputFormat = None,
) -> None:
    """Look for what is odd about the instruments of a repository; exits with 4 if anything is."""
    from registrytool.instruments.checks import check_repository
    from registrytool.instruments.library import load_definition
    from registrytool.repository import open_repository

    definitions = None if definition is None else [load_definition(name) for name in definition]
    repository = open_repository(repo, db=db, namespace=namespace)
    found = check_repository(repository, definitions)

    def table() -> None:
        say(f"{repository.name}: {count(len(found), 'finding') if found else 'nothing odd'}")
        show_findings(found)

    answer(context, output, {"findings": [f.to_dict() for f in found]}, table)
    if found:
        raise typer.Exit(4)


def show_findings(found: Sequence[InstrumentFinding]) -> None:
    """Print findings, a line each."""
    for finding in found:
        say(f"  {finding.severity}, {finding.check}: {finding.message} {finding.hint}".rstrip())
