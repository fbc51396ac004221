"""``registrytool attributes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import DryRun
from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo
from ._output import answer, hide_passwords, say, show_table

if TYPE_CHECKING:
    from registrytool.maintain.attributes import AttributeReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show and set what a registry says about itself.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the attribute.", show_default=False)]


def _open(repo: str, db: str | None, namespace: str | None, content: Any) -> tuple[Any, Any]:
    from registrytool.catalog import Catalog
    from registrytool.config import Content
    from registrytool.repository import open_repository

    return open_repository(repo, db=db, namespace=namespace), Catalog(Content.find(content))


@app.command("list")
def list_(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """List the attributes; of long values, the table shows the beginning."""
    from registrytool.maintain.attributes import list_attributes
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = list_attributes(session)
    data = {"registry": hide_passwords(repo), "attributes": found}
    answer(context, output, data, lambda: show_table(("name", "value"), [(n, _short(v)) for n, v in found.items()]))


def _short(value: str) -> str:
    return value if len(value) <= 100 else f"{value[:97]}..."


@app.command()
def get(
    context: typer.Context,
    repo: Repo,
    name: Name,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show the whole value of an attribute."""
    from registrytool.maintain.attributes import get_attribute
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        value = get_attribute(session, name)
    data = {"registry": hide_passwords(repo), "name": name, "value": value}
    answer(context, output, data, lambda: say(value))


@app.command("set")
def set_(
    context: typer.Context,
    repo: Repo,
    name: Name,
    value: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Argument(metavar="VALUE", help="Its new value.", show_default=False),
    ] = None,
    file: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Read the value from a file.")] = None,  # noqa: UP045
    remove: Annotated[bool, typer.Option("--remove", help="Take the attribute away.")] = False,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
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
    repository, catalog = _open(repo, db, namespace, content)
    report = set_attribute(repository, name, value, catalog=catalog, dry_run=dry_run)
    data = {**report.to_dict(), "changed": report.changed, "dry_run": dry_run}
    answer(context, output, data, lambda: _set(report, dry_run=dry_run))


def _set(report: AttributeReport, *, dry_run: bool) -> None:
    if not report.changed:
        say(f"The attribute {report.name!r} has this value already.")
        return
    verb = "removed" if report.after is None else "set"
    say(f"The attribute {report.name!r} {'would be' if dry_run else 'was'} {verb}.")
    if report.before is not None:
        say(f"Before, its value was {_short(report.before)}")
