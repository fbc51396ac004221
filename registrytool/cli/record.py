"""``registrytool record``: dimension records."""

from __future__ import annotations

import enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._output import count, say, show_table, tell
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registrytool.maintain.dependants import DeletePlan
    from registrytool.maintain.record_changes import RecordChange
    from registrytool.maintain.record_transfer import Imported, RecordDifference
    from registrytool.maintain.record_values import Shape
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


@reads(app, "list")
def list_(
    registry: Registry,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    limit: Annotated[Optional[int], typer.Option("--limit", min=0, metavar="N", help="How many at most.")] = None,  # noqa: UP045
    offset: Annotated[int | None, typer.Option("--offset", min=0, metavar="N", help="How many to pass over.")] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of TAI.")] = False,
    regions: Annotated[Regions, typer.Option("--regions", help="How regions are shown.")] = Regions.HEX,
) -> None:
    """List records."""
    from registrytool.maintain.record_query import selection
    from registrytool.maintain.record_reading import iter_records
    from registrytool.maintain.record_text import format_record
    from registrytool.maintain.record_values import Shape

    with registry.reading() as session:
        shape = Shape.of(session.universe, element)
        chosen = selection(session, element, fields or (), where)
        rows = [
            format_record(shape, r, scale="utc" if utc else "tai", regions=regions.value)
            for r in iter_records(session, element, chosen, limit=limit, offset=offset)
        ]
    data = {"element": element, "records": rows}
    registry.answer(data, lambda: _show_records(shape, rows))


def _show_records(shape: Shape, rows: Sequence[Mapping[str, Any]]) -> None:
    # Many fields are NULL everywhere; a table of thirty columns helps nobody.
    names = [n for n in shape.fields if n in shape.key or any(r[n] is not None for r in rows)]
    show_table(names, [[_cell(r[n]) for n in names] for r in rows])


def _cell(value: Any) -> Any:
    return f"{value[:32]}..." if isinstance(value, str) and len(value) > 200 else value


@reads(app, "export")
def export(
    registry: Registry,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to write: .yaml, .csv or .parquet.", show_default=False)
    ],
    elements: _Elements = None,
    where: _Where = None,
) -> None:
    """Write records to a file: an export file of the Butler (.yaml), or one element (.csv, .parquet)."""
    from registrytool.maintain.record_query import record_condition
    from registrytool.maintain.record_transfer import export_records

    chosen: Callable[[Session, str], Any] | None = None
    if where is not None:
        expression = where

        def chosen(session: Session, element: str) -> Any:
            return record_condition(session, element, expression)

    counts = export_records(registry.repository, file, elements or (), where=chosen, catalog=registry.catalog)
    data = {"file": str(file), "records": counts}
    registry.answer(data, lambda: _show_counts(f"Wrote {file}:", counts))


def _show_counts(title: str, counts: Mapping[str, int]) -> None:
    say(title)
    for name, number in counts.items():
        if number:
            say(f"  {number} of {name}")


@changes(app, "import")
def import_(
    registry: Registry,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to read: .yaml, .csv or .parquet.", show_default=False)
    ],
    element: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--element", metavar="ELEMENT", help="Element of the records.  [default: the name of the file]"),
    ] = None,
    existing: _Existing = Existing.FAIL,
) -> None:
    """Insert the records of a file, all or none.

    The other parts of an export file (collections, datasets) are left alone.
    """
    from registrytool.maintain.record_transfer import import_records

    act = partial(import_records, registry.repository, file, element, on_conflict=existing.value)
    done = registry.carry_out(partial(act, catalog=registry.catalog))
    registry.answer({"file": str(file), **done.to_dict()}, lambda: _show_import(done))


def _show_import(done: Imported) -> None:
    say("Nothing was changed. It would be:" if done.dry_run else "Done:")
    show_table(
        ("element", "rows inserted", "rows replaced", "rows kept"),
        [(r.element, r.inserted, r.replaced, r.skipped) for r in done.elements],
    )


@changes(app, "insert")
def insert(
    registry: Registry,
    element: _Element,
    fields: _Fields = None,
    existing: _Existing = Existing.FAIL,
) -> None:
    """Insert one record.

    Timespans look like 2024-05-01T12:00:00Z--2024-05-01T12:01:00Z, with .. for no bound; regions are hexadecimal,
    base64, or like "CIRCLE 12.0 -30.0 0.5" (degrees).
    """
    from registrytool.maintain.record_changes import insert_record

    act = partial(insert_record, registry.repository, element, fields or (), existing=existing.value)
    _answer(registry, registry.carry_out(partial(act, catalog=registry.catalog)))


@changes(app, "update", asks=True)
def update(
    registry: Registry,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    values: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="FIELD=VALUE", help="New value of a field; nothing after = is NULL."),
    ] = None,
) -> None:
    """Change fields of records; shows what changes, and asks."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.record_changes import change_records

    if not values:
        message = "Nothing says what shall be changed."
        raise ConfigurationError(message, hint="Use --set FIELD=VALUE.")

    def question(found: RecordChange) -> str | None:
        if not found.changed:
            return None
        if not registry.dry_run:
            _show_changes(_plan_data(found), tell)
        return f"Change {count(len(found.plan.changes), 'record')} of {element}?"

    act = partial(change_records, registry.repository, element, fields or (), where, values)
    _answer(registry, registry.carry_out(partial(act, catalog=registry.catalog), question))


def _answer(registry: Registry, found: RecordChange) -> None:
    data, report = _plan_data(found), found.report

    def table() -> None:
        _show_changes(data, say)
        numbers = f"{report.inserted} inserted, {report.replaced} changed, {report.skipped} kept"
        say(f"{'Nothing was changed. It would be: ' if registry.dry_run else ''}{report.element}: {numbers}.")

    registry.answer({**report.to_dict(), **data}, table)


def _plan_data(found: RecordChange) -> dict[str, Any]:
    from registrytool.maintain.record_text import format_record

    shape, planned = found.shape, found.plan
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


@changes(app, "delete", asks=True)
def delete(
    registry: Registry,
    element: _Element,
    fields: _Fields = None,
    where: _Where = None,
    cascade: Annotated[bool, typer.Option("--cascade", help="Delete what refers to the records too.")] = False,
) -> None:
    """Delete records; shows what refers to them, and asks."""
    from registrytool.maintain.record_changes import remove_records

    def question(plan: DeletePlan) -> str | None:
        if not plan.changed:
            return None
        if not registry.dry_run:
            _show_delete(plan, tell)
        return f"Delete {count(plan.records, 'record')} of {element}?"

    act = partial(remove_records, registry.repository, element, fields or (), where, cascade=cascade)
    plan = registry.carry_out(partial(act, preview=registry.dry_run, catalog=registry.catalog), question)

    def table() -> None:
        way = "With --cascade it" if plan.dependants and not cascade else "It"
        say(f"Nothing was changed. {way} would be deleted:" if registry.dry_run else "Deleted:")
        _show_delete(plan, say)

    registry.answer(plan.to_dict(), table)


def _show_delete(plan: DeletePlan, write: Callable[[str], None]) -> None:
    write(f"  {count(plan.records, 'record')} of {plan.element}")
    for name, number in plan.dependants.items():
        write(f"  {number} of {name} that refer to them")
    for name, number in plan.dataset_types.items():
        write(f"    {number} of type {name}")


@reads(app, "diff")
def diff(
    registry: Registry,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Repository to compare with.", show_default=False)],
    elements: _Elements = None,
    other_db: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--other-db", metavar="URL", help="URL of the other database."),
    ] = None,
    other_namespace: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--other-namespace", metavar="NAME", help="PostgreSQL schema of the other registry."),
    ] = None,
) -> None:
    """Compare the records of two repositories; exit code 4 if they differ."""
    from registrytool.maintain.record_transfer import diff_records
    from registrytool.models import to_plain
    from registrytool.repository import open_repository

    second = open_repository(other, db=other_db, namespace=other_namespace)
    found = list(diff_records(registry.repository, second, elements or (), catalog=registry.catalog))
    data = {"other": second.name, "differences": to_plain(found)}
    registry.answer(data, lambda: _show_differences(found))
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
