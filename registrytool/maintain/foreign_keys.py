"""What goes with datasets: the database deletes it row by row, and SQLite faster if it is told to.

PostgreSQL has no way around its own foreign keys.  SQLite enforces none where that is turned off, which can be done
between two transactions only.  With the lock on the file in hand, it is then seen that there is no table, be it of a
future version or of somebody else, of which it is not known what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .idlist import among

if TYPE_CHECKING:
    from .idlist import IdList
    from .session import Session

#: From so many indexes on, rows are better deleted in the order in which they lie.
_MANY_INDEXES = 3
#: Emptied before datasets are removed: nothing else may refer to these.
_LOCATIONS = "dataset_location"


@dataclass(frozen=True, slots=True)
class Dependent:
    """A table whose rows go with a dataset.

    Attributes
    ----------
    table, column : `str`
        The table, and its column with the identifier.
    in_row_order : `bool`
        Whether its rows are deleted in the order in which they lie.
    """

    table: str
    column: str
    in_row_order: bool


class Dependents:
    """What refers to datasets, in the transactions of one session; each begins with `prepare`."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._found: tuple[Dependent, ...] | None = None
        self._enforced = True

    @property
    def known(self) -> tuple[Dependent, ...] | None:
        """What refers to datasets, `None` if the database looks after that."""
        return None if self._enforced else self._found

    def prepare(self, session: Session) -> None:
        """Find out what must be deleted in this transaction, and let the database do it where that is not known.

        Parameters
        ----------
        session : `Session`
            The open registry, in which nothing has been changed since the last commit.
        """
        while session.dialect == "sqlite":
            version = session.connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
            if version != self._version:
                self._version, self._found = version, find_dependents(session)
            wanted = self._found is None
            if wanted == self._enforced:
                return
            self._enforced = wanted
            # When this transaction has ended, somebody else can make a table: all is looked at again in the next one.
            session.commit(lambda wanted=wanted: _enforce(session, wanted))  # type: ignore[misc]

    def delete(self, session: Session, ids: IdList) -> None:
        """Delete what refers to datasets, if the database does not do it with their rows.

        Parameters
        ----------
        session : `Session`
            The open registry.
        ids : `IdList`
            Identifiers of datasets, whose locations have been deleted.
        """
        for dependent in self.known or ():
            column: sa.ColumnClause[Any] = sa.column(dependent.column)
            table = sa.table(dependent.table, column)
            mine = among(session, column, ids)
            if dependent.in_row_order:
                row: sa.ColumnClause[Any] = sa.literal_column("rowid")
                mine = row.in_(sa.select(row).select_from(table).where(mine))
            session.execute(sa.delete(table).where(mine))


def find_dependents(session: Session) -> tuple[Dependent, ...] | None:
    """Return what refers to datasets in an SQLite file, `None` if there is something that must be left to SQLite.

    Parameters
    ----------
    session : `Session`
        The open registry.
    """
    keys = session.connection.exec_driver_sql(
        'SELECT t.name, k.id, lower(k."table"), k."from", lower(coalesce(k."to", \'id\')), k.on_delete, t.sql, '
        "(SELECT count(*) FROM pragma_index_list(t.name)) "
        "FROM sqlite_master AS t JOIN pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'"
    ).all()
    found = []
    for name, _, target, column, key, action, definition, indexes in keys:
        if target != "dataset":
            continue
        if name == _LOCATIONS and action in ("NO ACTION", "RESTRICT"):
            continue
        if key != "id" or action != "CASCADE" or "WITHOUT ROWID" in definition.upper():
            return None
        found.append(Dependent(name, column, indexes > _MANY_INDEXES))
    emptied = {_LOCATIONS, *(dependent.table.lower() for dependent in found)}
    composite = len({d.table for d in found}) < len(found)
    if composite or any(target in emptied for _, _, target, *_ in keys):
        return None
    return tuple(found)


def _enforce(session: Session, wanted: bool) -> None:  # noqa: FBT001 (called by a callback)
    """Turn foreign keys on or off; in a transaction that would be without effect."""
    driver: Any = session.connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys = {'ON' if wanted else 'OFF'}")
