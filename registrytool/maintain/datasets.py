"""Datasets: putting rows into a run, and taking them out.

A dataset is a row of ``dataset`` and a row of the tags table of its dimensions; the summaries of its run cover it.
"""

from __future__ import annotations

import datetime
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.progress import NullProgress

from .collections import CollectionType, insert_missing
from .idlist import IdList, among
from .obscore_live import follow
from .pieces import chunks
from .summaries import ensure_summaries
from .times import now_ns, tai_to_utc_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registrytool.progress import Progress

    from .collections import Collection
    from .dataset_types import DatasetType
    from .session import Session

#: How identifiers are made: anew, from dataset type and data ID, or from these and the run.
IdMode = Literal["uuid7", "data_id", "data_id_run"]
#: Identifier of a dataset: a UUID, in old registries a number.
DatasetId = uuid.UUID | int

#: Namespace of identifiers that follow from the data ID (reference of the format, section 3.3).
_ID_NAMESPACE = uuid.UUID("840b31d9-05cd-5161-b2c8-00d32b280d0f")
#: How many datasets of a run are looked up at once to be removed.
_ROUND = 1_000_000
#: Rows whose pages of all tables a server with its default settings keeps in memory.
_NEAR = 100_000


def uuid7() -> uuid.UUID:
    """Return a new identifier that sorts by the time at which it was made (RFC 9562, version 7)."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def dataset_id(dataset_type: str, data_id: Mapping[str, Any], run: str | None = None) -> uuid.UUID:
    """Return the identifier that follows from a data ID.

    Parameters
    ----------
    dataset_type : `str`
        Name of the dataset type.
    data_id : `~collections.abc.Mapping`
        Values of the required dimensions.
    run : `str`, optional
        Name of the run, where the identifier depends on it.
    """
    items = [("dataset_type", dataset_type)]
    if run is not None:
        items.append(("run", run))
    items += sorted(data_id.items())
    return uuid.uuid5(_ID_NAMESPACE, ",".join(f"{name}={value}" for name, value in items))


def has_uuids(session: Session) -> bool:
    """Return whether datasets are identified by UUIDs, and not by numbers."""
    return session.state["datasets"].implementation.endswith("UUID")


def parse_ids(session: Session, texts: Iterable[str]) -> list[DatasetId]:
    """Read identifiers of datasets.

    Raises
    ------
    RegistryStateError
        A text is none.
    """
    found: list[DatasetId] = []
    uuids = has_uuids(session)
    for text in texts:
        try:
            found.append(uuid.UUID(text.strip()) if uuids else int(text))
        except ValueError:
            kind = "a UUID, such as 0190d4ce-8f5b-7d2a-9b1e-3c5f8a7e6d10" if uuids else "a number"
            message = f"{text.strip()!r} is not the identifier of a dataset."
            raise RegistryStateError(message, hint=f"In this registry it is {kind}.") from None
    return found


def format_data_id(data_id: Mapping[str, Any]) -> str:
    """Return a data ID for people: ``instrument='HSC', detector=5``."""
    return ", ".join(f"{name}={value!r}" for name, value in data_id.items()) or "no dimensions"


def id_as_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column of identifiers as the driver has them: no million of UUID objects is made."""
    return sa.type_coerce(column, sa.String()) if isinstance(column.type, sa.Uuid) else column


def fetch_ids(session: Session, query: sa.Select[Any], told: Callable[[Any], None] | None = None) -> IdList:
    """Execute a query whose first column has identifiers (`id_as_text`), and return them."""
    ids = IdList()
    first, *others = query.selected_columns
    if session.dialect == "postgresql" and has_uuids(session):
        # The driver makes objects of UUIDs on its own.
        query = query.with_only_columns(sa.cast(first, sa.Text()), *others, maintain_column_froms=True)
    options = {"stream_results": True, "yield_per": 10_000}
    for rows in session.connection.execute(query, execution_options=options).partitions():
        ids.add(row[0] for row in rows)
        if told is not None:
            told(rows)
    return ids


def fetch_doomed(
    session: Session, query: sa.Select[Any], place: sa.ColumnElement[Any], told: Callable[[Any], None] | None = None
) -> IdList:
    """Fetch the identifiers of datasets in the order in which removing them touches the fewest pages.

    Rows that lie side by side go together, and within each batch those of neighbouring pages of the many indexes by
    identifier.

    Parameters
    ----------
    session : `Session`
        The open registry.
    query : `sqlalchemy.Select`
        Query whose first column has identifiers (`id_as_text`).
    place : `sqlalchemy.ColumnElement`
        What says where the rows lie on SQLite; PostgreSQL finds them in that order.
    told : callable, optional
        Is given the rows, some thousands at a time.
    """
    if session.dialect == "sqlite":
        return fetch_ids(session, query.order_by(place), told)
    return fetch_ids(session, query, told).sorted_within(_NEAR)


def insert_datasets(
    session: Session,
    dataset_type: DatasetType,
    run: Collection,
    rows: Sequence[Mapping[str, Any]],
    *,
    ids: IdMode = "uuid7",
    ingest_date_ns: int | None = None,
) -> list[DatasetId]:
    """Put datasets into a run.

    Parameters
    ----------
    session : `Session`
        The open registry.
    dataset_type : `DatasetType`
        Their dataset type.
    run : `Collection`
        The run.
    rows : sequence of `~collections.abc.Mapping`
        Data IDs: a value for each required dimension; values of implied dimensions are passed over.
    ids : `str`, optional
        How identifiers are made: ``uuid7`` anew, ``data_id`` from dataset type and data ID, ``data_id_run`` from these
        and the run.  Registries with numbers have new numbers only.
    ingest_date_ns : `int`, optional
        When they were ingested, in TAI nanoseconds; by default now.

    Returns
    -------
    identifiers : `list`, length of ``rows``
        Their identifiers, in the order of ``rows``.

    Raises
    ------
    RegistryStateError
        The collection is not a run; a data ID is incomplete, or has a value without a dimension record; or a dataset
        of the same type and data ID, or of the same identifier, is there already.
    """
    if run.type is not CollectionType.RUN:
        message = f"Datasets are put into runs, and {run.name!r} is a collection of type {run.type.name}."
        raise RegistryStateError(message, hint="Name a collection of type RUN.")
    rows = [_complete(dataset_type, row) for row in rows]
    if not rows:
        return []
    _check_different(dataset_type, run, rows)
    check_records(session, dataset_type.dimensions, rows)
    identifiers = _identifiers(session, dataset_type, run, rows, ids)
    governors = {e.name for e in session.universe.governors} & set(dataset_type.dimensions)
    ensure_summaries(session, run, [dataset_type.id], {g: {row[g] for row in rows} for g in governors})
    dataset, tags = session.table("dataset"), session.table(dataset_type.tags_table)
    common = {"dataset_type_id": dataset_type.id, session.run_column: run.key, **_ingest_date(session, ingest_date_ns)}
    for part in chunks(list(zip(identifiers, rows, strict=True))):
        _insert(
            session,
            dataset,
            [{"id": i, **common} for i, _ in part],
            lambda taken, part=part: _ids_taken(dataset_type, run, [(i, r) for i, r in part if i in taken]),
        )
        _insert(
            session,
            tags,
            [
                {"dataset_type_id": dataset_type.id, "dataset_id": i, session.collection_column: run.key, **row}
                for i, row in part
            ],
            lambda taken, part=part: data_ids_taken(dataset_type, run.name, [r for i, r in part if i in taken]),
        )
    follow(session, identifiers)
    return identifiers


def _insert(session: Session, table: sa.Table, rows: list[dict[str, Any]], refusal: Any) -> None:
    """Insert rows; what another session inserts at the same time is seen, since the keys decide."""
    key = table.c["id"] if "id" in table.c else table.c["dataset_id"]
    statement = insert_missing(session, table.name).returning(key)
    inserted = set(session.connection.scalars(statement, rows))
    if len(inserted) < len(rows):
        raise refusal({row[key.name] for row in rows} - inserted)


def _complete(dataset_type: DatasetType, row: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in dataset_type.dimensions if row.get(name) is None]
    strange = [name for name in row if name not in dataset_type.all_dimensions]
    if missing or strange:
        wanted = ", ".join(dataset_type.dimensions) or "none"
        found = f"it lacks {', '.join(missing)}" if missing else f"it has {', '.join(strange)}"
        message = f"The data ID ({format_data_id(row)}) is not one of dataset type {dataset_type.name!r}: {found}."
        raise RegistryStateError(message, hint=f"The dimensions are: {wanted}.")
    return {name: row[name] for name in dataset_type.dimensions}


def _check_different(dataset_type: DatasetType, run: Collection, rows: Sequence[Mapping[str, Any]]) -> None:
    seen: set[tuple[Any, ...]] = set()
    twice = []
    for row in rows:
        key = tuple(row.values())
        if key in seen:
            twice.append(row)
        seen.add(key)
    if twice:
        message = (
            f"Cannot put datasets of type {dataset_type.name!r} into the run {run.name!r}: {len(twice)} of the data "
            f"IDs come twice: {_examples(twice)}."
        )
        raise RegistryStateError(message, hint="A run holds one dataset for each dataset type and data ID.")


def _examples(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = "; ".join(f"({format_data_id(row)})" for row in rows[:5])
    return shown + (f"; and {len(rows) - 5} more" if len(rows) > 5 else "")


def data_ids_taken(dataset_type: DatasetType, run: str, rows: Sequence[Mapping[str, Any]]) -> RegistryStateError:
    """Return the refusal to put a second dataset of a data ID into a collection."""
    message = (
        f"The collection {run!r} has datasets of type {dataset_type.name!r} already for {len(rows)} of the data IDs: "
        f"{_examples(rows)}."
    )
    return RegistryStateError(message, hint="A collection holds one dataset for each dataset type and data ID.")


def _ids_taken(
    dataset_type: DatasetType, run: Collection, found: Sequence[tuple[DatasetId, Mapping[str, Any]]]
) -> RegistryStateError:
    message = (
        f"Cannot put datasets of type {dataset_type.name!r} into the run {run.name!r}: {len(found)} of their "
        f"identifiers are taken: {', '.join(str(i) for i, _ in found[:5])}, for {_examples([r for _, r in found])}."
    )
    return RegistryStateError(message, hint="Identifiers that follow from the data ID are those of the same dataset.")


def check_records(session: Session, dimensions: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that the values of data IDs have their dimension records.

    Raises
    ------
    RegistryStateError
        One has none.
    """
    for name in dimensions:
        if name not in session.universe or not session.universe[name].has_table:
            continue
        element = session.universe[name]
        table = session.table(name)
        # The columns of the dimensions that it requires, and its own key.
        columns = [table.c[n] for n in element.required[:-1]] + [table.c[element.key.name]]
        wanted = list(dict.fromkeys(tuple(row[n] for n in element.required) for row in rows))
        for part in chunks(wanted, 500):
            query = sa.select(*columns).where(
                sa.or_(*(sa.and_(*(c == v for c, v in zip(columns, values, strict=True))) for values in part))
            )
            missing = set(part) - {tuple(row) for row in session.rows(query)}
            if missing:
                first = next(values for values in part if values in missing)
                message = (
                    f"There is no {name} record for ({format_data_id(dict(zip(element.required, first, strict=True)))})"
                    f"{f', and {len(missing) - 1} others are missing' if len(missing) > 1 else ''}."
                )
                raise RegistryStateError(
                    message, hint="Insert the dimension records first: 'registrytool record insert'."
                )


def _identifiers(
    session: Session, dataset_type: DatasetType, run: Collection, rows: Sequence[Mapping[str, Any]], mode: IdMode
) -> list[DatasetId]:
    if not has_uuids(session):
        if mode != "uuid7":
            name = session.repository.name
            message = f"The registry of {name} identifies datasets by numbers, which follow from no data ID."
            hint = "Migrate the registry to UUIDs, or ask for new numbers with --new-ids uuid7."
            raise RegistryStateError(message, hint=hint)
        return list(session.new_ids("dataset", "id", len(rows)))
    if mode == "uuid7":
        return [uuid7() for _ in rows]
    return [dataset_id(dataset_type.name, row, run.name if mode == "data_id_run" else None) for row in rows]


def _ingest_date(session: Session, tai_ns: int | None) -> dict[str, Any]:
    tai_ns = now_ns() if tai_ns is None else tai_ns
    if isinstance(session.table("dataset").c.ingest_date.type, sa.BigInteger):
        return {"ingest_date": tai_ns}
    epoch = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 (the column has no zone)
    return {"ingest_date": epoch + datetime.timedelta(microseconds=tai_to_utc_ns(tai_ns) // 1000)}


# -- taking them out -----------------------------------------------------------------


def move_to_trash(session: Session, ids: IdList) -> dict[str, int]:
    """Take datasets out of their datastores: their files are deleted when the trash is emptied.

    Who removes datasets does this first, as the Butler does: two that lock locations and datasets in another order get
    into a deadlock, and the Butler does not try again.

    Parameters
    ----------
    session : `Session`
        The open registry.
    ids : `IdList`
        Identifiers, not more than one statement should carry.

    Returns
    -------
    moved : `dict` [`str`, `int`]
        Number of datasets by datastore that they were in; empty on SQLite, where to count them takes another look.
    """
    location, trash = session.table("dataset_location"), session.table("dataset_location_trash")
    columns = (location.c.dataset_id, location.c.datastore_name)
    names = [c.name for c in columns]
    taken = sa.delete(location).where(among(session, location.c.dataset_id, ids))
    if session.dialect == "sqlite":
        found = sa.select(*columns).where(among(session, location.c.dataset_id, ids))
        session.execute(insert_missing(session, trash.name).from_select(names, found))
        session.execute(taken)
        return {}
    # Each row is looked for once.
    gone = taken.returning(*columns).cte("gone")
    put = insert_missing(session, trash.name).from_select(names, sa.select(gone.c.dataset_id, gone.c.datastore_name))
    counted = sa.select(gone.c.datastore_name, sa.func.count()).group_by(gone.c.datastore_name)
    return dict(map(tuple, session.rows(counted.add_cte(gone, put.cte("put")))))


def lock_datasets(session: Session, ids: IdList) -> None:
    """Lock datasets against everybody who would refer to them; what is not there is no harm."""
    if session.dialect == "sqlite":
        # Everything is locked.
        return
    dataset = session.table("dataset")
    query = sa.select(dataset.c.id).where(among(session, dataset.c.id, ids)).order_by(dataset.c.id)
    session.execute(sa.select(sa.func.count()).select_from(query.with_for_update().subquery()))


def lock_certifications(session: Session) -> None:
    """Lock the tables of certifications for the removal of datasets, before any of these is locked.

    Their rows go with those of datasets, and a Butler that certifies has a lock on their table before it waits for
    datasets.
    """
    tables = session.recorded.dynamic.dataset_tables
    session.lock(*(table.name for table in tables if table.kind == "calibs"), mode="ROW EXCLUSIVE")


def remove_datasets(session: Session, ids: IdList) -> int:
    """Remove datasets and all that refers to them: tags, certifications, locations (which go to the trash).

    Parameters
    ----------
    session : `Session`
        The open registry.
    ids : `IdList`
        Identifiers; what is not there is passed over.

    Returns
    -------
    removed : `int`
        Number of datasets that were removed.
    """
    dataset, removed = session.table("dataset"), 0
    for part in ids.parts(Batches.LARGEST[session.dialect]):
        lock_certifications(session)
        move_to_trash(session, part)
        # Tags and certifications go with the row; the foreign keys see to it, and that nobody stores it meanwhile.
        removed += session.execute(sa.delete(dataset).where(among(session, dataset.c.id, part)))
    return removed


def use_memory(session: Session) -> None:
    """Let SQLite keep more in memory: with its usual 2 MB, pages of many indexes are written and read all the time."""
    if session.dialect == "sqlite":
        # In KiB.
        session.connection.exec_driver_sql("PRAGMA cache_size = -131072")


class Batches:
    """Cut work into transactions that are short enough for others not to notice.

    Parameters
    ----------
    session : `Session`
        The open registry; it commits after each piece.
    """

    #: How long others may have to wait, in seconds; those on PostgreSQL are promised 0.5.  On SQLite everybody waits
    #: for everybody (a Butler five minutes), and identifiers are spread over all pages, most of which each piece
    #: writes again.
    TARGET_S: ClassVar = {"postgresql": 0.3, "sqlite": 10.0}
    FIRST: ClassVar = {"postgresql": 500, "sqlite": 50_000}
    SMALLEST: ClassVar = 250
    LARGEST: ClassVar = {"postgresql": 10_000, "sqlite": 200_000}

    def __init__(self, session: Session) -> None:
        self.session = session
        self.size: int = self.FIRST[session.dialect]
        use_memory(session)

    def run(self, items: IdList, work: Callable[[IdList], int], done: Callable[[int], None]) -> int:
        """Do some work on all items.

        Parameters
        ----------
        items : `IdList`
            What it is done on; it must be no harm to do it twice.
        work : callable
            Is given some of them; returns how many rows it changed.
        done : callable
            Is told how many items have been done by each commit.

        Returns
        -------
        changed : `int`
            Sum of what ``work`` returned.
        """
        changed = start = 0
        while start < len(items):
            begun = time.perf_counter()
            part = items[start : start + self.size]
            changed += work(part)
            self.session.commit()
            self.adapt(len(part), time.perf_counter() - begun)
            start += len(part)
            done(len(part))
        return changed

    def adapt(self, number: int, elapsed_s: float) -> None:
        """Choose the size of the next piece by how long one of a number of items has taken, in seconds."""
        wanted = int(number * min(2.0, self.TARGET_S[self.session.dialect] / max(elapsed_s, 1e-3)))
        self.size = min(max(wanted, self.SMALLEST), self.LARGEST[self.session.dialect])


def empty_run(session: Session, run: Collection, *, progress: Progress | None = None) -> int:
    """Remove all datasets of a run, in pieces, each of which is committed.

    It can be stopped and called again.  Others are kept waiting for a fraction of a second at most.

    Parameters
    ----------
    session : `Session`
        The open registry; what it did before is committed too.
    run : `Collection`
        The run.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    removed : `int`
        Number of datasets that were removed.
    """
    progress = progress or NullProgress()
    dataset, batches = session.table("dataset"), Batches(session)
    mine = dataset.c[session.run_column] == run.key
    total = session.scalar(sa.select(sa.func.count()).select_from(dataset).where(mine))
    removed = count = 0

    def done(number: int) -> None:
        nonlocal count
        count += number
        progress.rows("dataset", min(count, total), total)

    # What is dead is still walked over until it is vacuumed: few queries, each for many.
    while ids := doomed_of_run(session, run):
        removed += batches.run(ids, lambda part: remove_datasets(session, part), done)
    return removed


def doomed_of_run(session: Session, run: Collection) -> IdList:
    """Return the datasets of a run, or a good part of them, in the order in which they are best removed."""
    dataset = session.table("dataset")
    query = sa.select(id_as_text(dataset.c.id)).where(dataset.c[session.run_column] == run.key).limit(_ROUND)
    return fetch_doomed(session, query, row_of(dataset))


def row_of(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the number by which SQLite sorts the rows of a table."""
    return sa.literal_column(f"{table.name}.rowid")
