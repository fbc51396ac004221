"""Collections of a registry: reading them, finding them by name, making them.

What a search through a chain finds first is what the Butler finds first: children come in their order, a chain within
a chain in its place, and a collection that comes again is passed over.
"""

from __future__ import annotations

import difflib
import enum
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError

if TYPE_CHECKING:
    from collections.abc import Collection as Bag

    from .session import Session


class CollectionType(enum.IntEnum):
    """Kind of a collection, by the number that the format has for it."""

    RUN = 1
    TAGGED = 2
    CHAINED = 3
    CALIBRATION = 4


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection.

    Attributes
    ----------
    key : `int` or `str`
        What tables refer to it by: its number, or its name.
    name : `str`
        Its name.
    type : `CollectionType`
        Its kind.
    doc : `str` or `None`
        Its documentation.
    children : `tuple` [`str`, ...]
        Names of the collections of a chain, in the order in which they are searched.
    """

    key: int | str
    name: str
    type: CollectionType
    doc: str | None = None
    children: tuple[str, ...] = ()


class Collections(Mapping[str, Collection]):
    """All collections of a registry, by name.

    Parameters
    ----------
    collections : `~collections.abc.Iterable` [`Collection`]
        The collections.
    where : `str`
        Name of the registry, for messages.
    """

    def __init__(self, collections: Iterable[Collection], *, where: str) -> None:
        self._where = where
        self._by_name = {c.name: c for c in sorted(collections, key=lambda c: c.name)}
        self._parents: dict[str, list[str]] = {}
        for collection in self._by_name.values():
            for child in dict.fromkeys(collection.children):
                self._parents.setdefault(child, []).append(collection.name)

    def __getitem__(self, name: str) -> Collection:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def by_key(self) -> dict[int | str, Collection]:
        """Return the collections by what tables refer to them by."""
        return {c.key: c for c in self._by_name.values()}

    def require(self, name: str, *types: CollectionType) -> Collection:
        """Return a collection that must be there.

        Parameters
        ----------
        name : `str`
            Its name.
        *types : `CollectionType`
            What it must be one of, if that matters.

        Raises
        ------
        RegistryStateError
            There is no such collection, or it is of another type.
        """
        found = self._by_name.get(name)
        if found is None:
            message = f"There is no collection {name!r} in the registry of {self._where}."
            raise RegistryStateError(message, hint=suggestion(name, self._by_name, "registrytool collection list"))
        if types and found.type not in types:
            wanted = " or ".join(t.name for t in types)
            message = f"The collection {name!r} is of type {found.type.name}, and one of type {wanted} is needed."
            raise RegistryStateError(message)
        return found

    def matching(self, globs: Iterable[str] = (), types: Bag[CollectionType] | None = None) -> tuple[Collection, ...]:
        """Return the collections that match any of some patterns, in alphabetical order.

        Parameters
        ----------
        globs : `~collections.abc.Iterable` [`str`], optional
            Names, or patterns with ``*``, ``?`` and ``[...]``; none stands for all.  A collection can have such signs
            in its name: what is the whole name of a collection means that collection.
        types : `~collections.abc.Collection` [`CollectionType`], optional
            Kinds wanted; by default all.

        Returns
        -------
        found : `tuple` [`Collection`, ...]
            The collections; none if only patterns were given and nothing matches.

        Raises
        ------
        RegistryStateError
            There is no collection of a name without wildcards.
        """
        patterns = list(globs)
        names: set[str] = set() if patterns else set(self._by_name)
        for pattern in patterns:
            if pattern in self._by_name or not is_glob(pattern):
                names.add(self.require(pattern).name)
            else:
                match = re.compile(fnmatch.translate(pattern)).match
                names.update(name for name in self._by_name if match(name))
        return tuple(c for c in self._by_name.values() if c.name in names and (types is None or c.type in types))

    def flatten(self, names: Iterable[str], types: Bag[CollectionType] | None = None) -> tuple[Collection, ...]:
        """Return what a search through some collections looks into, in its order and without repetitions.

        Parameters
        ----------
        names : `~collections.abc.Iterable` [`str`]
            Names of collections, in the order in which they are searched.
        types : `~collections.abc.Collection` [`CollectionType`], optional
            Kinds wanted; by default all but chains.  With chains, each comes before what is in it.

        Raises
        ------
        RegistryStateError
            There is no such collection.
        """
        wanted = frozenset(types) if types is not None else frozenset(CollectionType) - {CollectionType.CHAINED}
        found = [c for name in names for c in self._search(self.require(name))]
        return tuple(c for c in dict.fromkeys(found) if c.type in wanted)

    def _search(self, start: Collection) -> Iterator[Collection]:
        seen: set[str] = set()
        stack = [start]
        while stack:
            collection = stack.pop()
            if collection.name not in seen:
                seen.add(collection.name)
                yield collection
                stack.extend(self._by_name[child] for child in reversed(collection.children))

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the names of the chains that a collection is a direct child of, in alphabetical order."""
        return tuple(self._parents.get(name, ()))


def is_glob(text: str) -> bool:
    """Return whether a text has wildcards; a bracket alone is none."""
    return re.search(r"[*?]|\[.*\]", text) is not None


def suggestion(name: str, known: Iterable[str], command: str) -> str:
    """Return what to do about a name that is not known: near ones, or a command that shows all."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"'{command}' shows what there is."


def load_collections(session: Session) -> Collections:
    """Read all collections of a registry.

    Parameters
    ----------
    session : `Session`
        The open registry.

    Returns
    -------
    collections : `Collections`
        The collections, by name.
    """
    table, chain = session.table("collection"), session.table("collection_chain")
    key = table.c[session.collection_key]
    rows = session.rows(sa.select(key.label("key"), table.c.name, table.c.type, _documentation(session)))
    names = {row.key: row.name for row in rows}
    children: dict[Any, list[str]] = {}
    for row in session.rows(sa.select(chain.c.parent, chain.c.child).order_by(chain.c.parent, chain.c.position)):
        children.setdefault(row.parent, []).append(names[row.child])
    return Collections(
        (
            Collection(row.key, row.name, CollectionType(row.type), row.doc, tuple(children.get(row.key, ())))
            for row in rows
        ),
        where=session.repository.name,
    )


def find_collection(session: Session, name: str) -> Collection | None:
    """Return a collection without its children, or `None` if there is none of that name."""
    table = session.table("collection")
    key = table.c[session.collection_key]
    query = sa.select(key.label("key"), table.c.name, table.c.type, _documentation(session)).where(table.c.name == name)
    row = next(iter(session.rows(query)), None)
    return None if row is None else Collection(row.key, row.name, CollectionType(row.type), row.doc)


def _documentation(session: Session) -> sa.ColumnElement[Any]:
    return session.table("collection").c.doc if session.has_documentation else sa.null().label("doc")


def check_documentation(session: Session, doc: str | None) -> None:
    """Check that a collection can have some documentation, if any is wanted.

    Raises
    ------
    RegistryStateError
        Collections of this registry have none.
    """
    if doc is not None and not session.has_documentation:
        version = session.state["collections"].version
        message = (
            f"The collections of {session.repository.name} are of version {version}, which has no place for "
            "documentation."
        )
        raise RegistryStateError(message, hint="Leave it out, or migrate the registry before.")


def check_collection_name(name: str) -> None:
    """Check that something can be the name of a new collection.

    Raises
    ------
    RegistryStateError
        It cannot.
    """
    if not name or not name.isprintable():
        message = f"A collection cannot have the name {name!r}."
        raise RegistryStateError(message, hint="A name has at least one sign, and none that cannot be printed.")


def ensure_collection(session: Session, name: str, type: CollectionType, *, doc: str | None = None) -> Collection:  # noqa: A002 (as the format calls it)
    """Return a collection; it is made if there is none of that name.

    Others can do the same at the same time: all get the one collection.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.
    type : `CollectionType`
        Its kind.
    doc : `str`, optional
        Documentation of a new collection; that of an old one stays as it is.

    Returns
    -------
    collection : `Collection`
        The collection, without its children.

    Raises
    ------
    RegistryStateError
        There is a collection of that name and another type, or it cannot be a name.
    """
    found = find_collection(session, name)
    if found is None:
        check_collection_name(name)
        check_documentation(session, doc)
        row: dict[str, Any] = {"name": name, "type": int(type)}
        if doc is not None:
            row["doc"] = doc
        if not session.by_name:
            (row["collection_id"],) = session.new_ids("collection", "collection_id", 1)
        # Somebody else can have been faster; then this waits for him, and makes nothing.
        session.execute(insert_missing(session, "collection"), row)
        found = find_collection(session, name)
    if found is None:  # pragma: no cover (somebody else made it and removed it again in between)
        message = f"The collection {name!r} was made and removed by somebody else at the same time."
        raise RegistryStateError(message, hint="Run the same command again.")
    if found.type is not type:
        message = f"There is a collection {name!r} of type {found.type.name}, and one of type {type.name} is wanted."
        raise RegistryStateError(message, hint="Choose another name.")
    if type is CollectionType.RUN:
        session.execute(insert_missing(session, "run"), {session.collection_key: found.key})
    return found


def insert_missing(session: Session, table: str) -> Any:
    """Return the INSERT that passes over rows which are there already, on either database."""
    if session.dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(session.table(table)).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(session.table(table)).on_conflict_do_nothing()
