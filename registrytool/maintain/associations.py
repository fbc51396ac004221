"""Put datasets into tagged collections, and take them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from registrytool.errors import RegistryConflictError, RegistryStateError
from registrytool.models import _Model

from .collections import CollectionType, load_collections
from .datasets import format_data_id
from .find import plan_search, select_part
from .obscore_live import follow_tags
from .pieces import chunks
from .session import planned_change
from .summaries import copy_summaries, ensure_summaries, governor_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .collections import Collection
    from .find import Part, Query, Search
    from .session import Session


@dataclass(frozen=True, slots=True)
class AssociationPlan(_Model):
    """What is put into a tagged collection, or taken out.

    Attributes
    ----------
    registry, collection : `str`
        The registry, and the name of the collection.
    datasets : `~collections.abc.Mapping` [`str`, `int`]
        Number of datasets by dataset type.
    present : `int`
        Number of datasets that are in it already.
    skipped : `tuple` [`str`, ...]
        Dataset types that match a pattern, but do not have the dimensions of the expression.
    """

    registry: str
    collection: str
    datasets: Mapping[str, int] = field(default_factory=dict)
    present: int = 0
    skipped: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Number of datasets."""
        return sum(self.datasets.values())

    @property
    def changed(self) -> bool:
        """Whether anything is different from before."""
        return self.total > 0


# -- putting them in ----------------------------------------------------------------


def plan_associate(session: Session, collection: str, query: Query) -> AssociationPlan:
    """Say what would be put into a tagged collection.

    Parameters
    ----------
    session : `Session`
        The open registry.
    collection : `str`
        Name of the collection.
    query : `Query`
        Which datasets.

    Raises
    ------
    RegistryStateError
        It is no tagged collection, there is no such dataset, dataset type or collection, or it has, or would get,
        two datasets of one dataset type and data ID.
    ExpressionError
        The expression is malformed.
    """
    return _associate(session, collection, query, act=False)


def associate(
    repository: Repository, collection: str, query: Query, *, catalog: Catalog | None = None, dry_run: bool = False
) -> AssociationPlan:
    """Put datasets into a tagged collection, in one transaction; what is in it already is left alone.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    collection : `str`
        Name of the collection.
    query : `Query`
        Which datasets.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    plan : `AssociationPlan`
        What was put into it.

    Raises
    ------
    RegistryStateError, ExpressionError
        See `plan_associate`.
    """
    wanted = f"put datasets into the collection {collection!r} of {repository.name}"

    def work(session: Session, *, act: bool) -> AssociationPlan:
        try:
            return _associate(session, collection, query, act=act)
        except IntegrityError as error:
            # Somebody else put another dataset in between.  The next try says which one.
            raise RegistryConflictError(wanted, "others changed the same collection") from error

    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _associate(session: Session, name: str, query: Query, *, act: bool) -> AssociationPlan:
    collection = load_collections(session).require(name, CollectionType.TAGGED)
    search = plan_search(session, query)
    counts: dict[str, int] = {}
    present = 0
    for part, found in _found(session, search):
        tags = session.table(part.dataset_type.tags_table)
        _check_unambiguous(session, part, found, collection)
        mine = tags.c[session.collection_column] == collection.key
        inside = sa.exists().where(mine, tags.c.dataset_id == found.c.dataset_id)
        new = sa.select(found).where(~inside)
        total = int(session.scalar(sa.select(sa.func.count()).select_from(found)))
        number = int(session.scalar(sa.select(sa.func.count()).select_from(new.subquery())))
        present += total - number
        if not number:
            continue
        counts[part.dataset_type.name] = counts.get(part.dataset_type.name, 0) + number
        if act:
            _insert(session, part, new, collection)
    if act:
        follow_tags(session, collection)
    return AssociationPlan(session.repository.name, name, counts, present, search.skipped)


def _insert(session: Session, part: Part, new: sa.Select[Any], collection: Collection) -> None:
    dataset_type = part.dataset_type
    rows = new.subquery()
    ensure_summaries(session, collection, [dataset_type.id], {})
    for governor in session.universe.governors:
        if governor.name in dataset_type.dimensions:
            values = sa.select(rows.c[governor.name])
            copy_summaries(session, values, collection, governor_table(governor.name), governor.name)
    tags = session.table(dataset_type.tags_table)
    names = ["dataset_type_id", session.collection_column, "dataset_id", *dataset_type.dimensions]
    key = tags.c[session.collection_column]
    source = sa.select(
        sa.literal(dataset_type.id, tags.c.dataset_type_id.type),
        sa.literal(collection.key, key.type),
        rows.c.dataset_id,
        *(rows.c[d] for d in dataset_type.dimensions),
    )
    session.execute(sa.insert(tags).from_select(names, source))


def _found(session: Session, search: Search) -> Iterator[tuple[Part, sa.Subquery]]:
    """Give the datasets that a search finds, by dataset type."""
    for part in search.parts:
        for ids in [None] if search.ids is None else chunks(search.ids):
            yield part, select_part(session, search, part, ids).order_by(None).subquery()


def _check_unambiguous(session: Session, part: Part, found: sa.Subquery, collection: Collection) -> None:
    """Check that a collection gets one dataset for each dataset type and data ID."""
    dimensions = part.dataset_type.dimensions
    columns = [found.c[d] for d in dimensions]
    twice = sa.select(*columns, sa.func.count().label("number")).group_by(*columns).having(sa.func.count() > 1)
    for row in session.rows(twice.limit(1)):
        message = f"{row.number} of the datasets have {_what(part, row, dimensions)}."
        raise RegistryStateError(message, hint="Name the run, or take the first of each data ID with --find-first.")
    tags = session.table(part.dataset_type.tags_table)
    same = [tags.c[d] == found.c[d] for d in dimensions]
    other = sa.select(*columns).select_from(
        found.join(
            tags,
            sa.and_(
                tags.c.dataset_type_id == part.dataset_type.id,
                tags.c[session.collection_column] == collection.key,
                tags.c.dataset_id != found.c.dataset_id,
                *same,
            ),
        )
    )
    if not dimensions:
        other = other.add_columns(sa.literal(1).label("one"))
    for row in session.rows(other.limit(1)):
        message = f"The collection {collection.name!r} has another dataset with {_what(part, row, dimensions)}."
        raise RegistryStateError(message, hint="Take it out first, by 'registrytool collection disassociate'.")


def _what(part: Part, row: sa.Row[Any], dimensions: tuple[str, ...]) -> str:
    data_id = format_data_id({d: row._mapping[d] for d in dimensions})  # noqa: SLF001 (its public name)
    return f"dataset type {part.dataset_type.name!r} and data ID ({data_id})"


# -- taking them out ----------------------------------------------------------------


def plan_disassociate(session: Session, collection: str, query: Query) -> AssociationPlan:
    """Say what would be taken out of a tagged collection.

    Parameters
    ----------
    session : `Session`
        The open registry.
    collection : `str`
        Name of the collection.
    query : `Query`
        Which datasets; if it names no collection, those of this one.

    Raises
    ------
    RegistryStateError
        It is no tagged collection, or there is no such dataset, dataset type or collection.
    ExpressionError
        The expression is malformed.
    """
    return _disassociate(session, collection, query, act=False)


def disassociate(
    repository: Repository, collection: str, query: Query, *, catalog: Catalog | None = None, dry_run: bool = False
) -> AssociationPlan:
    """Take datasets out of a tagged collection, in one transaction; what is not in it is passed over.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    collection : `str`
        Name of the collection.
    query : `Query`
        Which datasets; if it names no collection, those of this one.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    plan : `AssociationPlan`
        What was taken out of it.

    Raises
    ------
    RegistryStateError, ExpressionError
        See `plan_disassociate`.
    """

    def work(session: Session, *, act: bool) -> AssociationPlan:
        return _disassociate(session, collection, query, act=act)

    wanted = f"take datasets out of the collection {collection!r} of {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _disassociate(session: Session, name: str, query: Query, *, act: bool) -> AssociationPlan:
    from dataclasses import replace

    collection = load_collections(session).require(name, CollectionType.TAGGED)
    if not query.collections:
        query = replace(query, collections=(name,))
    search = plan_search(session, query)
    counts: dict[str, int] = {}
    for part, found in _found(session, search):
        tags = session.table(part.dataset_type.tags_table)
        condition = sa.and_(
            tags.c[session.collection_column] == collection.key,
            tags.c.dataset_type_id == part.dataset_type.id,
            tags.c.dataset_id.in_(sa.select(found.c.dataset_id)),
        )
        if act:
            number = session.execute(sa.delete(tags).where(condition))
        else:
            number = int(session.scalar(sa.select(sa.func.count()).select_from(tags).where(condition)))
        if number:
            counts[part.dataset_type.name] = counts.get(part.dataset_type.name, 0) + number
    if act:
        follow_tags(session, collection)
    return AssociationPlan(session.repository.name, name, counts, 0, search.skipped)
