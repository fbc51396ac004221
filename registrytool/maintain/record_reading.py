"""Reading dimension records: all, those that fulfil a condition, and those with some keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .pieces import chunks
from .record_values import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .session import Session

#: How many records are looked up by one statement.
_BATCH = 500


def iter_records(
    session: Session,
    element: str,
    where: Mapping[str, Any] | sa.ColumnElement[bool] | None = None,
    *,
    limit: int | None = None,
    offset: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Read dimension records in the order of their keys, without holding all of them in memory.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    where : `~collections.abc.Mapping` or `sqlalchemy.ColumnElement`, optional
        Values that fields must have, or a condition on ``session.table(element)``.
    limit, offset : `int`, optional
        How many records at most, and how many are left out before them.

    Yields
    ------
    record : `dict` [`str`, `object`]
        Values by name of the column; ``timespan`` is a `Timespan`, ``region`` and hashes are `bytes`.

    Raises
    ------
    RegistryStateError
        There is no such element or field.
    """
    shape, table = Shape.of(session.universe, element), session.table(element)
    query = sa.select(table).order_by(*(table.c[n] for n in shape.key)).limit(limit).offset(offset)
    if isinstance(where, sa.ColumnElement):
        query = query.where(where)
    elif where:
        checked = shape.check(where, f"find records of {element}", session.dialect)
        query = query.where(*(table.c[n] == v for n, v in shape.to_columns(checked, session.dialect).items()))
    with session.connection.execute(query, execution_options={"stream_results": True, "yield_per": 1000}) as result:
        for row in result.mappings():
            yield shape.from_columns(dict(row))


def load_records(
    session: Session,
    element: str,
    where: Mapping[str, Any] | sa.ColumnElement[bool] | None = None,
    *,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return dimension records in the order of their keys; see `iter_records`."""
    return list(iter_records(session, element, where, limit=limit))


def find_records(session: Session, shape: Shape, keys: Iterable[Sequence[Any]]) -> dict[tuple[Any, ...], Any]:
    """Return those records of an element that exist, by their primary keys."""
    table = session.table(shape.element.name)
    found = {}
    for condition in key_conditions(session, [table.c[c] for c in shape.key], keys):
        for row in session.connection.execute(sa.select(table).where(condition)).mappings():
            record = shape.from_columns(dict(row))
            found[shape.key_of(record)] = record
    return found


def key_conditions(
    session: Session, columns: Sequence[sa.ColumnElement[Any]], keys: Iterable[Sequence[Any]]
) -> Iterator[sa.ColumnElement[bool]]:
    """Return conditions that some columns have one of many values, each for a part of the values."""
    wanted = dict.fromkeys(tuple(key) for key in keys)
    if session.dialect == "postgresql" and len(columns) > 1:
        for part in chunks(list(wanted), _BATCH):
            yield sa.tuple_(*columns).in_(part)
        return
    # SQLite reads the whole table to compare several columns with a list, and looks one column up in an index.
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for key in wanted:
        groups.setdefault(key[:-1], []).append(key[-1])
    *first, last = columns
    for same, values in groups.items():
        for part in chunks(values, _BATCH):
            yield sa.and_(*(column == value for column, value in zip(first, same, strict=True)), last.in_(part))
