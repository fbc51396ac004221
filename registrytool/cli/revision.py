"""``registrytool revision new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import ContentFolder, OutputFormat
from ._output import answer, say

if TYPE_CHECKING:
    from registrytool.scaffold.request import Scaffold

app = typer.Typer(no_args_is_help=True, help="Write new versions and their migration steps.")


@app.callback()
def _group() -> None:
    """Write new versions and their migration steps."""


@app.command("new")
def new(
    context: typer.Context,
    component: Annotated[
        str, typer.Argument(metavar="COMPONENT", help="Component, such as dimensions-config.", show_default=False)
    ],
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The new version, such as 9 or 2.1.0.", show_default=False)
    ],
    implementation: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option("--implementation", metavar="I", help="Class, or namespace of a universe."),
    ] = None,
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", metavar="VERSION", help="Version from which the step begins.  [default: the newest]"),
    ] = None,
    universe: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--universe", metavar="FILE", help="YAML file with the new universe, for dimensions-config."),
    ] = None,
    message: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--message", "-m", metavar="TEXT", help='What changes, such as "Say how windy it was".'),
    ] = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Write the schema file, the migration step and the test data of a new version.

    What cannot be derived from comparing the two versions is marked, and 'registrytool check' fails until it is filled
    in.  For managers, finish the schema file first and run the same command again: it then writes the step.
    """
    from registrytool.config import Content
    from registrytool.scaffold.request import new_revision

    found = Content.find(content)
    made = new_revision(
        found, component, version, implementation=implementation, start=start, universe=universe, message=message
    )
    answer(context, output, made.to_dict(), lambda: _show(made, found.root))


def _show(made: Scaffold, root: Path) -> None:
    begin = f" from {made.start.version}" if made.start is not None else ""
    say(f"{made.version}{begin}, revision {made.revision}:")
    for path in made.files:
        say(f"  wrote {path.relative_to(root)}")
    for title, lines in (
        ("What differs:", made.operations),
        ("To be filled in before 'registrytool check' is clean:", made.unfinished),
    ):
        if lines:
            say(title)
            for line in lines:
                say(f"  - {line}")
