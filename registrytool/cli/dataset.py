"""``registrytool dataset``."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import DryRun, FindFirst, Ids, InCollections, Types, Where, make_query, show_datasets, split
from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, hide_passwords, progress, say, show_table, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.catalog import Catalog
    from registrytool.maintain.orphans import OrphanReport
    from registrytool.maintain.prune import Mode, PrunePlan
    from registrytool.maintain.show import DatasetDetails
    from registrytool.maintain.transfer import TransferPlan
    from registrytool.maintain.trash import TrashReport
    from registrytool.repository import Repository

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


def _open(repo: str, db: str | None, namespace: str | None, content: Any) -> tuple[Repository, Catalog]:
    from registrytool.catalog import Catalog
    from registrytool.config import Content
    from registrytool.repository import open_repository

    return open_repository(repo, db=db, namespace=namespace), Catalog(Content.find(content))


@app.command()
def find(
    context: typer.Context,
    repo: Repo,
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
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Find datasets by type, collection and data ID.

    Exits with 4 if there are none.
    """
    from registrytool.maintain.datasets import parse_ids
    from registrytool.maintain.datastore import file_uris
    from registrytool.maintain.find import find_rows, plan_search
    from registrytool.maintain.session import reading
    from registrytool.maintain.times import parse_time
    from registrytool.maintain.timespans import Timespan

    repository, catalog = _open(repo, db, namespace, content)
    moment = parse_time(at) if at is not None else None
    span = Timespan.of(moment, moment + 1) if moment is not None else None
    query = make_query(types, collections, where, ids, find_first=find_first, at=span)
    with reading(repository, catalog=catalog) as session:
        search = plan_search(session, query, order_by=split(order_by))

        def places(rows: list[tuple[Any, ...]]) -> dict[str, tuple[str, ...]]:
            found = file_uris(session, parse_ids(session, [str(row[0]) for row in rows]))
            return {str(identifier): uris for identifier, uris in found.items()}

        number = show_datasets(
            context,
            output,
            {"registry": repository.name},
            find_rows(session, search, limit=limit),
            lambda number: {"count": number, "skipped": list(search.skipped)},
            places if uris else None,
        )
    _tell_skipped(search.skipped)
    tell(f"{count(number, 'dataset')}.")
    if not number:
        raise typer.Exit(4)


def _tell_skipped(skipped: tuple[str, ...]) -> None:
    if skipped:
        shown = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        tell(f"Passed over {count(len(skipped), 'dataset type')} without the dimensions of the expression: {shown}.")


@app.command()
def show(
    context: typer.Context,
    repo: Repo,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Identifier of the dataset.", show_default=False)],
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show all that the registry knows about a dataset."""
    from registrytool.maintain.session import reading
    from registrytool.maintain.show import show_dataset

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = show_dataset(session, identifier)
    answer(context, output, {"registry": repository.name, **found.to_dict()}, lambda: _show(found))


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


@app.command()
def move(
    context: typer.Context,
    repo: Repo,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run to move them into; it is made if missing.")],
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Move datasets into another run, with their tags, certifications and files.

    All are moved in one transaction. Files stay where they are, though their path names the old run.
    """
    from registrytool.maintain.transfer import move_datasets

    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids)
    plan = move_datasets(repository, query, run, catalog=catalog, dry_run=True)
    if not dry_run and plan.total:
        confirmed(f"Move {count(plan.total, 'dataset')} into {run}?", yes=yes)
        with progress(context) as shown:
            plan = move_datasets(repository, query, run, catalog=catalog, progress=shown)
    _tell_skipped(plan.skipped)
    data = {"registry": repository.name, "dry_run": dry_run, **plan.to_dict()}
    answer(context, output, data, lambda: _transferred("moved", plan, dry_run=dry_run))


@app.command()
def copy(
    context: typer.Context,
    repo: Repo,
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
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Copy datasets into another run, as datasets of their own.

    All are copied in one transaction. A file that is shared is deleted with the last dataset that uses it.
    """
    from registrytool.maintain.transfer import Files, copy_datasets

    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids, find_first=find_first)
    with progress(context) as shown:
        plan = copy_datasets(
            repository,
            query,
            run,
            files=Files(files.value),
            ids=new_ids.value,
            catalog=catalog,
            dry_run=dry_run,
            progress=shown,
        )
    _tell_skipped(plan.skipped)
    data = {"registry": repository.name, "dry_run": dry_run, **plan.to_dict()}
    answer(context, output, data, lambda: _transferred("copied", plan, dry_run=dry_run))


def _transferred(verb: str, plan: TransferPlan, *, dry_run: bool) -> None:
    if plan.datasets:
        show_table(("type", "rows"), list(plan.datasets.items()))
    would = "would be " if dry_run else ""
    into = f"the new run {plan.run}" if plan.new_run else f"the run {plan.run}"
    say(f"{count(plan.total, 'dataset')} {would}{verb} into {into}.")


@app.command()
def remove(
    context: typer.Context,
    repo: Repo,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
    empty_trash: EmptyTrash = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Remove datasets altogether; their files go to the trash.

    Removes in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.maintain.prune import Mode

    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids)
    _prune(context, repository, catalog, query, Mode.PURGE, (), output, empty=empty_trash, dry_run=dry_run, yes=yes)


@app.command()
def prune(
    context: typer.Context,
    repo: Repo,
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
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Take datasets out of tagged collections, or out of the datastores.

    Works in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.prune import Mode

    if bool(disassociate) == unstore:
        message = "Either --disassociate or --unstore says what becomes of the datasets."
        raise ConfigurationError(message, hint="'registrytool dataset remove' removes them altogether.")
    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids)
    mode, tagged = (Mode.UNSTORE, ()) if unstore else (Mode.DISASSOCIATE, split(disassociate))
    _prune(context, repository, catalog, query, mode, tagged, output, empty=empty_trash, dry_run=dry_run, yes=yes)


def _prune(
    context: typer.Context,
    repository: Repository,
    catalog: Catalog,
    query: Any,
    mode: Mode,
    tagged: tuple[str, ...],
    output: Any,
    *,
    empty: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    from registrytool.maintain.prune import apply_prune
    from registrytool.maintain.prune import prune as plan_only
    from registrytool.maintain.trash import empty_trash

    plan = plan_only(repository, query, mode, tagged=tagged, catalog=catalog, dry_run=True)
    emptied: TrashReport | None = None
    if not dry_run and plan.total:
        verb = {"purge": "Remove", "unstore": "Delete the files of", "disassociate": "Disassociate"}[mode.value]
        confirmed(f"{verb} {count(plan.total, 'dataset')} of {hide_passwords(repository.name)}?", yes=yes)
        with progress(context) as shown:
            apply_prune(repository, plan, catalog=catalog, progress=shown)
            if empty:
                emptied = empty_trash(repository, ids=plan.ids, catalog=catalog, progress=shown)
    _tell_skipped(plan.skipped)
    data = {
        "registry": repository.name,
        "dry_run": dry_run,
        **plan.to_dict(),
        "trash": None if emptied is None else emptied.to_dict(),
    }
    answer(context, output, data, lambda: _pruned(plan, emptied, dry_run=dry_run))
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
    if emptied is not None:
        _emptied(emptied, dry_run=False)
    elif plan.stored:
        say(f"The files of {plan.stored} {'would go' if dry_run else 'are in'} {'to ' if dry_run else ''}the trash.")
        if not dry_run:
            say("'registrytool dataset trash empty' deletes them.")


@app.command()
def orphans(
    context: typer.Context,
    repo: Repo,
    files: Annotated[
        bool, typer.Option("--files", help="Compare the files of the datastores with the records.")
    ] = False,
    examples: Annotated[int, typer.Option(min=0, help="How many of each kind are named.")] = 20,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Find rows, records and files that belong to nothing.

    Exits with 4 if something is wrong. Datasets without files, and what is in the trash, are not.
    """
    from registrytool.maintain.orphans import find_orphans
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session, progress(context) as shown:
        found = find_orphans(session, files=files, examples=examples, progress=shown)
    answer(context, output, {"registry": repository.name, **found.to_dict()}, lambda: _orphans(found))
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


@trash.command("list")
def trash_list(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show how much is in the trash of each datastore."""
    from registrytool.maintain.session import reading
    from registrytool.maintain.trash import list_trash

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = list_trash(session)

    def table() -> None:
        if not found:
            say("The trash is empty.")
            return
        show_table(
            ("datastore", "rows", "records", "size in bytes"),
            [(e.datastore, e.datasets, e.files, e.size_bytes) for e in found],
        )

    answer(context, output, {"registry": repository.name, "datastores": [e.to_dict() for e in found]}, table)


@trash.command("empty")
def trash_empty(
    context: typer.Context,
    repo: Repo,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Delete the files that are in the trash.

    A file that another dataset uses is kept. Exits with 4 if a file could not be deleted.
    """
    from registrytool.maintain.trash import empty_trash

    repository, catalog = _open(repo, db, namespace, content)
    if not dry_run:
        confirmed(f"Delete the files in the trash of {hide_passwords(repository.name)}?", yes=yes)
    with progress(context) as shown:
        found = empty_trash(repository, catalog=catalog, dry_run=dry_run, progress=shown)
    data = {"registry": repository.name, "dry_run": dry_run, **found.to_dict()}
    answer(context, output, data, lambda: _emptied(found, dry_run=dry_run))
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
