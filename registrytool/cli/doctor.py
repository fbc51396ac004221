"""``registrytool doctor``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from ._options import Db, Namespace, OutputFormat, Repo
from ._output import answer, count, say


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
    from registrytool.instruments.checks import check_instruments
    from registrytool.instruments.definition import load_definition
    from registrytool.maintain.session import reading
    from registrytool.repository import open_repository

    definitions = None if definition is None else [load_definition(name) for name in definition]
    repository = open_repository(repo, db=db, namespace=namespace)
    with reading(repository) as session:
        found = check_instruments(session, definitions)

    def table() -> None:
        say(f"{repository.name}: {count(len(found), 'finding') if found else 'nothing odd'}")
        for finding in found:
            say(f"  {finding.check}: {finding.message} {finding.hint}".rstrip())

    answer(context, output, {"findings": [f.to_dict() for f in found]}, table)
    if found:
        raise typer.Exit(4)
