"""List collections with what is in them, and show one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.models import _Model

from .collections import Collection, CollectionType, load_collections
from .dataset_types import load_dataset_types
from .pieces import chunks

if TYPE_CHECKING:
    from collections.abc import Collection as Bag
    from collections.abc import Iterable, Iterator, Mapping

    from .session import Session


@dataclass(frozen=True, slots=True)
class CollectionInfo(_Model):
    """A collection, and what is in it.

    Attributes
    ----------
    name, type : `str`
        Its name and kind.
    doc : `str` or `None`
        Its documentation.
    children : `tuple` [`str`, ...]
        What a chain has, in the order of a search.
    parents : `tuple` [`str`, ...]
        Chains that it is in.
    counts : `~collections.abc.Mapping` [`str`, `int`] or `None`
        Rows in it by dataset type: datasets of a run, tags, certifications; `None` if they were not counted, and for
        chains.
    """

    name: str
    type: str
    doc: str | None
    children: tuple[str, ...]
    parents: tuple[str, ...]
    counts: Mapping[str, int] | None = None

    @property
    def total(self) -> int | None:
        """Rows in it, `None` if they were not counted."""
        return None if self.counts is None else sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class CollectionDetails(_Model):
    """A collection with its summary; that of a chain is what all collections in it have.

    Attributes
    ----------
    info : `CollectionInfo`
        The collection, with numbers of rows.
    dataset_types : `tuple` [`str`, ...]
        Dataset types that its summary has: those that can be in it.
    governors : `~collections.abc.Mapping` [`str`, `tuple` [`str`, ...]]
        Values of governor dimensions that its summary has.
    """

    info: CollectionInfo
    dataset_types: tuple[str, ...] = ()
    governors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def list_collections(
    session: Session,
    globs: Iterable[str] = (),
    types: Bag[CollectionType] | None = None,
    *,
    counts: bool = False,
) -> tuple[CollectionInfo, ...]:
    """List collections.

    Parameters
    ----------
    session : `Session`
        The open registry.
    globs : `~collections.abc.Iterable` [`str`], optional
        Names or patterns; none stands for all.
    types : `~collections.abc.Collection` [`CollectionType`], optional
        Kinds wanted; by default all.
    counts : `bool`, optional
        Whether to count what is in them.

    Returns
    -------
    found : `tuple` [`CollectionInfo`, ...]
        The collections, in alphabetical order.

    Raises
    ------
    RegistryStateError
        There is no collection of a name without wildcards.
    """
    collections = load_collections(session)
    found = collections.matching(globs, types)
    numbers = _counts(session, found) if counts else None
    return tuple(
        CollectionInfo(
            c.name,
            c.type.name,
            c.doc,
            c.children,
            collections.parents(c.name),
            None if numbers is None or c.type is CollectionType.CHAINED else numbers.get(c.key, {}),
        )
        for c in found
    )


def _counts(session: Session, wanted: tuple[Collection, ...]) -> dict[Any, dict[str, int]]:
    """Count the rows in collections by dataset type: one pass over each table."""
    types = {t.id: t for t in load_dataset_types(session).values()}
    kinds = {c.type for c in wanted}
    runs, others = (
        {c.key for c in wanted if (c.type is CollectionType.RUN) is run and c.type is not CollectionType.CHAINED}
        for run in (True, False)
    )
    sources: list[tuple[str, str, set[Any]]] = []
    if runs:
        sources.append(("dataset", session.run_column, runs))
    if CollectionType.TAGGED in kinds:
        sources += [(n, session.collection_column, others) for n in sorted({t.tags_table for t in types.values()})]
    if CollectionType.CALIBRATION in kinds:
        calibs = {t.calibs_table for t in types.values() if t.calibs_table is not None}
        sources += [(n, session.collection_column, others) for n in sorted(calibs)]
    found: dict[Any, dict[str, int]] = {c.key: {} for c in wanted}
    for name, column, keys in sources:
        table = session.table(name)
        key = table.c[column].label("key")
        query = sa.select(key, table.c.dataset_type_id, sa.func.count().label("number"))
        if len(keys) <= _MANY:
            query = query.where(table.c[column].in_(sorted(keys)))
        for row in session.rows(query.group_by(key, table.c.dataset_type_id)):
            if row.key in keys:
                found[row.key][types[row.dataset_type_id].name] = row.number
    return {key: dict(sorted(numbers.items())) for key, numbers in found.items()}


#: Up to so many collections are named in a query; with more, all rows are counted.
_MANY = 500


def show_collection(session: Session, name: str) -> CollectionDetails:
    """Show a collection with its summary and what is in it.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.

    Returns
    -------
    details : `CollectionDetails`
        The collection.

    Raises
    ------
    RegistryStateError
        There is no such collection.
    """
    keys = [c.key for c in load_collections(session).flatten([name])]
    (info,) = (i for i in list_collections(session, [name], counts=True) if i.name == name)
    types = {t.id: t.name for t in load_dataset_types(session).values()}

    def summary(of: str, column: str) -> Iterator[Any]:
        table = session.table(f"collection_summary_{of}")
        for part in chunks(keys):
            query = sa.select(table.c[column]).where(table.c[session.collection_column].in_(part)).distinct()
            yield from session.connection.scalars(query)

    members = {types[number] for number in summary("dataset_type", "dataset_type_id")}
    governors = {g.name: tuple(sorted(set(summary(g.name, g.name)))) for g in session.universe.governors}
    return CollectionDetails(
        info, tuple(sorted(members)), {name: values for name, values in governors.items() if values}
    )
