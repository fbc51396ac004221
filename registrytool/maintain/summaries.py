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
    wanted: list[tuple[str, str, Iterable[Any]]] = [
        (TYPES, "dataset_type_id", dataset_type_ids),
        *((governor_table(governor), governor, values) for governor, values in sorted(governor_values.items())),
    ]
    for name, value_column, values in wanted:
        table = session.table(name)
        query = sa.select(table.c[value_column]).where(table.c[column] == collection.key)
        present = set(session.connection.scalars(query))
        # Everybody inserts in the same order, so that nobody waits in a circle.
        rows = [{column: collection.key, value_column: value} for value in sorted(set(values) - present)]
        if rows:
            session.connection.execute(insert_missing(session, name), rows)


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
