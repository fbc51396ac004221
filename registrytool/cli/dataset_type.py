"""``registrytool dataset-type``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._output import count, say, show_table, tell
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.maintain.dataset_type_changes import DatasetTypeInfo, DatasetTypeReport, Unused

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, register, change and remove dataset types.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset type.", show_default=False)]
StorageClass = Annotated[
    str, typer.Argument(metavar="STORAGE_CLASS", help="How its datasets look in Python.", show_default=False)
]


@reads(app, "list")
def list_(
    registry: Registry,
    globs: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Argument(metavar="NAME", help="Names, or patterns such as 'calexp*'; none stands for all."),
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Count their datasets.")] = False,
) -> None:
    """List dataset types."""
    from registrytool.maintain.dataset_type_changes import list_dataset_types

    with registry.reading() as session:
        found = list_dataset_types(session, globs or (), counts=counts)
    data = {"dataset_types": [_plain(info) for info in found]}
    registry.answer(data, lambda: _list(found, counts=counts))


def _plain(info: DatasetTypeInfo) -> dict[str, Any]:
    from registrytool.models import to_plain

    found = to_plain(info.dataset_type)
    return {**found, "datasets": info.datasets, "runs": info.runs}


def _list(found: Sequence[DatasetTypeInfo], *, counts: bool) -> None:
    rows = []
    for info in found:
        t = info.dataset_type
        kind = "calibration" if t.is_calibration else ""
        row = (t.name, ", ".join(t.dimensions), t.storage_class, kind)
        rows.append((*row, info.datasets) if counts else row)
    columns = ("name", "dimensions", "storage class", "kind")
    show_table((*columns, "rows") if counts else columns, rows)
    say(f"{count(len(found), 'dataset type')}.")


@reads(app)
def show(
    registry: Registry,
    name: Name,
) -> None:
    """Show a dataset type: dimensions, storage class, tables, number of datasets."""
    from registrytool.maintain.dataset_type_changes import list_dataset_types
    from registrytool.maintain.dataset_types import load_dataset_types, require_dataset_type

    with registry.reading() as session:
        require_dataset_type(load_dataset_types(session), name, where=registry.repository.name)
        (info,) = list_dataset_types(session, [name], counts=True)
    registry.answer(_plain(info), lambda: _show(info))


def _show(info: DatasetTypeInfo) -> None:
    t = info.dataset_type
    implied = [d for d in t.all_dimensions if d not in t.dimensions]
    for label, value in (
        ("name", t.name),
        ("dimensions", ", ".join(t.dimensions) or "none"),
        ("implied", ", ".join(implied) or "none"),
        ("storage class", t.storage_class),
        ("calibration", "yes" if t.is_calibration else "no"),
        ("tables", ", ".join(n for n in (t.tags_table, t.calibs_table) if n)),
        ("datasets", f"{count(info.datasets or 0, 'dataset')} in {count(info.runs or 0, 'run')}"),
    ):
        say(f"{label:<13}  {value}")


@changes(app)
def register(
    registry: Registry,
    name: Name,
    storage_class: StorageClass,
    dimensions: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="DIMENSION", help="Its dimensions; what they require need not be named."),
    ] = None,
    is_calibration: Annotated[bool, typer.Option("--is-calibration", help="Its datasets can be certified.")] = False,
) -> None:
    """Register a dataset type; one that is there already, and the same, is left alone."""
    from registrytool.maintain.dataset_type_changes import register_dataset_type

    act = partial(register_dataset_type, registry.repository, name, dimensions or (), storage_class)
    report = registry.carry_out(partial(act, is_calibration=is_calibration, catalog=registry.catalog))
    _answer(registry, report, "registered", "is registered already")


def _answer(registry: Registry, report: DatasetTypeReport, done: str, not_done: str = "") -> None:
    def table() -> None:
        what = f"The dataset type {report.dataset_type!r}"
        say(f"{what} {'would be' if registry.dry_run else 'was'} {done}." if report.changed else f"{what} {not_done}.")

    for warning in report.warnings:
        tell(f"Warning: {warning}.")
    registry.answer(report.to_dict(), table)


@changes(app, asks=True)
def remove(
    registry: Registry,
    name: Name,
) -> None:
    """Remove a dataset type that has no datasets; its tables stay."""
    from registrytool.maintain.dataset_type_changes import remove_dataset_type

    act = partial(remove_dataset_type, registry.repository, name, catalog=registry.catalog)
    report = registry.carry_out(act, lambda _: f"Remove the dataset type {name!r}?")
    _answer(registry, report, "removed")


@changes(app)
def rename(
    registry: Registry,
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.", show_default=False)],
) -> None:
    """Give a dataset type another name; its datasets and their files stay."""
    from registrytool.maintain.dataset_type_changes import rename_dataset_type

    act = partial(rename_dataset_type, registry.repository, name, new_name, catalog=registry.catalog)
    _answer(registry, registry.carry_out(act), f"renamed to {new_name!r}", "has this name already")


@changes(app)
def set_storage_class(
    registry: Registry,
    name: Name,
    storage_class: StorageClass,
) -> None:
    """Give a dataset type another storage class."""
    from registrytool.maintain.dataset_type_changes import set_storage_class as act

    report = registry.carry_out(partial(act, registry.repository, name, storage_class, catalog=registry.catalog))
    _answer(registry, report, f"given the storage class {storage_class}", "has this storage class already")


@reads(app)
def unused(
    registry: Registry,
) -> None:
    """Find dataset types without datasets, and tables that no dataset type uses.

    Exits with 4 if there are any.
    """
    from registrytool.maintain.dataset_type_changes import find_unused

    with registry.reading() as session:
        found = find_unused(session)
    registry.answer(found.to_dict(), lambda: _unused(found))
    if found.dataset_types or found.tables:
        raise typer.Exit(4)


def _unused(found: Unused) -> None:
    rows = [("dataset type", name) for name in found.dataset_types] + [("table", name) for name in found.tables]
    if rows:
        show_table(("what", "name"), rows)
    say(f"{count(len(found.dataset_types), 'dataset type')}, {count(len(found.tables), 'table')}.")
