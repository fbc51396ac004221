"""``registrytool attributes``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._output import say, show_table
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from registrytool.maintain.attributes import AttributeReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show and set what a registry says about itself.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the attribute.", show_default=False)]


@reads(app, "list")
def list_(
    registry: Registry,
) -> None:
    """List the attributes; of long values, the table shows the beginning."""
    from registrytool.maintain.attributes import list_attributes

    with registry.reading() as session:
        found = list_attributes(session)
    data = {"attributes": found}
    registry.answer(data, lambda: show_table(("name", "value"), [(n, _short(v)) for n, v in found.items()]))


def _short(value: str) -> str:
    return value if len(value) <= 100 else f"{value[:97]}..."


@reads(app)
def get(
    registry: Registry,
    name: Name,
) -> None:
    """Show the whole value of an attribute."""
    from registrytool.maintain.attributes import get_attribute

    with registry.reading() as session:
        value = get_attribute(session, name)
    data = {"name": name, "value": value}
    registry.answer(data, lambda: say(value))


@changes(app, "set")
def set_(
    registry: Registry,
    name: Name,
    value: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Argument(metavar="VALUE", help="Its new value.", show_default=False),
    ] = None,
    file: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Read the value from a file.")] = None,  # noqa: UP045
    remove: Annotated[bool, typer.Option("--remove", help="Take the attribute away.")] = False,
) -> None:
    """Set an attribute, if what the registry says about itself is true afterwards."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.attributes import set_attribute

    if (value is not None) + (file is not None) + remove != 1:
        message = "One of VALUE, --file and --remove says what becomes of the attribute."
        raise ConfigurationError(message, hint="Name exactly one of them.")
    if file is not None:
        try:
            value = file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file in UTF-8"
            message = f"Cannot read {file}: {reason}."
            raise ConfigurationError(message) from error
    report = registry.carry_out(partial(set_attribute, registry.repository, name, value, catalog=registry.catalog))
    data = {**report.to_dict(), "changed": report.changed}
    registry.answer(data, lambda: _set(report, dry_run=registry.dry_run))


def _set(report: AttributeReport, *, dry_run: bool) -> None:
    if not report.changed:
        say(f"The attribute {report.name!r} has this value already.")
        return
    verb = "removed" if report.after is None else "set"
    say(f"The attribute {report.name!r} {'would be' if dry_run else 'was'} {verb}.")
    if report.before is not None:
        say(f"Before, its value was {_short(report.before)}")
