"""Remove most of the datasets of an SQLite file: what stays is put back into tables that are cleared.

SQLite deletes row by row from each index, which takes a microsecond each time, a dozen times for a dataset.  To clear a
table takes next to nothing.  It is all in one transaction, with the lock on the file in hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .datastore import LOCATION, TRASH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .datastore import Datastore
    from .foreign_keys import Dependents
    from .idlist import IdList
    from .session import Session

#: For how many datasets that is done: with fewer it is no gain, and with more others would wait too long.
FEWEST, MOST = 20_000, 2_000_000
#: How many identifiers are sent at once.
_PART = 50_000
#: Temporary tables: identifiers of what goes, and of the datasets that stay; rows that stay.
_GOING, _STAYING, _ROWS = "temp.registrytool_going", "temp.registrytool_staying", "temp.registrytool_rows"


def is_worth_it(session: Session, ids: IdList, dependents: Dependents) -> bool:
    """Return whether to remove datasets in this way.

    Parameters
    ----------
    session : `Session`
        The open registry.
    ids : `IdList`
        Identifiers of the datasets.
    dependents : `Dependents`
        What refers to them.
    """
    if session.dialect != "sqlite" or not FEWEST <= len(ids) <= MOST or dependents.known is None:
        return False
    # A trigger is somebody else's, and wants to see each row.
    triggers = _scalar(session, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")
    return not triggers and bool(2 * len(ids) > _scalar(session, "SELECT count(*) FROM dataset"))


def remove_most(session: Session, ids: IdList, dependents: Dependents) -> None:
    """Move what is stored to the trash, and remove datasets with all that refers to them.

    Parameters
    ----------
    session : `Session`
        The open registry, in which foreign keys are not enforced.
    ids : `IdList`
        Identifiers of the datasets.
    dependents : `Dependents`
        What refers to them, which is known.
    """
    run = session.connection.exec_driver_sql
    # Deleted content need not be overwritten with zeros, as some builds do.
    run("PRAGMA secure_delete = FAST").all()
    run("PRAGMA temp.cache_size = -65536")
    run(f"CREATE TABLE {_GOING} (id PRIMARY KEY) WITHOUT ROWID")
    for part in ids.parts(_PART):
        run(f"INSERT OR IGNORE INTO {_GOING} SELECT value FROM json_each(?)", (part.sorted_within(_PART).as_json(),))
    run(f"CREATE TABLE {_STAYING} AS SELECT id FROM dataset WHERE id NOT IN (SELECT id FROM {_GOING})")
    run(
        f"INSERT OR IGNORE INTO {TRASH} (dataset_id, datastore_name) SELECT dataset_id, datastore_name FROM {LOCATION} "
        f"WHERE dataset_id IN (SELECT id FROM {_GOING}) ORDER BY datastore_name, dataset_id"
    )
    tables = [(LOCATION, "dataset_id"), *((d.table, d.column) for d in dependents.known or ()), ("dataset", "id")]
    for table, column in tables:
        _keep(session, table, f"{_quoted(column)} IN (SELECT id FROM {_STAYING})", f"{_quoted(column)} IS NULL")
    run(f"DROP TABLE {_STAYING}")


def forget_most(session: Session, stores: Sequence[Datastore], left: Iterable[str | int]) -> int:
    """Delete the rows of files that are gone.

    Parameters
    ----------
    session : `Session`
        The open registry, in which `remove_most` is committed.
    stores : sequence of `Datastore`
        Datastores from which the files are deleted.
    left : iterable
        Identifiers of datasets that stay in the trash.

    Returns
    -------
    datasets : `int`
        Number of datasets that are out of the trash.
    """
    run = session.connection.exec_driver_sql
    for identifier in left:
        run(f"DELETE FROM {_GOING} WHERE id = ?", (identifier,))
    # A dataset that was stored again has the same identifier: what is to be done with it is looked at more closely.
    run(f"DELETE FROM {_GOING} WHERE id IN (SELECT dataset_id FROM {LOCATION})")
    gone = f"dataset_id IN (SELECT id FROM {_GOING})"
    before = _scalar(session, f"SELECT count(*) FROM {TRASH}")
    names = ", ".join("'" + store.name.replace("'", "''") + "'" for store in stores)
    _keep(session, TRASH, f"NOT ({gone} AND datastore_name IN ({names}))")
    for store in stores:
        if store.records_table in session.recorded.dynamic.record_tables:
            _keep(session, store.records_table, f"NOT {gone}")
    run(f"DROP TABLE {_GOING}")
    return int(before - _scalar(session, f"SELECT count(*) FROM {TRASH}"))


def _keep(session: Session, table: str, *conditions: str) -> None:
    """Delete all rows of a table but those that fulfil one of some conditions, which exclude each other."""
    run, name = session.connection.exec_driver_sql, f"main.{_quoted(table)}"
    kept = " UNION ALL ".join(f"SELECT rowid AS row_, * FROM {name} WHERE {condition}" for condition in conditions)
    columns = ", ".join(_quoted(row[1]) for row in run(f"PRAGMA table_info({_quoted(table)})"))
    # In the order in which they were: rows that were made together stay side by side.
    run(f"CREATE TABLE {_ROWS} AS SELECT {columns} FROM ({kept}) ORDER BY row_")
    run(f"DELETE FROM {name}")
    run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {_ROWS}")
    run(f"DROP TABLE {_ROWS}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _scalar(session: Session, query: str) -> Any:
    return session.connection.exec_driver_sql(query).scalar_one()
