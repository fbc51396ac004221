"""``registrytool create``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import ContentFolder, Namespace, OutputFormat, UniverseFile
from ._output import answer, say, tell

if TYPE_CHECKING:
    from registrytool.create import Created


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("create")(create)


def create(
    context: typer.Context,
    repo: Annotated[Path, typer.Argument(metavar="REPO", help="Folder of the new repository.", show_default=False)],
    db: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--db", metavar="URL", help="URL of the database; by default an SQLite file in the repository."),
    ] = None,
    namespace: Namespace = None,
    at: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--at",
            metavar="TARGET",
            help="Butler release (w_2023_32, 26.0) or component=version instead of the newest; can be repeated.",
        ),
    ] = None,
    universe: UniverseFile = None,
    universe_docs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--universe-docs",
            metavar="FILE",
            help="Take the documentation strings of the universe from this file, such as the one of your client.",
        ),
    ] = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Create a repository with an empty registry."""
    from registrytool.catalog import Catalog
    from registrytool.create import CreateOptions, create_repository

    options = CreateOptions(db, namespace, tuple(at or ()), universe, universe_docs)
    created = create_repository(repo, options, catalog=Catalog.find(content))
    for warning in created.warnings:
        tell(f"Warning: {warning}")
    answer(context, output, created.to_dict(), lambda: _show(created))


def _show(created: Created) -> None:
    say(f"Created {created.repository} with {created.tables} tables in {created.url}")
    if created.namespace:
        say(f"Namespace {created.namespace}")
    for version in created.state.components.values():
        say(f"  {version}")
