"""``registrytool dataset``."""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import (
    FindFirst,
    Ids,
    InCollections,
    Types,
    Where,
    make_query,
    shown_at_the_end,
    split,
    tell_skipped,
    write_datasets,
)
from ._output import count, say, show_table, tell
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.maintain.find import Query
    from registrytool.maintain.orphans import OrphanReport
    from registrytool.maintain.prune import Mode, PrunePlan
    from registrytool.maintain.show import DatasetDetails
    from registrytool.maintain.transfer import TransferPlan
    from registrytool.maintain.trash import TrashReport
    from registrytool.progress import Progress

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Find, show, move, copy and remove datasets.")
trash = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Files of datasets that were removed.")
app.add_typer(trash, name="trash")


class CopyFiles(enum.StrEnum):
    """What becomes of files."""

    SHARE = "share"
    NONE = "none"


class NewIds(enum.StrEnum):
    """How identifiers are made."""

    UUID7 = "uuid7"
    DATA_ID = "data_id"
    DATA_ID_RUN = "data_id_run"


EmptyTrash = Annotated[
    bool, typer.Option("--empty-trash", help="Delete the files at once, instead of leaving them in the trash.")
]


@reads(app)
def find(
    registry: Registry,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    find_first: FindFirst = False,
    at: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option(metavar="TIME", help="Time at which datasets of calibration collections must be valid."),
    ] = None,
    order_by: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME", help="Dimension or field to sort by, with a minus for the other direction."),
    ] = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="How many datasets at most."),
    ] = None,
    uris: Annotated[bool, typer.Option("--uris", help="Show where the files are.")] = False,
    ids: Ids = None,
) -> None:
    """Find datasets by type, collection and data ID.

    Exits with 4 if there are none.
    """
    from registrytool.maintain.datasets import parse_ids
    from registrytool.maintain.datastore import file_uris
    from registrytool.maintain.find import find_rows, plan_search
    from registrytool.maintain.times import parse_time
    from registrytool.maintain.timespans import Timespan

    moment = parse_time(at) if at is not None else None
    span = Timespan.of(moment, moment + 1) if moment is not None else None
    query = make_query(types, collections, where, ids, find_first=find_first, at=span)
    with shown_at_the_end() as file, registry.reading() as session:
        search = plan_search(session, query, order_by=split(order_by))

        def places(rows: list[tuple[Any, ...]]) -> dict[str, tuple[str, ...]]:
            found = file_uris(session, parse_ids(session, [str(row[0]) for row in rows]))
            return {str(identifier): uris for identifier, uris in found.items()}

        number = write_datasets(
            file,
            registry.context,
            registry.output,
            {"registry": registry.repository.name},
            find_rows(session, search, limit=limit),
            lambda number: {"count": number, "skipped": list(search.skipped)},
            places if uris else None,
        )
    tell_skipped(search.skipped)
    tell(f"{count(number, 'dataset')}.")
    if not number:
        raise typer.Exit(4)


@reads(app)
def show(
    registry: Registry,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Identifier of the dataset.", show_default=False)],
) -> None:
    """Show all that the registry knows about a dataset."""
    from registrytool.maintain.show import show_dataset

    with registry.reading() as session:
        found = show_dataset(session, identifier)
    registry.answer(found.to_dict(), lambda: _show(found))


def _show(found: DatasetDetails) -> None:
    lines: list[tuple[str, str]] = [
        ("id", found.id),
        ("type", f"{found.dataset_type} ({found.storage_class})"),
        ("run", found.run),
        ("data ID", ", ".join(f"{k}={v!r}" for k, v in found.data_id.items()) or "none"),
        ("ingested", found.ingest_date_utc),
        *(("tagged in", name) for name in found.tagged),
        *(
            ("certified in", f"{m.collection}, {m.begin_utc or 'ever'} to {m.end_utc or 'ever'}")
            for m in found.certifications
        ),
        *(("reached by chain", name) for name in found.chains),
        *(("stored in", name) for name in found.datastores),
        *(("in the trash of", name) for name in found.trashed),
    ]
    for file in found.files:
        size = "" if file.size_bytes is None else f", {file.size_bytes} bytes"
        component = "" if file.component is None else f", component {file.component}"
        lines.append(("file", f"{file.uri or file.path}{component} ({file.formatter}{size})"))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        say(f"{name:<{width}}  {value}")


@changes(app, asks=True)
def move(
    registry: Registry,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run to move them into; it is made if missing.")],
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
) -> None:
    """Move datasets into another run, with their tags, certifications and files.

    All are moved in one transaction. Files stay where they are, though their path names the old run.
    """
    from registrytool.maintain.transfer import move_datasets

    query = make_query(types, collections, where, ids)
    plan = registry.carry_out(
        partial(move_datasets, registry.repository, query, run, catalog=registry.catalog),
        lambda plan: f"Move {count(plan.total, 'dataset')} into {run}?" if plan.total else None,
        shows_progress=True,
    )
    _transferred(registry, "moved", plan)


@changes(app)
def copy(
    registry: Registry,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run to copy them into; it is made if missing.")],
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    find_first: FindFirst = False,
    ids: Ids = None,
    files: Annotated[CopyFiles, typer.Option(help="Whether copies share the files, or have none.")] = CopyFiles.SHARE,
    new_ids: Annotated[
        NewIds, typer.Option(help="Identifiers: new ones, or such that follow from the data ID (and the run).")
    ] = NewIds.UUID7,
) -> None:
    """Copy datasets into another run, as datasets of their own.

    All are copied in one transaction. A file that is shared is deleted with the last dataset that uses it.
    """
    from registrytool.maintain.transfer import Files, copy_datasets

    query = make_query(types, collections, where, ids, find_first=find_first)
    act = partial(copy_datasets, registry.repository, query, run, files=Files(files.value), ids=new_ids.value)
    plan = registry.carry_out(partial(act, catalog=registry.catalog), shows_progress=True)
    _transferred(registry, "copied", plan)


def _transferred(registry: Registry, verb: str, plan: TransferPlan) -> None:
    def table() -> None:
        if plan.datasets:
            show_table(("type", "rows"), list(plan.datasets.items()))
        would = "would be " if registry.dry_run else ""
        into = f"the new run {plan.run}" if plan.new_run else f"the run {plan.run}"
        say(f"{count(plan.total, 'dataset')} {would}{verb} into {into}.")

    tell_skipped(plan.skipped)
    registry.answer(plan.to_dict(), table)


@changes(app, asks=True)
def remove(
    registry: Registry,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
    empty_trash: EmptyTrash = False,
) -> None:
    """Remove datasets altogether; their files go to the trash.

    Removes in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.maintain.prune import Mode

    query = make_query(types, collections, where, ids)
    _prune(registry, query, Mode.PURGE, (), empty=empty_trash)


@changes(app, asks=True)
def prune(
    registry: Registry,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
    disassociate: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="COLLECTION", help="Take them out of a tagged collection; can be repeated."),
    ] = None,
    unstore: Annotated[bool, typer.Option("--unstore", help="Delete their files; they stay in the registry.")] = False,
    empty_trash: EmptyTrash = False,
) -> None:
    """Take datasets out of tagged collections, or out of the datastores.

    Works in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.prune import Mode

    if bool(disassociate) == unstore:
        message = "Either --disassociate or --unstore says what becomes of the datasets."
        raise ConfigurationError(message, hint="'registrytool dataset remove' removes them altogether.")
    query = make_query(types, collections, where, ids)
    mode, tagged = (Mode.UNSTORE, ()) if unstore else (Mode.DISASSOCIATE, split(disassociate))
    _prune(registry, query, mode, tagged, empty=empty_trash)


def _prune(registry: Registry, query: Query, mode: Mode, tagged: tuple[str, ...], *, empty: bool) -> None:
    from registrytool.maintain.prune import apply_and_empty, apply_prune
    from registrytool.maintain.prune import prune as plan_prune

    repository, catalog = registry.repository, registry.catalog
    emptied: TrashReport | None = None

    def question(plan: PrunePlan) -> str | None:
        verb = {"purge": "Remove", "unstore": "Delete the files of", "disassociate": "Disassociate"}[mode.value]
        if plan.total:
            return f"{verb} {count(plan.total, 'dataset')} of {repository.name}?"
        # What was stopped after its last dataset.
        return f"Delete the files of {count(plan.left, 'removed dataset')}?" if empty and plan.left else None

    def apply(plan: PrunePlan, shown: Progress) -> None:
        nonlocal emptied
        if empty:
            emptied = apply_and_empty(repository, plan, catalog=catalog, progress=shown)
        else:
            apply_prune(repository, plan, catalog=catalog, progress=shown)

    act = partial(plan_prune, repository, query, mode, tagged=tagged, catalog=catalog)
    plan = registry.carry_out(act, question, apply=apply)
    tell_skipped(plan.skipped)
    data = {**plan.to_dict(), "trash": None if emptied is None else emptied.to_dict()}
    registry.answer(data, lambda: _pruned(plan, emptied, dry_run=registry.dry_run))
    if emptied is not None and emptied.failures:
        raise typer.Exit(4)


def _pruned(plan: PrunePlan, emptied: TrashReport | None, *, dry_run: bool) -> None:
    def rows(kind: str, numbers: Mapping[str, int]) -> list[tuple[str, str, int]]:
        return [(kind, name, number) for name, number in numbers.items()]

    shown = [*rows("dataset type", plan.datasets), *rows("run", plan.runs)]
    if plan.mode.value != "unstore":
        shown += [*rows("tagged in", plan.tags), *rows("certified in", plan.certifications)]
    if shown:
        show_table(("what", "name", "rows"), shown)
    verb = {"purge": "removed", "unstore": "taken out of the datastores", "disassociate": "disassociated"}[
        plan.mode.value
    ]
    say(f"{count(plan.total, 'dataset')} {'would be ' if dry_run else ''}{verb}.")
    if plan.absent:
        say(f"{count(plan.absent, 'identifier')} had no dataset.")
    if emptied is not None:
        _emptied(emptied, dry_run=False)
    elif plan.stored:
        say(f"The files of {plan.stored} {'would go' if dry_run else 'are in'} {'to ' if dry_run else ''}the trash.")
        if not dry_run:
            say("'registrytool dataset trash empty' deletes them.")


@reads(app)
def orphans(
    registry: Registry,
    files: Annotated[
        bool, typer.Option("--files", help="Compare the files of the datastores with the records.")
    ] = False,
    examples: Annotated[int, typer.Option(min=0, help="How many of each kind are named.")] = 20,
) -> None:
    """Find rows, records and files that belong to nothing.

    Exits with 4 if something is wrong. Datasets without files, and what is in the trash, are not.
    """
    from registrytool.maintain.orphans import find_orphans

    with registry.reading() as session, registry.progress() as shown:
        found = find_orphans(session, files=files, examples=examples, progress=shown)
    registry.answer(found.to_dict(), lambda: _orphans(found))
    if not found.clean:
        raise typer.Exit(4)


def _orphans(found: OrphanReport) -> None:
    if found.found:
        show_table(
            ("what", "datastore", "rows", "judgement"),
            [(o.kind, o.datastore, o.count, "harmless" if o.harmless else "wrong") for o in found.found],
        )
    for orphans in found.found:
        if not orphans.harmless:
            say(f"{orphans.kind}:")
            for name in orphans.examples:
                say(f"    {name}")
            if orphans.count > len(orphans.examples):
                say(f"    and {orphans.count - len(orphans.examples)} more")
    looked = "" if found.files else "; files were not looked at (--files)"
    say(f"{count(found.datasets, 'dataset')}: {'nothing is wrong' if found.clean else 'something is wrong'}{looked}.")


@reads(trash, "list")
def trash_list(
    registry: Registry,
) -> None:
    """Show how much is in the trash of each datastore."""
    from registrytool.maintain.trash import list_trash

    with registry.reading() as session:
        found = list_trash(session)

    def table() -> None:
        if not found:
            say("The trash is empty.")
            return
        show_table(
            ("datastore", "rows", "records", "size in bytes"),
            [(e.datastore, e.datasets, e.files, e.size_bytes) for e in found],
        )

    registry.answer({"datastores": [e.to_dict() for e in found]}, table)


@changes(trash, "empty", asks=True)
def trash_empty(
    registry: Registry,
) -> None:
    """Delete the files that are in the trash.

    A file that another dataset uses is kept. Exits with 4 if a file could not be deleted.
    """
    from registrytool.maintain.trash import empty_trash

    found = registry.carry_out(
        partial(empty_trash, registry.repository, catalog=registry.catalog),
        lambda plan: f"Delete {count(plan.deleted, 'file')} in the trash of {registry.repository.name}?",
        shows_progress=True,
    )
    registry.answer(found.to_dict(), lambda: _emptied(found, dry_run=registry.dry_run))
    if found.failures:
        raise typer.Exit(4)


def _emptied(found: TrashReport, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    say(f"{count(found.deleted, 'file')} {would}deleted, of {count(found.datasets, 'dataset')}.")
    if found.missing:
        say(f"{count(found.missing, 'file')} had gone already.")
    if found.kept:
        say(f"{count(found.kept, 'file')} {would}kept, which other datasets use or which lie outside of the datastore.")
    for failure in found.failures:
        say(f"Cannot delete {failure.uri}: {failure.reason}.")
    for name in found.unknown:
        say(f"What is in the trash of {name} stays: butler.yaml names no such datastore.")
