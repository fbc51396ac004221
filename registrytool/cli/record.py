"""``registrytool record``: dimension records."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, say, show_table, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.dependants import DeletePlan
    from registrytool.maintain.record_transfer import Imported, RecordDifference
    from registrytool.maintain.record_values import Shape
    from registrytool.maintain.records import RecordPlan
    from registrytool.maintain.session import Session

app = typer.Typer(
    no_args_is_help=True, help="List, export, import, insert, update, delete and compare dimension records."
)


class Existing(enum.StrEnum):
    """What to do with records that exist."""

    FAIL = "fail"
    SKIP = "skip"
    REPLACE = "replace"


class Regions(enum.StrEnum):
    """How regions are written."""

    HEX = "hex"
    BASE64 = "base64"
    POS = "pos"


_Element = Annotated[
    str, typer.Argument(metavar="ELEMENT", help="Dimension element, such as exposure.", show_default=False)
]
_Elements = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Argument(metavar="[ELEMENT]...", help="Dimension elements.  [default: all]", show_default=False),
]
_Fields = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(metavar="[FIELD=VALUE]...", help="Values that fields have.", show_default=False),
]
_Where = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--where", metavar="EXPRESSION", help="Such as \"instrument = 'HSC' AND exposure.seq_num > 5\"."),
]
_Existing = Annotated[Existing, typer.Option("--existing", help="What to do with records that exist.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


@app.command("list")
def list_(
    context: typer.Context,
    repo: Repo,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    limit: Annotated[Optional[int], typer.Option("--limit", min=0, metavar="N", help="How many at most.")] = None,  # noqa: UP045
    offset: Annotated[int | None, typer.Option("--offset", min=0, metavar="N", help="How many to pass over.")] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of TAI.")] = False,
    regions: Annotated[Regions, typer.Option("--regions", help="How regions are shown.")] = Regions.HEX,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """List records."""
    from registrytool.maintain.record_query import selection
    from registrytool.maintain.record_text import format_record
    from registrytool.maintain.record_values import Shape
    from registrytool.maintain.records import iter_records
    from registrytool.maintain.session import reading
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    with reading(repository, catalog=_catalog(content)) as session:
        shape = Shape.of(session.universe, element)
        chosen = selection(session, element, fields or (), where)
        rows = [
            format_record(shape, r, scale="utc" if utc else "tai", regions=regions.value)
            for r in iter_records(session, element, chosen, limit=limit, offset=offset)
        ]
    data = {"repository": repository.name, "element": element, "records": rows}
    answer(context, output, data, lambda: _show_records(shape, rows))


def _show_records(shape: Shape, rows: Sequence[Mapping[str, Any]]) -> None:
    # Many fields are NULL everywhere; a table of thirty columns helps nobody.
    names = [n for n in shape.fields if n in shape.key or any(r[n] is not None for r in rows)]
    show_table(names, [[_cell(r[n]) for n in names] for r in rows])


def _cell(value: Any) -> Any:
    return f"{value[:32]}..." if isinstance(value, str) and len(value) > 200 else value


@app.command("export")
def export(
    context: typer.Context,
    repo: Repo,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to write: .yaml, .csv or .parquet.", show_default=False)
    ],
    elements: _Elements = None,
    where: _Where = None,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Write records to a file: an export file of the Butler (.yaml), or one element (.csv, .parquet)."""
    from registrytool.maintain.record_query import record_condition
    from registrytool.maintain.record_transfer import export_records
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    chosen: Callable[[Session, str], Any] | None = None
    if where is not None:
        expression = where

        def chosen(session: Session, element: str) -> Any:
            return record_condition(session, element, expression)

    counts = export_records(repository, file, elements or (), where=chosen, catalog=_catalog(content))
    data = {"repository": repository.name, "file": str(file), "records": counts}
    answer(context, output, data, lambda: _show_counts(f"Wrote {file}:", counts))


def _show_counts(title: str, counts: Mapping[str, int]) -> None:
    say(title)
    for name, number in counts.items():
        if number:
            say(f"  {number} of {name}")


@app.command("import")
def import_(
    context: typer.Context,
    repo: Repo,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to read: .yaml, .csv or .parquet.", show_default=False)
    ],
    element: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--element", metavar="ELEMENT", help="Element of the records.  [default: the name of the file]"),
    ] = None,
    existing: _Existing = Existing.FAIL,
    dry_run: _DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Insert the records of a file, all or none.

    The other parts of an export file (collections, datasets) are left alone.
    """
    from registrytool.maintain.record_transfer import import_records
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    done = import_records(
        repository, file, element, on_conflict=existing.value, dry_run=dry_run, catalog=_catalog(content)
    )
    data = {"repository": repository.name, "file": str(file), **done.to_dict()}
    answer(context, output, data, lambda: _show_import(done))


def _show_import(done: Imported) -> None:
    say("Nothing was changed. It would be:" if done.dry_run else "Done:")
    show_table(
        ("element", "rows inserted", "rows replaced", "rows kept"),
        [(r.element, r.inserted, r.replaced, r.skipped) for r in done.elements],
    )


@app.command("insert")
def insert(
    context: typer.Context,
    repo: Repo,
    element: _Element,
    fields: _Fields = None,
    existing: _Existing = Existing.FAIL,
    dry_run: _DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Insert one record.

    Timespans look like 2024-05-01T12:00:00Z--2024-05-01T12:01:00Z, with .. for no bound; regions are hexadecimal,
    base64, or like "CIRCLE 12.0 -30.0 0.5" (degrees).
    """
    from registrytool.maintain.record_text import parse_assignments
    from registrytool.maintain.record_values import Shape
    from registrytool.maintain.records import plan_records

    def plan(session: Session) -> RecordPlan:
        row = parse_assignments(Shape.of(session.universe, element), list(fields or ()))
        return plan_records(session, element, [row], on_conflict=existing.value)

    _write(context, repo, element, plan, "insert", output, db, namespace, content, dry_run=dry_run, yes=True)


@app.command("update")
def update(
    context: typer.Context,
    repo: Repo,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    values: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="FIELD=VALUE", help="New value of a field; nothing after = is NULL."),
    ] = None,
    dry_run: _DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Change fields of records; shows what changes, and asks."""
    from registrytool.errors import ConfigurationError, RegistryStateError
    from registrytool.maintain.record_query import selection
    from registrytool.maintain.record_text import parse_assignments
    from registrytool.maintain.record_values import Shape
    from registrytool.maintain.records import load_records, plan_update

    if not values:
        message = "Nothing says what shall be changed."
        raise ConfigurationError(message, hint="Use --set FIELD=VALUE.")

    def plan(session: Session) -> RecordPlan:
        shape = Shape.of(session.universe, element)
        new = parse_assignments(shape, list(values))
        fixed = [n for n in shape.key if n in new]
        if fixed:
            message = f"The key of a record cannot be changed: {', '.join(fixed)}."
            raise RegistryStateError(message, hint="Insert another record and delete the old one.")
        chosen = selection(session, element, fields or (), where)
        if chosen is None:
            message = f"Nothing says which records of {element} are meant."
            raise ConfigurationError(message, hint="Give values of fields, or --where.")
        rows = [{**{n: r[n] for n in shape.key}, **new} for r in load_records(session, element, chosen)]
        if not rows:
            message = f"There are no such records of {element}."
            raise RegistryStateError(message, hint=f"'registrytool record list REPO {element}' lists them.")
        return plan_update(session, element, rows)

    _write(context, repo, element, plan, "update", output, db, namespace, content, dry_run=dry_run, yes=yes)


def _write(
    context: typer.Context,
    repo: str,
    element: str,
    plan: Callable[[Session], RecordPlan],
    verb: str,
    output: Any,
    db: str | None,
    namespace: str | None,
    content: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Show a plan, ask, and carry it out."""
    from registrytool.maintain.record_values import Shape
    from registrytool.maintain.records import RecordReport, apply_records
    from registrytool.maintain.session import change, reading
    from registrytool.repository import open_repository

    repository, catalog = open_repository(repo, db=db, namespace=namespace), _catalog(content)
    with reading(repository, catalog=catalog) as session:
        planned = plan(session)
        shape = Shape.of(session.universe, element)
    data = _plan_data(shape, planned)
    if dry_run:
        report = RecordReport(element, len(planned.new), len(planned.changes), planned.kept)
    else:
        if not yes and planned.changes:
            _show_changes(data, tell)
            confirmed(f"Change {count(len(planned.changes), 'record')} of {element}?", yes=yes)
        report = change(
            repository, f"{verb} records of {element}", lambda s: apply_records(s, plan(s)), catalog=catalog
        )
    whole = {"repository": repository.name, "dry_run": dry_run, **report.to_dict(), **data}

    def table() -> None:
        _show_changes(data, say)
        numbers = f"{report.inserted} inserted, {report.replaced} changed, {report.skipped} kept"
        say(f"{'Nothing was changed. It would be: ' if dry_run else ''}{element}: {numbers}.")

    answer(context, output, whole, table)


def _plan_data(shape: Shape, planned: RecordPlan) -> dict[str, Any]:
    from registrytool.maintain.record_text import format_record

    return {
        "new": [format_record(shape, row) for row in planned.new],
        "changes": [
            {
                "key": dict(zip(shape.key, c.key, strict=True)),
                "before": format_record(shape, c.before),
                "after": format_record(shape, c.after),
            }
            for c in planned.changes
        ],
    }


def _show_changes(data: Mapping[str, Any], write: Callable[[str], None]) -> None:
    for item in data["changes"]:
        write(", ".join(f"{n}={v!r}" for n, v in item["key"].items()))
        for name, before in item["before"].items():
            write(f"  {name}: {before!r} -> {item['after'][name]!r}")


@app.command("delete")
def delete(
    context: typer.Context,
    repo: Repo,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    cascade: Annotated[bool, typer.Option("--cascade", help="Delete what refers to the records too.")] = False,
    dry_run: _DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Delete records; shows what refers to them, and asks."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.dependants import delete_records, plan_delete, preview_delete
    from registrytool.maintain.record_query import selection
    from registrytool.maintain.session import change, reading
    from registrytool.repository import open_repository

    repository, catalog = open_repository(repo, db=db, namespace=namespace), _catalog(content)

    def chosen(session: Session) -> Any:
        found = selection(session, element, fields or (), where)
        if found is None:
            message = f"Nothing says which records of {element} are meant."
            raise ConfigurationError(message, hint="Give values of fields, or --where.")
        return found

    with reading(repository, catalog=catalog) as session:
        plan = preview_delete(session, element, chosen(session))
        if not dry_run:
            plan = plan_delete(session, element, chosen(session), cascade=cascade)
    if not dry_run and plan.records:
        if not yes:
            _show_delete(plan, tell)
        confirmed(f"Delete {count(plan.records, 'record')} of {element}?", yes=yes)
        plan = change(
            repository,
            f"delete records of {element}",
            lambda s: delete_records(s, element, chosen(s), cascade=cascade),
            catalog=catalog,
        )
    data = {"repository": repository.name, "dry_run": dry_run, **plan.to_dict()}

    def table() -> None:
        say("Nothing was changed. It would be deleted:" if dry_run else "Deleted:")
        _show_delete(plan, say)

    answer(context, output, data, table)


def _show_delete(plan: DeletePlan, write: Callable[[str], None]) -> None:
    write(f"  {count(plan.records, 'record')} of {plan.element}")
    for name, number in plan.dependants.items():
        write(f"  {number} of {name} that refer to them")
    for name, number in plan.dataset_types.items():
        write(f"    {number} of type {name}")


@app.command("diff")
def diff(
    context: typer.Context,
    repo: Repo,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Repository to compare with.", show_default=False)],
    elements: _Elements = None,
    db: Db = None,
    namespace: Namespace = None,
    other_db: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--other-db", metavar="URL", help="URL of the other database."),
    ] = None,
    other_namespace: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--other-namespace", metavar="NAME", help="PostgreSQL schema of the other registry."),
    ] = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Compare the records of two repositories; exit code 4 if they differ."""
    from registrytool.maintain.record_transfer import diff_records
    from registrytool.models import to_plain
    from registrytool.repository import open_repository

    first = open_repository(repo, db=db, namespace=namespace)
    second = open_repository(other, db=other_db, namespace=other_namespace)
    found = list(diff_records(first, second, elements or (), catalog=_catalog(content)))
    data = {"repository": first.name, "other": second.name, "differences": to_plain(found)}
    answer(context, output, data, lambda: _show_differences(found))
    if found:
        raise typer.Exit(4)


def _show_differences(found: Sequence[RecordDifference]) -> None:
    for item in found:
        key = ", ".join(f"{n}={v!r}" for n, v in item.key.items())
        if item.first is None or item.second is None:
            say(f"{item.element} {key}: only in {'OTHER' if item.first is None else 'REPO'}")
            continue
        say(f"{item.element} {key}:")
        for name, value in item.first.items():
            say(f"  {name}: {value!r} -> {item.second[name]!r}")
    if not found:
        say("The records are the same.")


def _catalog(content: Path | None) -> Catalog:
    from registrytool.catalog import Catalog
    from registrytool.config import Content

    return Catalog(Content.find(content))
