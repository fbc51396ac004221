"""``registrytool waiver``: approvals of the change-control board."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import ContentFolder, OutputFormat
from ._output import answer, count, is_interactive, progress, say, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.check.waivers import Waiver

app = typer.Typer(no_args_is_help=True, help="Record, list and remove approvals of what the rules find.")

_Text = Optional[str]  # noqa: UP045 (typer reads the annotation at run time)


@app.command("add")
def add(
    context: typer.Context,
    rule: Annotated[_Text, typer.Option("--rule", metavar="CODE", help="Code or name of the rule.")] = None,
    about: Annotated[_Text, typer.Option("--object", metavar="TEXT", help="What it is about.")] = None,
    difference: Annotated[_Text, typer.Option("--difference", metavar="TEXT", help="Exactly what is covered.")] = None,
    approval: Annotated[_Text, typer.Option("--approval", metavar="REF", help="Approval, such as RFC-123.")] = None,
    by: Annotated[_Text, typer.Option("--by", metavar="WHO", help="Who approved it.")] = None,
    when: Annotated[
        _Text, typer.Option("--when", metavar="DATE", help="Day of the approval.  [default: today]")
    ] = None,
    until: Annotated[_Text, typer.Option("--until", metavar="DATE", help="Last day on which it holds.")] = None,
    why: Annotated[_Text, typer.Option("--why", metavar="TEXT", help="The reason.")] = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Record that the change-control board has approved a difference; asks for what is not given.

    Rule, object and difference are those of a finding, as 'registrytool --format json check' prints them.
    """
    from registrytool.check.rules import all_rules
    from registrytool.check.waivers import Waiver, add_waiver, today
    from registrytool.config import Content
    from registrytool.errors import ConfigurationError

    found = Content.find(content)
    if rule is None and about is None:
        rule = _ask("Rule, such as RT101", "--rule")
    if rule is not None and rule not in {word for name, r in all_rules() for word in (name, r.CODE)}:
        message = f"There is no rule {rule!r}."
        raise ConfigurationError(message, hint="'registrytool check --rules' lists them.")
    waiver = Waiver(
        rule,
        about,
        difference or _ask("Exact difference", "--difference"),
        approval or _ask("Approval, such as RFC-123", "--approval"),
        by or _ask("Approved by", "--by"),
        today() if when is None else _date(when, "--when"),
        _date(until or _ask("Until (YYYY-MM-DD)", "--until"), "--until"),
        why or _ask("Why", "--why"),
    )
    path = add_waiver(found, waiver)
    answer(
        context,
        output,
        {"added": waiver.to_dict(), "path": str(path)},
        lambda: say(f"Added to {path}: {waiver}, until {waiver.until}."),
    )


def _ask(what: str, option: str) -> str:
    from registrytool.errors import ConfigurationError

    if not is_interactive():
        message = f"A waiver needs {option}."
        raise ConfigurationError(message)
    return str(typer.prompt(what, err=True)).strip()


def _date(text: str, option: str) -> datetime.date:
    from registrytool.errors import ConfigurationError

    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        message = f"{option} {text} is not a day such as 2026-12-31."
        raise ConfigurationError(message) from error


@app.command("list")
def list_(context: typer.Context, content: ContentFolder = None, output: OutputFormat = None) -> None:
    """List all waivers."""
    from registrytool.check.waivers import WAIVERS, read_waivers
    from registrytool.config import Content
    from registrytool.errors import ContentError

    found = Content.find(content)
    read = read_waivers(found)
    if read.faults:
        line, reason = read.faults[0]
        message = f"{found.schemas / WAIVERS}, line {line}: {reason}"
        raise ContentError(message)
    answer(context, output, {"waivers": [w.to_dict() for w in read.waivers]}, lambda: _show(read.waivers))


def _show(waivers: Sequence[Waiver]) -> None:
    if not waivers:
        say("There are no waivers.")
        return
    show_table(
        ("rule", "object", "difference", "approval", "by", "when", "until", "why", ""),
        [(w.rule, w.object, w.difference, w.approval, w.by, w.when, w.until, w.why, _condition(w)) for w in waivers],
    )


def _condition(waiver: Waiver) -> str:
    if waiver.unexplained:
        return f"does not say {', '.join(waiver.unexplained)}"
    return "expired" if waiver.expired else "not yet" if waiver.early else "in force"


@app.command("prune")
def prune(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Run no step; waivers for what steps do are kept unless expired.")
    ] = False,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Remove waivers that have expired or cover nothing any more."""
    from registrytool.check.run import idle_waivers
    from registrytool.check.waivers import remove_waivers
    from registrytool.config import Content

    found = Content.find(content)
    with progress(context) as shown:
        gone = idle_waivers(found, databases=() if static else ("sqlite", "postgresql"), progress=shown)
    if not dry_run:
        remove_waivers(found, gone)

    def table() -> None:
        would = "would be removed" if dry_run else "removed"
        for waiver in gone:
            say(f"{would}: {waiver}, {'expired on ' + str(waiver.until) if waiver.expired else 'covers nothing'}")
        say(f"{count(len(gone), 'waiver')} {would}.")

    answer(context, output, {"removed": [w.to_dict() for w in gone], "dry_run": dry_run}, table)
