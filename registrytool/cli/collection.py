"""``registrytool collection``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import DryRun, FindFirst, Ids, InCollections, Where, make_query
from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, progress, say, show_table, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.maintain.associations import AssociationPlan
    from registrytool.maintain.chains import ChainReport
    from registrytool.maintain.collection_changes import CollectionReport, RemovalPlan
    from registrytool.maintain.collection_list import CollectionDetails, CollectionInfo

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, make, document, rename and remove collections."
)
chain = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Edit chains of collections.")
app.add_typer(chain, name="chain")


class Kind(enum.StrEnum):
    """Kind of a collection."""

    RUN = "RUN"
    TAGGED = "TAGGED"
    CHAINED = "CHAINED"
    CALIBRATION = "CALIBRATION"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the collection.", show_default=False)]
Globs = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Argument(metavar="NAME", help="Names, or patterns such as 'u/*'; none stands for all."),
]
Kinds = Annotated[
    Optional[list[Kind]],  # noqa: UP045
    typer.Option("--type", case_sensitive=False, help="Kind of collections; can be repeated."),
]
Types = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--dataset-type", metavar="TYPE", help="Dataset type, or a pattern; can be repeated."),
]
Chain = Annotated[str, typer.Argument(metavar="CHAIN", help="Name of the chain.", show_default=False)]
Children = Annotated[list[str], typer.Argument(metavar="CHILD", help="Names of collections, in the order of a search.")]
MoreRepos = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--repo", metavar="REPO", help="Another repository to edit in the same way; can be repeated."),
]


@app.command("list")
def list_(
    context: typer.Context,
    repo: Repo,
    globs: Globs = None,
    kinds: Kinds = None,
    counts: Annotated[bool, typer.Option("--counts", help="Count what is in them, by dataset type.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Show chains as trees.")] = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """List collections, with the chains that they are in."""
    found, everything = _listed(repo, db, namespace, content, globs, kinds, counts=counts)
    data = {"registry": _shown(repo), "collections": [info.to_dict() for info in found]}
    answer(context, output, data, lambda: _list(found, everything, counts=counts, tree=tree))


def _open(repo: str, db: str | None, namespace: str | None, content: Any) -> tuple[Any, Any]:
    from registrytool.catalog import Catalog
    from registrytool.config import Content
    from registrytool.repository import open_repository

    return open_repository(repo, db=db, namespace=namespace), Catalog(Content.find(content))


def _shown(repo: str) -> str:
    from ._output import hide_passwords

    return hide_passwords(repo)


def _listed(
    repo: str, db: str | None, namespace: str | None, content: Any, globs: Any, kinds: Any, *, counts: bool
) -> tuple[Sequence[CollectionInfo], dict[str, CollectionInfo]]:
    """Return the wanted collections, and all of them by name."""
    from registrytool.maintain.collection_list import list_collections
    from registrytool.maintain.collections import CollectionType
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    types = {CollectionType[kind.name] for kind in kinds} if kinds else None
    with reading(repository, catalog=catalog) as session:
        found = list_collections(session, globs or (), types, counts=counts)
        everything = {info.name: info for info in list_collections(session)}
    return found, everything | {info.name: info for info in found}


def _list(found: Sequence[CollectionInfo], everything: dict[str, CollectionInfo], *, counts: bool, tree: bool) -> None:
    from registrytool.maintain.collection_tree import branch, tree_nodes

    if tree:
        rows = [(branch(n) + n.name, n.type, n.total) for n in tree_nodes(found, everything)]
        show_table(("name", "type", "rows"), rows if counts else [row[:2] for row in rows])
    elif counts:
        lines: list[tuple[Any, ...]] = []
        for info in found:
            numbers: list[tuple[str, int | None]] = [*(info.counts or {}).items()] or [("", None)]
            for i, (dataset_type, number) in enumerate(numbers):
                head = (info.name, info.type) if i == 0 else ("", "")
                lines.append((*head, dataset_type, number))
        show_table(("name", "type", "dataset type", "rows"), lines)
    else:
        show_table(("name", "type", "in the chains"), [(i.name, i.type, ", ".join(i.parents)) for i in found])
    say(f"{count(len(found), 'collection')}.")


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
    """Show a collection: documentation, children, parents, summary and what is in it."""
    from registrytool.maintain.collection_list import show_collection
    from registrytool.maintain.session import reading

    repository, catalog = _open(repo, db, namespace, content)
    with reading(repository, catalog=catalog) as session:
        found = show_collection(session, name)
    data = {"registry": _shown(repo), **found.info.to_dict(), "summary": found.to_dict()}
    del data["summary"]["info"]
    answer(context, output, data, lambda: _show(found))


def _show(found: CollectionDetails) -> None:
    info = found.info
    lines = [
        ("name", info.name),
        ("type", info.type),
        ("documentation", info.doc or ""),
        *(("child", name) for name in info.children),
        *(("in the chain", name) for name in info.parents),
        *(("dataset type", f"{name} ({(info.counts or {}).get(name, 0)})") for name in found.dataset_types),
        *((governor, value) for governor, values in found.governors.items() for value in values),
    ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        say(f"{name:<{width}}  {value}".rstrip())


@app.command()
def create(
    context: typer.Context,
    repo: Repo,
    name: Name,
    kind: Annotated[Kind, typer.Option("--type", case_sensitive=False, help="Kind of the collection.")],
    doc: Annotated[Optional[str], typer.Option(metavar="TEXT", help="Its documentation.")] = None,  # noqa: UP045
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Make an empty collection; one that is there already, and the same, is left alone."""
    from registrytool.maintain.collection_changes import create_collection
    from registrytool.maintain.collections import CollectionType

    repository, catalog = _open(repo, db, namespace, content)
    report = create_collection(repository, name, CollectionType[kind.name], doc=doc, catalog=catalog, dry_run=dry_run)
    _answer_report(context, output, report, "made", "is there already", dry_run=dry_run)


def _answer_report(
    context: typer.Context, output: Any, report: CollectionReport, done: str, not_done: str, *, dry_run: bool
) -> None:
    def table() -> None:
        what = f"The collection {report.collection!r} of type {report.type}"
        if not report.changed:
            say(f"{what} {not_done}.")
        else:
            say(f"{what} {'would be' if dry_run else 'was'} {done}.")

    answer(context, output, {**report.to_dict(), "dry_run": dry_run}, table)


@app.command()
def doc(
    context: typer.Context,
    repo: Repo,
    name: Name,
    text: Annotated[Optional[str], typer.Option("--set", metavar="TEXT", help="The new documentation.")] = None,  # noqa: UP045
    clear: Annotated[bool, typer.Option("--clear", help="Take the documentation away.")] = False,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show or set the documentation of a collection."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.collection_changes import document_collection
    from registrytool.maintain.collections import load_collections
    from registrytool.maintain.session import reading

    if text is not None and clear:
        message = "Both --set and --clear say what becomes of the documentation."
        raise ConfigurationError(message, hint="Leave one of them out.")
    repository, catalog = _open(repo, db, namespace, content)
    if text is None and not clear:
        with reading(repository, catalog=catalog) as session:
            found = load_collections(session).require(name)
        data = {"registry": _shown(repo), "collection": name, "type": found.type.name, "doc": found.doc}
        answer(context, output, data, lambda: say(found.doc or ""))
        return
    report = document_collection(repository, name, text or None, catalog=catalog, dry_run=dry_run)
    _answer_report(context, output, report, "documented", "has this documentation already", dry_run=dry_run)


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
    """Give a collection another name; all that is in it stays, and files stay where they are."""
    from registrytool.maintain.collection_changes import rename_collection

    repository, catalog = _open(repo, db, namespace, content)
    report = rename_collection(repository, name, new_name, catalog=catalog, dry_run=dry_run)
    _answer_report(context, output, report, f"renamed to {new_name!r}", "has this name already", dry_run=dry_run)


@app.command()
def remove(
    context: typer.Context,
    repo: Repo,
    name: Name,
    unlink: Annotated[bool, typer.Option("--unlink", help="Take it out of the chains that it is in.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Remove a collection; a run with all of its datasets, whose files go to the trash.

    What is in it is removed in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.maintain.collection_changes import apply_removal, remove_collection

    repository, catalog = _open(repo, db, namespace, content)
    plan = remove_collection(repository, name, unlink=unlink, catalog=catalog, dry_run=True)
    if not dry_run:
        inside = f" with {count(plan.total, 'dataset')}" if plan.type == "RUN" else ""
        confirmed(f"Remove the collection {name!r} of type {plan.type}{inside}?", yes=yes)
        with progress(context) as shown:
            apply_removal(repository, plan, catalog=catalog, progress=shown)
    answer(context, output, {**plan.to_dict(), "dry_run": dry_run}, lambda: _removed(plan, dry_run=dry_run))


def _removed(plan: RemovalPlan, *, dry_run: bool) -> None:
    what = "dataset type" if plan.type == "RUN" else "certifications of" if plan.type == "CALIBRATION" else "tags of"
    rows: list[tuple[str, str, int | None]] = [
        *((what, name, number) for name, number in plan.contents.items()),
        *(("tagged or certified in", name, number) for name, number in plan.elsewhere.items()),
        *(("in the chain", name, None) for name in plan.parents),
    ]
    if rows:
        show_table(("what", "name", "rows"), rows)
    say(f"The collection {plan.collection!r} of type {plan.type} {'would be' if dry_run else 'was'} removed.")
    if plan.stored:
        files = f"The files of {count(plan.stored, 'dataset')}"
        say(f"{files} would go to the trash." if dry_run else f"{files} are in the trash.")
        if not dry_run:
            say("'registrytool dataset trash empty' deletes them.")


# -- tags ---------------------------------------------------------------------------


@app.command()
def associate(
    context: typer.Context,
    repo: Repo,
    name: Name,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    find_first: FindFirst = False,
    ids: Ids = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Put datasets into a tagged collection: those of a query, of a list of identifiers, or of other collections."""
    from registrytool.maintain.associations import associate as act

    _require_choice(types, collections, where, ids)
    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids, find_first=find_first)
    plan = act(repository, name, query, catalog=catalog, dry_run=dry_run)
    _answer_association(context, output, plan, "put into", dry_run=dry_run)


@app.command()
def disassociate(
    context: typer.Context,
    repo: Repo,
    name: Name,
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
    """Take datasets out of a tagged collection; they stay in their runs."""
    from registrytool.maintain.associations import disassociate as act

    _require_choice(types, collections, where, ids)
    repository, catalog = _open(repo, db, namespace, content)
    query = make_query(types, collections, where, ids)
    plan = act(repository, name, query, catalog=catalog, dry_run=True)
    if not dry_run and plan.total:
        confirmed(f"Take {count(plan.total, 'dataset')} out of {name!r}?", yes=yes)
        plan = act(repository, name, query, catalog=catalog)
    _answer_association(context, output, plan, "taken out of", dry_run=dry_run)


def _require_choice(types: Any, collections: Any, where: str | None, ids: Path | None) -> None:
    from registrytool.errors import ConfigurationError

    if not types and not collections and not where and ids is None:
        message = "It was not said which datasets are meant."
        hint = "Choose by --dataset-type, --collections, --where or --ids; --dataset-type '*' means all."
        raise ConfigurationError(message, hint=hint)


def _answer_association(
    context: typer.Context, output: Any, plan: AssociationPlan, verb: str, *, dry_run: bool
) -> None:
    def table() -> None:
        if plan.datasets:
            show_table(("dataset type", "rows"), list(plan.datasets.items()))
        would = "would be" if dry_run else "was" if plan.total == 1 else "were"
        say(f"{count(plan.total, 'dataset')} {would} {verb} {plan.collection!r}.")
        if plan.present:
            say(f"{count(plan.present, 'dataset')} {'is' if plan.present == 1 else 'are'} in it already.")

    if plan.skipped:
        tell(f"Passed over {count(len(plan.skipped), 'dataset type')} without the dimensions of the expression.")
    answer(context, output, {**plan.to_dict(), "total": plan.total, "dry_run": dry_run}, table)


# -- chains -------------------------------------------------------------------------


def _edit(
    context: typer.Context,
    output: Any,
    places: tuple[str, list[str] | None, str | None, str | None, Any],
    words: tuple[str, str, Sequence[str], Sequence[int]],
    *,
    dry_run: bool,
) -> None:
    """Edit a chain in all repositories that were named."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chains

    repo, more, db, namespace, content = places
    mode, name, children, indexes = words
    if more and (db or namespace):
        message = "With several repositories, --db and --namespace would be those of all."
        raise ConfigurationError(message, hint="Leave them out: each butler.yaml names its own.")
    opened = [_open(place, db, namespace, content) for place in (repo, *(more or ()))]
    edit = ChainEdit(name, ChainMode(mode), tuple(children), tuple(indexes))
    reports = edit_chains([r for r, _ in opened], edit, catalog=opened[0][1], dry_run=dry_run)
    data = {
        "chain": name,
        "mode": mode,
        "dry_run": dry_run,
        "registries": [{**r.to_dict(), "changed": r.changed} for r in reports],
    }
    answer(context, output, data, lambda: _edited(reports, dry_run=dry_run))


def _edited(reports: Sequence[ChainReport], *, dry_run: bool) -> None:
    for report in reports:
        where = f" of {report.registry}" if len(reports) > 1 else ""
        if not report.changed:
            say(f"The chain {report.chain!r}{where} is as wanted already: {', '.join(report.after) or 'empty'}.")
            continue
        say(f"The chain {report.chain!r}{where} {'would be' if dry_run else 'is now'}:")
        for name in report.after:
            say(f"  {'  ' if name in report.before else '+ '}{name}")
        for name in report.before:
            if name not in report.after:
                say(f"  - {name}")


@chain.command("set")
def set_(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    children: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="CHILD", help="Names of collections, in the order of a search; none empties it."),
    ] = None,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Give a chain other children."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("set", name, children or (), ()), dry_run=dry_run)


@chain.command()
def prepend(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Put collections in front of the others of a chain."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("prepend", name, children, ()), dry_run=dry_run)


@chain.command()
def extend(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Put collections at the end of a chain."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("extend", name, children, ()), dry_run=dry_run)


@chain.command("remove")
def remove_(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Take collections out of a chain; what is not in it is passed over."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("remove", name, children, ()), dry_run=dry_run)


@chain.command()
def pop(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    indexes: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--index", metavar="N", help="Place, counted from 0, or from -1 at the end; can be repeated."),
    ] = None,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Take the first child, or those at some places, out of a chain."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("pop", name, (), indexes or (0,)), dry_run=dry_run)


@chain.command()
def flatten(
    context: typer.Context,
    repo: Repo,
    name: Chain,
    more: MoreRepos = None,
    dry_run: DryRun = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Replace the chains in a chain by what is in them."""
    places = (repo, more, db, namespace, content)
    _edit(context, output, places, ("flatten", name, (), ()), dry_run=dry_run)


# -- the picture --------------------------------------------------------------------


@app.command()
def tree(
    context: typer.Context,
    repo: Repo,
    globs: Globs = None,
    svg: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Draw a picture into a file.")] = None,  # noqa: UP045
    inverse: Annotated[
        bool, typer.Option("--inverse", help="Go from children to the chains that they are in.")
    ] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Count what is in them.")] = False,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show chains and what is in them as a tree."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.collection_tree import branch, tree_nodes, tree_svg

    _, everything = _listed(repo, db, namespace, content, None, None, counts=counts)
    found, _ = _listed(repo, db, namespace, content, globs, None, counts=False)
    nodes = tree_nodes([everything[info.name] for info in found], everything, inverse=inverse)
    if svg is not None:
        title = f"Collections of {_shown(repo)}"
        try:
            svg.write_text(tree_svg(nodes, title), encoding="utf-8")
        except OSError as error:
            message = f"Cannot write {svg}: {error.strerror}."
            raise ConfigurationError(message, hint="Choose another place.") from error

    def table() -> None:
        if svg is not None:
            say(f"The picture of {count(len(nodes), 'collection')} is in {svg}.")
            return
        for node in nodes:
            number = "" if node.total is None else f" {node.total:,}"
            say(f"{branch(node)}{node.name}  {node.type}{number}")

    data = {"registry": _shown(repo), "nodes": [n.to_dict() for n in nodes], "svg": None if svg is None else str(svg)}
    answer(context, output, data, table)
