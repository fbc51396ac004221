"""Dimensions as dataset types held them before datasets 1.0.0: one bit for each dimension of the universe.

The bits of all dimensions that a data ID has, implied ones included, in the order of the universe and the first one
lowest, are written in base 64 in ``dataset_type.dimensions_encoded`` and in hexadecimal digits in the names of tables.
What the bits mean depends on the universe, which nobody recorded; so what the dimensions of a table are is read from
its columns.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from .models import DatasetTables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from .universe import Universe

#: Names of dataset tables, of dataset types that are gone as well.
_TABLE = re.compile(r"dataset_(collection|tags|calibs)_(?:[0-9a-f]{2})+")


def encode(universe: Universe, required: Iterable[str]) -> bytes:
    """Encode dimensions.

    Parameters
    ----------
    universe : `Universe`
        The universe.
    required : iterable of `str`
        Dimensions; those that they need or imply are added.

    Returns
    -------
    encoded : `bytes`
        One bit for each dimension of the universe, highest first.
    """
    dimensions = [n for n in universe.order if n not in universe or universe[n].is_dimension]
    names: set[str] = set()
    waiting = list(required)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend((*universe[name].required, *universe[name].implied) if name in universe else ())
    mask = sum(1 << dimensions.index(name) for name in names)
    return mask.to_bytes((len(dimensions) + 7) // 8, "big")


def encoded_text(encoded: bytes) -> str:
    """Return what ``dataset_type.dimensions_encoded`` holds."""
    return base64.b64encode(encoded).decode("ascii")


def read_encoded_tables(
    connection: sa.Connection,
    namespace: str | None,
    tables: Collection[str],
    columns: Sequence[str],
    universe: Universe,
) -> dict[str, DatasetTables]:
    """Find the dataset tables of a registry and the dimensions of each.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    namespace : `str` or `None`
        PostgreSQL schema.
    tables : collection of `str`
        Names of all tables.
    columns : sequence of `str`
        Columns of ``dataset_type``: the dimensions and, if it has them, the names of the tables.
    universe : `Universe`
        Dimensions of the registry.

    Returns
    -------
    found : `dict` [`str`, `DatasetTables`]
        Tables by name.  One that is missing has no dimensions.
    """
    dataset_type = sa.table("dataset_type", *(sa.column(c) for c in columns), schema=namespace)
    names: dict[str, str] = {}
    for encoded, *listed in connection.execute(sa.select(*dataset_type.c)):
        found = zip(("tags", "calibs"), listed or [_old_name(str(encoded))], strict=False)
        names.update({name: kind for kind, name in found if name is not None})
    # Tables of dataset types that have been removed stay, and belong to the registry.
    for name in tables:
        if match := _TABLE.fullmatch(name):
            names.setdefault(name, "calibs" if match[1] == "calibs" else "tags")
    inspector = sa.inspect(connection)
    result = {}
    for name in sorted(names):
        present = [c["name"] for c in inspector.get_columns(name, schema=namespace)] if name in tables else []
        result[name] = DatasetTables(name, names[name], tuple(c for c in present if universe.is_known(c)))
    return result


def _old_name(encoded: str) -> str:
    try:
        return f"dataset_collection_{base64.b64decode(encoded, validate=True).hex()}"
    except binascii.Error:
        return f"dataset_collection_{encoded}"
