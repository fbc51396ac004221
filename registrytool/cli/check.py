"""``registrytool check``: the gate that the CI of a project with a schema runs."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._options import ContentFolder, Format, OutputFormat
from ._output import answer, count, progress, say, settings, show_table, tell, write_file

if TYPE_CHECKING:
    from registrytool.check.client import ClientReport
    from registrytool.check.model import Report
    from registrytool.config import Content


class ReportKind(enum.StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"


_SUFFIXES = {".sarif": ReportKind.SARIF, ".xml": ReportKind.JUNIT, ".json": ReportKind.JSON}
_Codes = Optional[list[str]]  # noqa: UP045 (typer reads the annotation at run time)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    context: typer.Context,
    content: ContentFolder = None,
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--against", metavar="REV", help="Git revision: judge what changed since, and the merge with it."),
    ] = None,
    client: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--client", metavar="PATH", help="Python or program of a Butler client: compare what it makes."),
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="If nothing is found, add all new files to the list of released ones.")
    ] = False,
    unreleased: Annotated[
        bool, typer.Option("--unreleased", help="Of the steps, run only those that are not released yet.")
    ] = False,
    static: Annotated[bool, typer.Option("--static", help="Only read the files; run no step.")] = False,
    require_postgresql: Annotated[
        bool, typer.Option("--require-postgresql", help="It is a finding that PostgreSQL cannot be had.")
    ] = False,
    postgresql: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--postgresql",
            metavar="URL",
            envvar="REGISTRYTOOL_TEST_POSTGRES_URL",
            help="PostgreSQL server in which databases may be made.",
            show_envvar=True,
        ),
    ] = None,
    select: Annotated[_Codes, typer.Option("--select", metavar="CODE", help="Only these rules, such as RT1.")] = None,
    ignore: Annotated[_Codes, typer.Option("--ignore", metavar="CODE", help="All but these rules.")] = None,
    report: Annotated[
        Optional[ReportKind],  # noqa: UP045
        typer.Option("--report", help="How the report is written.  [default: as --format says]"),
    ] = None,
    target: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--output",
            metavar="FILE",
            help="File for the report, beside a table. Annotations of GitHub are printed; "
            "the file is then what its name says (.sarif, .xml, .json).",
        ),
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and do nothing else.")] = False,
    output: OutputFormat = None,
) -> None:
    """Check that every change of a schema has a tested migration, or an approved waiver; exits with 4 if not."""
    from registrytool.config import Content

    if rules:
        _list_rules(context, output)
        return
    kind = report or ReportKind((output or settings(context).output).value)
    _refuse_contradictions(against, client, release=release, static=static, kind=kind, target=target)
    found = Content.find(content)
    made: ClientReport | None = None
    with progress(context) as shown:
        if client is not None:
            from registrytool.check.run import check_client_against

            result, made = check_client_against(
                found, client, postgresql_url=postgresql, require_postgresql=require_postgresql, progress=shown
            )
        else:
            result = _check(
                found,
                against,
                postgresql_url=postgresql,
                require_postgresql=require_postgresql,
                databases=() if static else ("sqlite", "postgresql"),
                unreleased=unreleased,
                select=select,
                ignore=ignore,
                progress=shown,
            )
    added: list[str] = []
    if release and result.clean:
        from registrytool.check.lock import release as write_lock

        added = write_lock(found)
    data = result.to_dict() | ({"client": made.to_dict()} if made else {}) | ({"released": added} if release else {})
    if target is not None:
        form = _SUFFIXES.get(target.suffix, kind) if kind is ReportKind.GITHUB else kind
        write_file(target, _text(result, data, form) + "\n")
        kind = kind if form is not kind else ReportKind((output or settings(context).output).value)
    if kind in (ReportKind.TABLE, ReportKind.JSON):
        answer(context, Format(kind.value), data, lambda: _show(result, made, added if release else None))
    elif text := _text(result, data, kind):
        say(text)
    if not result.clean:
        raise typer.Exit(4)


def _refuse_contradictions(
    against: str | None,
    client: Path | None,
    *,
    release: bool,
    static: bool,
    kind: ReportKind,
    target: Path | None,
) -> None:
    from registrytool.errors import ConfigurationError

    chosen = [
        name
        for name, value in (("--against", against), ("--client", client), ("--release", release or None))
        if value is not None
    ]
    if len(chosen) > 1:
        message = f"{chosen[0]} and {chosen[1]} cannot be used together."
        raise ConfigurationError(message)
    if release and static:
        message = "Nothing is released without having run its steps."
        raise ConfigurationError(message, hint="Leave --static out.")
    if target is not None and kind is ReportKind.TABLE:
        message = "A file needs a form that is for files."
        raise ConfigurationError(message, hint="Use --report json, sarif, junit or github with --output.")


def _check(found: Content, against: str | None, **options: Any) -> Report:
    if against is not None:
        from registrytool.check.against import check_against

        return check_against(found, against, **options)
    from registrytool.check.run import check_content

    return check_content(found, **options)


def _text(result: Report, data: dict[str, Any], kind: ReportKind) -> str:
    if kind is ReportKind.JSON:
        import json

        from ._output import FORMAT_VERSION

        return json.dumps({"format_version": FORMAT_VERSION, **data}, indent=2, ensure_ascii=False)
    from registrytool.check.reports import render

    return render(result, kind.value)


def _list_rules(context: typer.Context, output: Format | None) -> None:
    from registrytool.check.rules import all_rules

    found = [
        {
            "code": rule.CODE,
            "rule": name,
            "summary": rule.SUMMARY,
            "good_way": rule.GOOD_WAY,
            "documentation": f"docs/reference/rules/{name}.md",
        }
        for name, rule in all_rules()
    ]
    answer(
        context,
        output,
        {"rules": found},
        lambda: show_table(("code", "rule", "what it demands"), [(r["code"], r["rule"], r["summary"]) for r in found]),
    )


def _show(result: Report, made: ClientReport | None, released: list[str] | None) -> None:
    if made is not None:
        _show_client(made)
    if result.findings:
        show_table(
            ("code", "where", "what"),
            [(f.code, f"{f.path}:{f.line}", f.message) for f in result.findings],
        )
        for code, rule, good_way in dict.fromkeys((f.code, f.rule, f.good_way) for f in result.findings):
            say(f"{code} {rule}: {good_way}")
            say(f"    docs/reference/rules/{rule}.md")
        say()
    if result.waivers_in_force:
        covered: dict[Any, int] = {}
        for waived in result.waived:
            covered[waived.waiver] = covered.get(waived.waiver, 0) + 1
        say("Waivers in force:")
        for waiver in result.waivers_in_force:
            until = f"{waiver.approval}, {waiver.by}, until {waiver.until}, covers {covered.get(waiver, 0)}"
            say(f"  {waiver}: {until}. {waiver.why}")
        say()
    for note in result.notes:
        say(f"Note: {note}")
    on = f" on {' and '.join(result.databases)}" if result.databases else ""
    if result.clean:
        say(f"{result.content}: {count(len(result.rules), 'rule')}{on}, nothing found.")
    else:
        say(f"{result.content}: {count(len(result.rules), 'rule')}{on}, {count(len(result.findings), 'finding')}.")
    if released is not None and not result.clean:
        tell("Nothing was released.")
    elif released:
        say(f"Released {count(len(released), 'file')}:")
        for path in released:
            say(f"  {path}")
    elif released is not None:
        say("There was nothing new to release.")


def _show_client(made: ClientReport) -> None:
    say(f"{made.client} ({made.python})")
    show_table(
        ("configuration", "database", "outcome", "what"),
        [(r.configuration, r.dialect, r.outcome, r.message) for r in made.registries],
    )
    for registry in made.registries:
        if not registry.good and (registry.changes or registry.differences):
            say(f"{registry.configuration} on {registry.dialect}:")
            for line in (*registry.changes, *registry.differences):
                say(f"  - {line}")
            say()
