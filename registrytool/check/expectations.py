"""Test data of a step: rows before it, and exactly the rows after it.

They stand beside the script, in ``<script>.rows.yaml``, as a list of cases::

    - case: dark frames cannot see the sky
      options: {}                     # what the user would set, if the step asks for something
      direction: up                   # or down
      state: {dimensions: 6.0.1}      # other versions than usual, if it matters
      dataset_types: [[instrument]]   # required dimensions of dataset types, if their tables matter: two of each
      before:
        exposure:
          - {instrument: A, id: 1, observation_type: dark}
      after:
        exposure:
          - {id: 1, can_see_sky: false}

Columns that are not given before are NULL where that is permitted and anything otherwise; rows that they refer to are
made.  Tables that are named after must have exactly these rows, in the columns that are given.  ``timespan`` is a list
of two bounds, each an integer or null, on both databases; times are written as SQLite has them, binary values in
hexadecimal.  ``columns`` and ``rows`` spare the names: ``exposure: {columns: [id], rows: [[1], [2]]}``; ``like``
leaves out rows in which a column does not begin with a text:
``butler_attributes: {like: {name: "schema_digest:"}, rows: []}``.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import INT8RANGE, Range

from registrytool.catalog import MAX_NSEC, MIN_NSEC
from registrytool.config import read_yaml
from registrytool.errors import ContentError

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.history import Revision

    from .rows import Filler, Row

_SPAN = ("timespan_begin", "timespan_end")
#: Wrong rows of one kind that are told one by one.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one table, and which of the rows there are is meant."""

    rows: tuple[Mapping[str, Any], ...]
    columns: tuple[str, ...]
    like: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of test data."""

    name: str
    up: bool
    options: Mapping[str, str]
    state: Mapping[str, str]
    before: Mapping[str, TableRows]
    after: Mapping[str, TableRows]
    dataset_types: tuple[tuple[str, ...], ...] = ()


def rows_file(revision: Revision) -> Path:
    """Return where the test data of a step is."""
    return revision.path.with_suffix(".rows.yaml")


def read_cases(revision: Revision) -> tuple[Case, ...]:
    """Read the test data of a step; none if there is no file.

    Raises
    ------
    ContentError
        The file is malformed.
    """
    path = rows_file(revision)
    if not path.exists():
        return ()
    raw = read_yaml(path)
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        message = f"{path} does not hold a list of cases."
        raise ContentError(message)
    try:
        return tuple(_case(number, item) for number, item in enumerate(raw, start=1))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{path} is not test data of a step: {type(error).__name__}: {error}."
        raise ContentError(message) from error


def _case(number: int, raw: Mapping[str, Any]) -> Case:
    unknown = raw.keys() - {"case", "direction", "options", "state", "dataset_types", "before", "after"}
    direction = raw.get("direction", "up")
    if unknown or direction not in ("up", "down"):
        message = f"case {number} has {', '.join(sorted(unknown)) or 'the direction ' + str(direction)}"
        raise ValueError(message)
    return Case(
        str(raw.get("case", f"case {number}")),
        direction == "up",
        {str(k): str(v) for k, v in (raw.get("options") or {}).items()},
        {str(k): str(v) for k, v in (raw.get("state") or {}).items()},
        {table: _table(rows) for table, rows in (raw.get("before") or {}).items()},
        {table: _table(rows) for table, rows in (raw.get("after") or {}).items()},
        tuple(tuple(map(str, group)) for group in raw.get("dataset_types") or ()),
    )


def _table(raw: Any) -> TableRows:
    like: Mapping[str, str] = {}
    columns: tuple[str, ...] = ()
    rows: Sequence[Any] = raw or ()
    if isinstance(raw, Mapping):
        like, columns, rows = raw.get("like") or {}, tuple(raw.get("columns") or ()), raw.get("rows") or ()
    found = tuple(row if isinstance(row, Mapping) else dict(zip(columns, row, strict=True)) for row in rows)
    return TableRows(found, columns or tuple(dict.fromkeys(name for row in found for name in row)), like)


def insert_case(connection: sa.Connection, filler: Filler, case: Case) -> None:
    """Put the rows before a step into a registry.

    Raises
    ------
    ContentError
        They do not fit it.
    """
    tables = {table.name: table for table in filler.metadata.tables.values()}
    for name, content in case.before.items():
        if name not in tables:
            message = f"There is no table {name} before the step."
            raise ContentError(message)
        for row in content.rows:
            unknown = [c for c in row if c not in tables[name].c and c != "timespan"]
            if unknown:
                message = f"The table {name} has no column {', '.join(unknown)} before the step."
                raise ContentError(message)
            filler.add(connection, name, _to_database(tables[name], row))
    filler.advance_sequences(connection)


def _to_database(table: sa.Table, row: Mapping[str, Any]) -> Row:
    result: Row = {}
    for name, value in row.items():
        if name == "timespan":
            result.update(_timespan(table, value))
            continue
        kind = table.c[name].type
        if value is None:
            result[name] = None
        elif isinstance(kind, sa.Uuid):
            result[name] = uuid.UUID(str(value))
        elif isinstance(kind, sa.TIMESTAMP | sa.DateTime):
            result[name] = datetime.datetime.fromisoformat(str(value))
        elif isinstance(kind, sa.LargeBinary):
            result[name] = bytes.fromhex(str(value))
        else:
            result[name] = value
    return result


def _timespan(table: sa.Table, value: Any) -> Row:
    if "timespan" in table.c:
        return {"timespan": None if value is None else Range(*value, bounds="[)")}
    if value is None:
        return dict.fromkeys(_SPAN)
    begin, end = value
    return dict(zip(_SPAN, (MIN_NSEC if begin is None else begin, MAX_NSEC if end is None else end), strict=True))


def wrong_rows(connection: sa.Connection, metadata: sa.MetaData, case: Case) -> list[str]:
    """Compare a registry after a step with what is expected.

    Returns
    -------
    wrong : `list` [`str`]
        What differs, one sentence for each row.
    """
    tables = {table.name: table for table in metadata.tables.values()}
    result: list[str] = []
    for name, expected in case.after.items():
        if name not in tables:
            result.append(f"There is no table {name} after the step.")
            continue
        table = tables[name]
        query = table.select()
        for column, beginning in expected.like.items():
            query = query.where(table.c[column].startswith(beginning, autoescape=True))
        found = [_from_database(table, dict(row)) for row in connection.execute(query).mappings()]
        columns = expected.columns or tuple(table.c.keys())
        have = sorted([tuple(row.get(c, "no such column") for c in columns) for row in found], key=repr)
        want = sorted([tuple(_plain(row.get(c)) for c in columns) for row in expected.rows], key=repr)
        lacks = [f"{name} lacks {_shown(columns, row)}." for row in _minus(want, have)]
        extra = [f"{name} has {_shown(columns, row)}, which is not expected." for row in _minus(have, want)]
        for items in (lacks, extra):
            # The first ones tell what is wrong; a hundred more tell nothing.
            result.extend(items[:_SHOWN])
            if len(items) > _SHOWN:
                result.append(f"{name} has {len(items) - _SHOWN} more such rows.")
    return result


def _from_database(table: sa.Table, row: Row) -> Row:
    result = {name: _plain(value) for name, value in row.items()}
    if "timespan" in table.c and isinstance(table.c.timespan.type, INT8RANGE):
        span = row["timespan"]
        result["timespan"] = None if span is None else [span.lower, span.upper]
    elif row.keys() >= set(_SPAN):
        begin, end = (row[name] for name in _SPAN)
        span = [None if begin == MIN_NSEC else begin, None if end == MAX_NSEC else end]
        result["timespan"] = None if begin is None else span
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value


def _minus(a: list[Any], b: list[Any]) -> list[Any]:
    left = list(b)
    result = []
    for item in a:
        if item in left:
            left.remove(item)
        else:
            result.append(item)
    return result


def _shown(columns: Sequence[str], row: Sequence[Any]) -> str:
    return "(" + ", ".join(f"{c}: {v!r}" for c, v in zip(columns, row, strict=True)) + ")"
