"""``registrytool collection``."""

from __future__ import annotations

import enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import FindFirst, Ids, InCollections, Where, make_query, require_choice, tell_skipped
from ._output import count, say, show_table, write_file
from ._registry import Registry, changes, reads

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


@reads(app, "list")
def list_(
    registry: Registry,
    globs: Globs = None,
    kinds: Kinds = None,
    counts: Annotated[bool, typer.Option("--counts", help="Count what is in them, by dataset type.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Show chains as trees.")] = False,
) -> None:
    """List collections, with the chains that they are in."""
    found, everything = _listed(registry, globs, kinds, counts=counts)
    data = {"collections": [info.to_dict() for info in found]}
    registry.answer(data, lambda: _list(found, everything, counts=counts, tree=tree))


def _listed(
    registry: Registry, globs: Any, kinds: Any, *, counts: bool
) -> tuple[Sequence[CollectionInfo], dict[str, CollectionInfo]]:
    """Return the wanted collections, and all of them by name."""
    from registrytool.maintain.collection_list import list_collections
    from registrytool.maintain.collections import CollectionType

    types = {CollectionType[kind.name] for kind in kinds} if kinds else None
    with registry.reading() as session:
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


@reads(app)
def show(
    registry: Registry,
    name: Name,
) -> None:
    """Show a collection: documentation, children, parents, summary and what is in it."""
    from registrytool.maintain.collection_list import show_collection

    with registry.reading() as session:
        found = show_collection(session, name)
    data = {**found.info.to_dict(), "summary": found.to_dict()}
    del data["summary"]["info"]
    registry.answer(data, lambda: _show(found))


def _show(found: CollectionDetails) -> None:
    info, counts = found.info, found.info.counts
    lines = [
        ("name", info.name),
        ("type", info.type),
        ("documentation", info.doc or ""),
        *(("child", name) for name in info.children),
        *(("in the chain", name) for name in info.parents),
        *(
            ("dataset type", name if counts is None else f"{name} ({counts.get(name, 0)})")
            for name in found.dataset_types
        ),
        *((governor, value) for governor, values in found.governors.items() for value in values),
    ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        say(f"{name:<{width}}  {value}".rstrip())


@changes(app)
def create(
    registry: Registry,
    name: Name,
    kind: Annotated[Kind, typer.Option("--type", case_sensitive=False, help="Kind of the collection.")],
    doc: Annotated[Optional[str], typer.Option(metavar="TEXT", help="Its documentation.")] = None,  # noqa: UP045
) -> None:
    """Make an empty collection; one that is there already, and the same, is left alone."""
    from registrytool.maintain.collection_changes import create_collection
    from registrytool.maintain.collections import CollectionType

    act = partial(create_collection, registry.repository, name, CollectionType[kind.name], doc=doc)
    report = registry.carry_out(partial(act, catalog=registry.catalog))
    _answer_report(registry, report, "made", "is there already")


def _answer_report(registry: Registry, report: CollectionReport, done: str, not_done: str) -> None:
    def table() -> None:
        what = f"The collection {report.collection!r} of type {report.type}"
        if not report.changed:
            say(f"{what} {not_done}.")
        else:
            say(f"{what} {'would be' if registry.dry_run else 'was'} {done}.")

    registry.answer(report.to_dict(), table)


@changes(app)
def doc(
    registry: Registry,
    name: Name,
    text: Annotated[Optional[str], typer.Option("--set", metavar="TEXT", help="The new documentation.")] = None,  # noqa: UP045
    clear: Annotated[bool, typer.Option("--clear", help="Take the documentation away.")] = False,
) -> None:
    """Show or set the documentation of a collection."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.collection_changes import document_collection
    from registrytool.maintain.collections import load_collections

    if text is not None and clear:
        message = "Both --set and --clear say what becomes of the documentation."
        raise ConfigurationError(message, hint="Leave one of them out.")
    if text is None and not clear:
        with registry.reading() as session:
            found = load_collections(session).require(name)
        data = {"collection": name, "type": found.type.name, "doc": found.doc}
        registry.answer(data, lambda: say(found.doc or ""))
        return
    act = partial(document_collection, registry.repository, name, text, catalog=registry.catalog)
    report = registry.carry_out(act)
    _answer_report(registry, report, "documented", "has this documentation already")


@changes(app)
def rename(
    registry: Registry,
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.", show_default=False)],
) -> None:
    """Give a collection another name; all that is in it stays, and files stay where they are."""
    from registrytool.maintain.collection_changes import rename_collection

    act = partial(rename_collection, registry.repository, name, new_name, catalog=registry.catalog)
    report = registry.carry_out(act)
    _answer_report(registry, report, f"renamed to {new_name!r}", "has this name already")


@changes(app, asks=True)
def remove(
    registry: Registry,
    name: Name,
    unlink: Annotated[bool, typer.Option("--unlink", help="Take it out of the chains that it is in.")] = False,
) -> None:
    """Remove a collection; a run with all of its datasets, whose files go to the trash.

    What is in it is removed in pieces, each of which is committed. It can be stopped, and goes on when it is run again.
    """
    from registrytool.maintain.collection_changes import apply_removal, remove_collection

    def question(plan: RemovalPlan) -> str:
        inside = f" with {count(plan.total, 'dataset')}" if plan.type == "RUN" else ""
        return f"Remove the collection {name!r} of type {plan.type}{inside}?"

    plan = registry.carry_out(
        partial(remove_collection, registry.repository, name, unlink=unlink, catalog=registry.catalog),
        question,
        apply=lambda plan, shown: apply_removal(registry.repository, plan, catalog=registry.catalog, progress=shown),
    )
    registry.answer(plan.to_dict(), lambda: _removed(plan, dry_run=registry.dry_run))


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


@changes(app)
def associate(
    registry: Registry,
    name: Name,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    find_first: FindFirst = False,
    ids: Ids = None,
) -> None:
    """Put datasets into a tagged collection: those of a query, of a list of identifiers, or of other collections."""
    from registrytool.maintain.associations import associate as act

    require_choice(types, collections, where, ids)
    query = make_query(types, collections, where, ids, find_first=find_first)
    plan = registry.carry_out(partial(act, registry.repository, name, query, catalog=registry.catalog))
    _answer_association(registry, plan, "put into")


@changes(app, asks=True)
def disassociate(
    registry: Registry,
    name: Name,
    types: Types = None,
    collections: InCollections = None,
    where: Where = None,
    ids: Ids = None,
) -> None:
    """Take datasets out of a tagged collection; they stay in their runs."""
    from registrytool.maintain.associations import disassociate as act

    require_choice(types, collections, where, ids)
    query = make_query(types, collections, where, ids)
    plan = registry.carry_out(
        partial(act, registry.repository, name, query, catalog=registry.catalog),
        lambda plan: f"Take {count(plan.total, 'dataset')} out of {name!r}?" if plan.total else None,
    )
    _answer_association(registry, plan, "taken out of")


def _answer_association(registry: Registry, plan: AssociationPlan, verb: str) -> None:
    def table() -> None:
        if plan.datasets:
            show_table(("dataset type", "rows"), list(plan.datasets.items()))
        would = "would be" if registry.dry_run else "was" if plan.total == 1 else "were"
        say(f"{count(plan.total, 'dataset')} {would} {verb} {plan.collection!r}.")
        if plan.present:
            say(f"{count(plan.present, 'dataset')} {'is' if plan.present == 1 else 'are'} in it already.")

    tell_skipped(plan.skipped)
    registry.answer({**plan.to_dict(), "total": plan.total}, table)


# -- chains -------------------------------------------------------------------------


def _edit(
    registry: Registry,
    more: list[str] | None,
    mode: str,
    name: str,
    children: tuple[str, ...] = (),
    indexes: tuple[int, ...] = (),
) -> None:
    """Edit a chain in all repositories that were named."""
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chains

    if more and (registry.db or registry.namespace):
        message = "With several repositories, --db and --namespace would be those of all."
        raise ConfigurationError(message, hint="Leave them out: each butler.yaml names its own.")
    edit = ChainEdit(name, ChainMode(mode), children, indexes)
    opened = [registry.repository, *map(registry.open, more or ())]
    reports = registry.carry_out(partial(edit_chains, opened, edit, catalog=registry.catalog))
    data = {
        "chain": name,
        "mode": mode,
        "registries": [{**r.to_dict(), "changed": r.changed} for r in reports],
    }
    registry.answer(data, lambda: _edited(reports, dry_run=registry.dry_run))


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


@changes(chain, "set")
def set_(
    registry: Registry,
    name: Chain,
    children: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="CHILD", help="Names of collections, in the order of a search; none empties it."),
    ] = None,
    more: MoreRepos = None,
) -> None:
    """Give a chain other children."""
    _edit(registry, more, "set", name, tuple(children or ()))


@changes(chain)
def prepend(
    registry: Registry,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
) -> None:
    """Put collections in front of the others of a chain."""
    _edit(registry, more, "prepend", name, tuple(children))


@changes(chain)
def extend(
    registry: Registry,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
) -> None:
    """Put collections at the end of a chain."""
    _edit(registry, more, "extend", name, tuple(children))


@changes(chain, "remove")
def remove_(
    registry: Registry,
    name: Chain,
    children: Children,
    more: MoreRepos = None,
) -> None:
    """Take collections out of a chain; what is not in it is passed over."""
    _edit(registry, more, "remove", name, tuple(children))


@changes(chain)
def pop(
    registry: Registry,
    name: Chain,
    indexes: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--index", metavar="N", help="Place, counted from 0, or from -1 at the end; can be repeated."),
    ] = None,
    more: MoreRepos = None,
) -> None:
    """Take the first child, or those at some places, out of a chain."""
    _edit(registry, more, "pop", name, indexes=tuple(indexes or (0,)))


@changes(chain)
def flatten(
    registry: Registry,
    name: Chain,
    more: MoreRepos = None,
) -> None:
    """Replace the chains in a chain by what is in them."""
    _edit(registry, more, "flatten", name)


# -- the picture --------------------------------------------------------------------


@reads(app)
def tree(
    registry: Registry,
    globs: Globs = None,
    svg: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Draw a picture into a file.")] = None,  # noqa: UP045
    inverse: Annotated[
        bool, typer.Option("--inverse", help="Go from children to the chains that they are in.")
    ] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Count what is in them.")] = False,
) -> None:
    """Show chains and what is in them as a tree."""
    from registrytool.maintain.collection_tree import branch, tree_nodes, tree_svg

    _, everything = _listed(registry, None, None, counts=counts)
    found, _ = _listed(registry, globs, None, counts=False)
    nodes = tree_nodes([everything[info.name] for info in found], everything, inverse=inverse)
    if svg is not None:
        title = f"Collections of {registry.repository.name}"
        write_file(svg, tree_svg(nodes, title))

    def table() -> None:
        if svg is not None:
            say(f"The picture of {count(len(nodes), 'collection')} is in {svg}.")
            return
        for node in nodes:
            number = "" if node.total is None else f" {node.total:,}"
            say(f"{branch(node)}{node.name}  {node.type}{number}")

    data = {"nodes": [n.to_dict() for n in nodes], "svg": None if svg is None else str(svg)}
    registry.answer(data, table)
