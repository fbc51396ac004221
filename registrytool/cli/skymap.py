"""``registrytool skymap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._options import Db, DryRun, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, progress, say, show_table, tell

app = typer.Typer(no_args_is_help=True, help="Register, list and remove sky maps.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the sky map.", show_default=False)]


@app.command("register")
def register(
    context: typer.Context,
    repo: Repo,
    skymap: Annotated[
        str,
        typer.Argument(
            metavar="SKYMAP",
            help="Name of a sky map that comes with registrytool, or file with a definition.",
            show_default=False,
        ),
    ],
    db: Db = None,
    namespace: Namespace = None,
    export: Annotated[bool, typer.Option("--export", help="The file is an export of the Butler.")] = False,
    dry_run: DryRun = False,
    output: OutputFormat = None,
) -> None:
    """Register a sky map with its tracts and patches."""
    from registrytool.instruments.skymap import load_skymap, register_export, register_skymap
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    if export:
        plans = register_export(repository, Path(skymap), dry_run=dry_run)
    else:
        definition = load_skymap(skymap)
        with progress(context) as shown:
            plans = [register_skymap(repository, definition, dry_run=dry_run, progress=shown)]

    def table() -> None:
        for plan in plans:
            done = "is there already" if plan.exists else "would be registered" if dry_run else "registered"
            say(f"{plan.skymap} {done}: {plan.tracts} tracts, {plan.patches} patches, hash {plan.hash}")
        if dry_run:
            tell("Nothing was changed (--dry-run).")
        elif not all(plan.exists for plan in plans):
            tell("Tasks also read a dataset skyMap: its type and run skymaps are there, and lsst.skymap can put it in.")

    answer(context, output, {"dry_run": dry_run, "skymaps": [p.to_dict() for p in plans]}, table)


@app.command("list")
def list_(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    output: OutputFormat = None,
) -> None:
    """List the sky maps of a repository."""
    from registrytool.instruments.skymap import list_skymaps
    from registrytool.maintain.session import reading
    from registrytool.repository import open_repository

    with reading(open_repository(repo, db=db, namespace=namespace)) as session:
        found = list_skymaps(session)

    def table() -> None:
        columns = ("sky map", "tracts", "patches", "hash")
        show_table(columns, [(s["name"], s["tracts"], s["patches"], s["hash"]) for s in found])

    answer(context, output, {"skymaps": found}, table)


@app.command("remove")
def remove(
    context: typer.Context,
    repo: Repo,
    name: _Name,
    db: Db = None,
    namespace: Namespace = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Remove other records that refer to it too, but no datasets.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputFormat = None,
) -> None:
    """Remove a sky map; --dry-run shows what hangs on it."""
    from registrytool.instruments.skymap import remove_skymap
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    if not dry_run:
        confirmed(f"Remove the sky map {name} from {repository.name}?", yes=yes)
    plan = remove_skymap(repository, name, cascade=cascade, dry_run=dry_run)

    def table() -> None:
        say(f"{'Would remove' if dry_run else 'Removed'} {plan.skymap}")
        for element, number in {**plan.registered, **plan.dependants}.items():
            say(f"  {number} of {element}")
        if dry_run:
            tell("Nothing was changed (--dry-run).")

    answer(context, output, {"dry_run": dry_run, **plan.to_dict()}, table)
