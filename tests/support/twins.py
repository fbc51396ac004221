"""A second place beside the one of a test, and the rows of dimension records in both."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.maintain.session import reading

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place


def twin(place: Place, folder: Path) -> Place:
    """Return another empty place in the same database system."""
    folder.mkdir()
    if place.dialect == "sqlite":
        return dataclasses.replace(place, url=f"sqlite:///{folder / 'gen3.sqlite3'}", folder=folder)
    return dataclasses.replace(place, namespace=f"{place.namespace} twin", folder=folder)


def record_rows(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows, as they are stored, of the tables of elements and of their overlaps, by name of the table."""
    result = {}
    with reading(repository) as session:
        names = [e.name for e in session.universe if e.has_table]
        names += [f"{n}_skypix_overlap{s}" for n in names for s in ("", "_summary")]
        for name in filter(session.has_table, names):
            table = session.table(name)
            columns = sorted(table.c, key=lambda c: c.name)
            rows = session.rows(sa.select(*columns))
            result[name] = sorted((tuple(map(str, row)) for row in rows), key=str)
    return result
