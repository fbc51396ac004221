"""``registrytool dataset-type``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import DryRun
from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, hide_passwords, say, show_table, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.maintain.dataset_type_changes import DatasetTypeInfo, DatasetTypeReport, Unused

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, register, change and remove dataset types.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset type.", show_default=False)]
StorageClass = Annotated[
    str, typer.Argument(metavar="STORAGE_CLASS", help="How its datasets look in Python.", show_default=False)
]


def _open(repo: str, db: str | None, namespace: str | None, content: Any) -> tuple[Any, Any]:
    from registrytool.catalog import Catalog
    from registrytool.config import Content
    from registrytool.repository import open_repository

    return open_repository(repo, db=db, namespace=namespace), Catalog(Content.find(content))


@app.command("list")
def list_(
    context: typer.Context,
    repo: Repo,
    globs: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Argument(metavar="NAME", help="Names, or patterns such as 'calexp*'; none stands for all."),
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Count their datasets.")] = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """List dataset types."""
    from registrytool.maintain.dataset_type_changes import list_dataset_types
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = list_dataset_types(session, globs or (), counts=counts)
    data = {"registry": hide_passwords(repo), "dataset_types": [_plain(info) for info in found]}
    answer(context, output, data, lambda: _list(found, counts=counts))


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


@app.command()
def show(
    context: typer.Context,
    repo: Repo,
    name: Name,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show a dataset type: dimensions, storage class, tables, number of datasets."""
    from registrytool.maintain.dataset_type_changes import list_dataset_types
    from registrytool.maintain.dataset_types import load_dataset_types, require_dataset_type
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        require_dataset_type(load_dataset_types(session), name, where=repository.name)
        (info,) = list_dataset_types(session, [name], counts=True)
    answer(context, output, {"registry": hide_passwords(repo), **_plain(info)}, lambda: _show(info))


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


@app.command()
def register(
    context: typer.Context,
    repo: Repo,
    name: Name,
    storage_class: StorageClass,
    dimensions: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="DIMENSION", help="Its dimensions; what they require need not be named."),
    ] = None,
    is_calibration: Annotated[bool, typer.Option("--is-calibration", help="Its datasets can be certified.")] = False,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Register a dataset type; one that is there already, and the same, is left alone."""
    from registrytool.maintain.dataset_type_changes import register_dataset_type

    repository, catalog = _open(repo, db, namespace, content)
    report = register_dataset_type(
        repository,
        name,
        dimensions or (),
        storage_class,
        is_calibration=is_calibration,
        catalog=catalog,
        dry_run=dry_run,
    )
    _answer(context, output, report, "registered", "is registered already", dry_run=dry_run)


def _answer(
    context: typer.Context, output: Any, report: DatasetTypeReport, done: str, not_done: str, *, dry_run: bool
) -> None:
    def table() -> None:
        what = f"The dataset type {report.dataset_type!r}"
        say(f"{what} {'would be' if dry_run else 'was'} {done}." if report.changed else f"{what} {not_done}.")

    for warning in report.warnings:
        tell(f"Warning: {warning}.")
    answer(context, output, {**report.to_dict(), "dry_run": dry_run}, table)


@app.command()
def remove(
    context: typer.Context,
    repo: Repo,
    name: Name,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Remove a dataset type that has no datasets; its tables stay."""
    from registrytool.maintain.dataset_type_changes import remove_dataset_type

    repository, catalog = _open(repo, db, namespace, content)
    report = remove_dataset_type(repository, name, catalog=catalog, dry_run=True)
    if not dry_run:
        confirmed(f"Remove the dataset type {name!r}?", yes=yes)
        report = remove_dataset_type(repository, name, catalog=catalog)
    _answer(context, output, report, "removed", "", dry_run=dry_run)


@app.command()
def rename(
    context: typer.Context,
    repo: Repo,
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.", show_default=False)],
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Give a dataset type another name; its datasets and their files stay."""
    from registrytool.maintain.dataset_type_changes import rename_dataset_type

    repository, catalog = _open(repo, db, namespace, content)
    report = rename_dataset_type(repository, name, new_name, catalog=catalog, dry_run=dry_run)
    _answer(context, output, report, f"renamed to {new_name!r}", "has this name already", dry_run=dry_run)


@app.command()
def set_storage_class(
    context: typer.Context,
    repo: Repo,
    name: Name,
    storage_class: StorageClass,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Give a dataset type another storage class."""
    from registrytool.maintain.dataset_type_changes import set_storage_class as act

    repository, catalog = _open(repo, db, namespace, content)
    report = act(repository, name, storage_class, catalog=catalog, dry_run=dry_run)
    _answer(
        context,
        output,
        report,
        f"given the storage class {storage_class}",
        "has this storage class already",
        dry_run=dry_run,
    )


@app.command()
def unused(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Find dataset types without datasets, and tables that no dataset type uses.

    Exits with 4 if there are any.
    """
    from registrytool.maintain.dataset_type_changes import find_unused
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = find_unused(session)
    answer(context, output, {"registry": hide_passwords(repo), **found.to_dict()}, lambda: _unused(found))
    if found.dataset_types or found.tables:
        raise typer.Exit(4)


def _unused(found: Unused) -> None:
    rows = [("dataset type", name) for name in found.dataset_types] + [("table", name) for name in found.tables]
    if rows:
        show_table(("what", "name"), rows)
    say(f"{count(len(found.dataset_types), 'dataset type')}, {count(len(found.tables), 'table')}.")
