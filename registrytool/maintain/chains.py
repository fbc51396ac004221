"""Edit chains of collections, in one repository or the same way in several.

Positions are those that the Butler gives: a chain that is set anew counts from 0, what is put in front or at the end
counts on from what is there.  An edit locks the row of the chain, as Butlers do, so that none is lost.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError, RegistryToolError
from registrytool.models import _Model

from .collections import Collections, CollectionType, load_collections
from .session import change, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .collections import Collection
    from .session import Session

#: Positions that a small integer can hold.
_LOWEST, _HIGHEST = -32768, 32767


class ChainMode(enum.Enum):
    """What is done to a chain."""

    SET = "set"
    PREPEND = "prepend"
    EXTEND = "extend"
    REMOVE = "remove"
    POP = "pop"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class ChainEdit(_Model):
    """An edit of a chain.

    Attributes
    ----------
    chain : `str`
        Name of the chain.
    mode : `ChainMode`
        What is done to it.
    children : `tuple` [`str`, ...]
        Names of the children that are set, put in front, put at the end or removed.
    indexes : `tuple` [`int`, ...]
        Places of the children that are popped, counted from 0, or from -1 at the end.
    """

    chain: str
    mode: ChainMode
    children: tuple[str, ...] = ()
    indexes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainReport(_Model):
    """What an edit does, or did, to a chain.

    Attributes
    ----------
    registry : `str`
        Name of the registry.
    chain : `str`
        Name of the chain.
    before, after : `tuple` [`str`, ...]
        Its children.
    """

    registry: str
    chain: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether the children or their order are others."""
        return self.before != self.after


def plan_chain_edit(session: Session, edit: ChainEdit, collections: Collections | None = None) -> ChainReport:
    """Say what an edit would do.

    Parameters
    ----------
    session : `Session`
        The open registry.
    edit : `ChainEdit`
        The edit.
    collections : `Collections`, optional
        All collections, if they are known.

    Returns
    -------
    report : `ChainReport`
        Children before and after.

    Raises
    ------
    RegistryStateError
        There is no such collection, the chain is of another type, there is no child at that place, or the chain would
        lead back to itself.
    """
    collections = collections if collections is not None else load_collections(session)
    chain = collections.require(edit.chain, CollectionType.CHAINED)
    named = tuple(dict.fromkeys(edit.children))
    for name in named:
        collections.require(name)
    before = chain.children
    rest = tuple(name for name in before if name not in named)
    match edit.mode:
        case ChainMode.SET:
            after = named
        case ChainMode.PREPEND:
            after = (*named, *rest)
        case ChainMode.EXTEND:
            after = (*rest, *named)
        case ChainMode.REMOVE:
            after = rest
        case ChainMode.POP:
            after = _popped(chain, edit.indexes)
        case ChainMode.FLATTEN:
            after = tuple(c.name for c in collections.flatten(before))
    _check_no_circle(collections, chain, after)
    return ChainReport(session.repository.name, edit.chain, before, after)


def _popped(chain: Collection, indexes: Sequence[int]) -> tuple[str, ...]:
    number = len(chain.children)
    for index in indexes:
        if not -number <= index < number:
            message = f"The chain {chain.name!r} has {number} children, and none at place {index}."
            raise RegistryStateError(message, hint="Places are counted from 0, or from -1 at the end.")
    gone = {index % number for index in indexes}
    return tuple(name for i, name in enumerate(chain.children) if i not in gone)


def _check_no_circle(collections: Collections, chain: Collection, children: Sequence[str]) -> None:
    for child in children:
        found = collections.flatten([child], {CollectionType.CHAINED})
        if chain in found:
            way = "is the chain itself" if child == chain.name else f"leads to {chain.name!r}"
            message = f"The chain {chain.name!r} cannot have the child {child!r}, which {way}."
            raise RegistryStateError(message, hint="A search through it would never end.")


def edit_chain(
    repository: Repository, edit: ChainEdit, *, catalog: Catalog | None = None, dry_run: bool = False
) -> ChainReport:
    """Edit a chain in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    edit : `ChainEdit`
        The edit.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `ChainReport`
        Children before and after.

    Raises
    ------
    RegistryStateError
        See `plan_chain_edit`.
    """
    if dry_run:
        return look(repository, lambda session: plan_chain_edit(session, edit), catalog=catalog)
    wanted = f"change the chain {edit.chain!r} of {repository.name}"
    return change(repository, wanted, lambda session: apply_chain_edit(session, edit), catalog=catalog)


def edit_chains(
    repositories: Sequence[Repository], edit: ChainEdit, *, catalog: Catalog | None = None, dry_run: bool = False
) -> tuple[ChainReport, ...]:
    """Edit the chain of the same name in several repositories.

    All of them are read and checked before the first is changed.  Databases cannot commit together: each is changed in
    a transaction of its own, one after the other, and the first failure ends it.

    Parameters
    ----------
    repositories : sequence of `Repository`
        The repositories.
    edit : `ChainEdit`
        The edit.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    reports : `tuple` [`ChainReport`, ...]
        Children before and after, for each repository.

    Raises
    ------
    ConfigurationError
        A repository is named twice.
    RegistryStateError
        See `plan_chain_edit`; or a repository failed after others had been changed, and the sentence says which.
    """
    places = [(r.url, r.namespace) for r in repositories]
    twice = next((r for i, r in enumerate(repositories) if places[i] in places[:i]), None)
    if twice is not None:
        message = f"The repository {twice.name} is named twice."
        raise ConfigurationError(message, hint="Name each one once.")
    plans = tuple(edit_chain(repository, edit, catalog=catalog, dry_run=True) for repository in repositories)
    if dry_run:
        return plans
    done: list[ChainReport] = []
    for repository in repositories:
        try:
            done.append(edit_chain(repository, edit, catalog=catalog))
        except RegistryToolError as error:
            if not done:
                raise
            changed = ", ".join(report.registry for report in done)
            left = ", ".join(r.name for r in repositories[len(done) :])
            message = f"The chain {edit.chain!r} was changed in {changed}, and not in {left}: {error.message}"
            hint = "Run the same command again for those that are left."
            raise RegistryStateError(message, hint=hint) from error
    return tuple(done)


def apply_chain_edit(session: Session, edit: ChainEdit) -> ChainReport:
    """Edit a chain in an open transaction.

    Parameters
    ----------
    session : `Session`
        The open registry.
    edit : `ChainEdit`
        The edit.

    Returns
    -------
    report : `ChainReport`
        Children before and after.

    Raises
    ------
    RegistryStateError
        See `plan_chain_edit`.
    """
    lock_collections(session, [edit.chain])
    collections = load_collections(session)
    report = plan_chain_edit(session, edit, collections)
    if any(collections[name].type is CollectionType.CHAINED for name in report.after):
        # Others could make a circle together with this: one chain each, and neither sees the other's.
        session.lock_together("collection_chain", mode="SHARE ROW EXCLUSIVE")
        collections = load_collections(session)
        report = plan_chain_edit(session, edit, collections)
    key = collections[edit.chain].key
    named = [collections[name].key for name in dict.fromkeys(edit.children)]
    match edit.mode:
        case ChainMode.PREPEND if named:
            _remove(session, key, named)
            lowest = _bound(session, key, sa.func.min)
            _insert(session, key, named, (0 if lowest is None else lowest) - len(named))
        case ChainMode.EXTEND if named:
            _remove(session, key, named)
            highest = _bound(session, key, sa.func.max)
            # Also into an empty chain: the Butler begins with 1 there.
            _insert(session, key, named, (0 if highest is None else highest) + 1)
        case ChainMode.REMOVE:
            _remove(session, key, named)
        case ChainMode.SET | ChainMode.POP | ChainMode.FLATTEN:
            _set(session, key, [collections[name].key for name in report.after])
        case _:
            pass
    return report


def lock_collections(session: Session, names: Sequence[str]) -> None:
    """Lock the rows of some collections as Butlers do that change a chain; others can still refer to them."""
    table = session.table("collection")
    query = sa.select(table.c.name).where(table.c.name.in_(list(names))).order_by(table.c[session.collection_key])
    session.rows(query.with_for_update(key_share=True))


def _remove(session: Session, chain: Any, children: Sequence[Any]) -> None:
    table = session.table("collection_chain")
    session.execute(sa.delete(table).where(table.c.parent == chain, table.c.child.in_(list(children))))


def _bound(session: Session, chain: Any, function: Any) -> int | None:
    table = session.table("collection_chain")
    found = session.scalar(sa.select(function(table.c.position)).where(table.c.parent == chain))
    return None if found is None else int(found)


def _insert(session: Session, chain: Any, children: Sequence[Any], first: int) -> None:
    table = session.table("collection_chain")
    if first < _LOWEST or first + len(children) - 1 > _HIGHEST:
        # After tens of thousands of edits: what is there is counted from 0 again.
        query = sa.select(table.c.child).where(table.c.parent == chain).order_by(table.c.position)
        rest = [row.child for row in session.rows(query)]
        _set(session, chain, [*children, *rest] if first < 0 else [*rest, *children])
        return
    rows = [{"parent": chain, "position": first + i, "child": child} for i, child in enumerate(children)]
    session.execute(sa.insert(table), rows)


def _set(session: Session, chain: Any, children: Sequence[Any]) -> None:
    table = session.table("collection_chain")
    session.execute(sa.delete(table).where(table.c.parent == chain))
    if children:
        rows = [{"parent": chain, "position": i, "child": child} for i, child in enumerate(children)]
        session.execute(sa.insert(table), rows)
