"""Summaries of collections: which dataset types, and which values of governor dimensions, can be in them.

A row must be there before a dataset is put into a collection; what is there too much costs time and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .collections import insert_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .collections import Collection
    from .session import Session

TYPES = "collection_summary_dataset_type"


def governor_table(name: str) -> str:
    """Return the name of the summary table of a governor dimension."""
    return f"collection_summary_{name}"


def ensure_summaries(
    session: Session,
    collection: Collection,
    dataset_type_ids: Iterable[int],
    governor_values: Mapping[str, Iterable[str]],
) -> None:
    """Make the summaries of a collection cover dataset types and values of governor dimensions.

    Parameters
    ----------
    session : `Session`
        The open registry.
    collection : `Collection`
        The collection.
    dataset_type_ids : iterable of `int`
        Dataset types.
    governor_values : `~collections.abc.Mapping` [`str`, iterable of `str`]
        Values by name of the governor dimension, such as ``{"instrument": {"HSC"}}``.
    """
    column = session.collection_column
    # Everybody inserts in the same order, so that nobody waits in a circle.
    for table, name, values in [
        (session.table(TYPES), "dataset_type_id", sorted(set(dataset_type_ids))),
        *((session.table(governor_table(g)), g, sorted(set(v))) for g, v in sorted(governor_values.items())),
    ]:
        present = set(session.connection.scalars(sa.select(table.c[name]).where(table.c[column] == collection.key)))
        rows = [{column: collection.key, name: value} for value in values if value not in present]
        if rows:
            session.connection.execute(insert_missing(session, table.name), rows)


def copy_summaries(session: Session, source: sa.Select[Any], collection: Collection, table: str, column: str) -> None:
    """Add to a summary what a query finds.

    Parameters
    ----------
    session : `Session`
        The open registry.
    source : `sqlalchemy.Select`
        Query with one column: the values.
    collection : `Collection`
        The collection.
    table, column : `str`
        Summary table, and the column of the values.
    """
    rows = [
        {session.collection_column: collection.key, column: value}
        for value in sorted(session.connection.scalars(source.distinct()))
    ]
    if rows:
        session.connection.execute(insert_missing(session, table), rows)
