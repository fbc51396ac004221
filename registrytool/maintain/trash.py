"""The trash of datastores: files of datasets that were removed, until they are deleted.

A file is deleted before the rows that know of it, so that a run that was stopped is finished by the next one, and no
file is left that nobody knows.  A file that another dataset uses is kept: one raw file can hold many datasets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .artifacts import Artifacts, artifact_path
from .datasets import fetch_ids, id_as_text, use_memory
from .datastore import LOCATION, TRASH, Datastore, load_datastores
from .idlist import IdList, among
from .session import change, look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registrytool.catalog import Catalog
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .session import Session

#: Datasets whose files are deleted in one transaction: nobody waits for it on PostgreSQL, and on SQLite each writes
#: most pages again.  Elsewhere each file takes a while.
_BATCH, _BATCH_REMOTE = {"postgresql": 5000, "sqlite": 100_000}, 50


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """What of one datastore is in the trash.

    Attributes
    ----------
    datastore : `str`
        Its name.
    datasets : `int`
        Number of datasets.
    files : `int` or `None`
        Number of file records, `None` if ``butler.yaml`` does not name the datastore.
    size_bytes : `int` or `None`
        Size of these files, as far as it is recorded.
    """

    datastore: str
    datasets: int
    files: int | None = None
    size_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(to_plain(self))


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be deleted."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrashReport:
    """What came of emptying the trash.

    Attributes
    ----------
    datasets : `int`
        Number of datasets that are out of the trash.
    deleted : `int`
        Number of files that were deleted.
    missing : `int`
        Number of files that were gone already.
    kept : `int`
        Number of files that other datasets use, or that are not in the datastore but elsewhere.
    failures : `tuple` [`Failure`, ...]
        Files that could not be deleted; their datasets stay in the trash.
    unknown : `tuple` [`str`, ...]
        Datastores that ``butler.yaml`` does not name; what is in their trash stays.
    """

    datasets: int = 0
    deleted: int = 0
    missing: int = 0
    kept: int = 0
    failures: tuple[Failure, ...] = ()
    unknown: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(to_plain(self))


@dataclass(slots=True)
class _Tally:
    """What has been done so far."""

    datasets: int = 0
    files: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def list_trash(session: Session) -> tuple[TrashEntry, ...]:
    """Return what is in the trash, by datastore.

    Parameters
    ----------
    session : `Session`
        The open registry.
    """
    trash = session.table(TRASH)
    stores = _stores(session.repository) if session.repository.config_file is not None else {}
    found = []
    for name, number in _numbers(session).items():
        store, entry = stores.get(name), TrashEntry(name, number)
        if store is not None:
            files, size = 0, 0
            if store.records_table in session.recorded.dynamic.record_tables:
                records = session.table(store.records_table)
                wanted = sa.select(
                    sa.func.count().label("files"), sa.func.coalesce(sa.func.sum(records.c.file_size), 0).label("size")
                ).select_from(trash.join(records, records.c.dataset_id == trash.c.dataset_id))
                total = session.rows(wanted.where(trash.c.datastore_name == name))[0]
                files, size = total.files, int(total.size)
            entry = TrashEntry(name, number, files, size)
        found.append(entry)
    return tuple(found)


def _numbers(session: Session, meant: sa.ColumnElement[bool] | None = None) -> dict[str, int]:
    """Return the number of datasets in the trash of each datastore."""
    trash = session.table(TRASH)
    query = sa.select(trash.c.datastore_name, sa.func.count()).where(sa.true() if meant is None else meant)
    query = query.group_by(trash.c.datastore_name)
    return dict(map(tuple, session.rows(query.order_by(trash.c.datastore_name))))


def count_left(session: Session) -> int:
    """Return the number of datasets in the trash that are no more.

    Parameters
    ----------
    session : `Session`
        The open registry.
    """
    trash = session.table(TRASH)
    query = sa.select(sa.func.count(sa.distinct(trash.c.dataset_id))).where(_is_removed(session))
    return int(session.scalar(query))


def _is_removed(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition that what is in the trash is of a dataset that is no more."""
    trash, dataset = session.table(TRASH), session.table("dataset")
    return ~sa.exists().where(dataset.c.id == trash.c.dataset_id)


def _stores(repository: Repository) -> dict[str, Datastore]:
    return {store.name: store for store in load_datastores(repository)}


def empty_trash(
    repository: Repository,
    *,
    ids: IdList | None = None,
    removed: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TrashReport:
    """Delete the files that are in the trash, and all that the registry knows of them.

    Parameters
    ----------
    repository : `Repository`
        The repository; its ``butler.yaml`` says where the files are.
    ids : `IdList`, optional
        Datasets of which the files are deleted; by default all that are in the trash.
    removed : `bool`, optional
        Whether to leave files of datasets that are still there.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to delete nothing and say what would be deleted.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    report : `TrashReport`
        What was done.

    Raises
    ------
    ConfigurationError
        Where the files are is not known, or the extra that can delete them is not installed.
    """
    stores = _stores(repository)
    progress = progress or NullProgress()

    def counted(session: Session) -> tuple[dict[str, int], _Tally]:
        found = _Tally()
        if dry_run:
            for store in stores.values():
                for batch in _batches(session, store, ids, removed=removed):
                    found.datasets += len(batch.ids)
                    found.files.update(deleted=len(batch.owned), kept=len(batch.kept))
        return _numbers(session, _is_removed(session) if removed else None), found

    numbers, tally = look(repository, counted, catalog=catalog)
    unknown = tuple(name for name in numbers if name not in stores)
    if not dry_run:
        for name, number in numbers.items():
            if name in stores:
                _empty(repository, stores[name], ids, removed, number, catalog, progress, tally)
    return TrashReport(
        tally.datasets,
        tally.files["deleted"],
        tally.files["missing"],
        tally.files["kept"],
        tuple(tally.failures),
        unknown,
    )


def _empty(
    repository: Repository,
    store: Datastore,
    ids: IdList | None,
    removed: bool,  # noqa: FBT001 (handed on)
    total: int,
    catalog: Catalog | None,
    progress: Progress,
    tally: _Tally,
) -> None:
    artifacts = Artifacts(store)
    total = total if ids is None else min(total, len(ids))
    done = 0

    def work(session: Session) -> None:
        nonlocal done
        use_memory(session)
        for batch in _batches(session, store, ids, removed=removed, lock=True):
            tally.datasets += _delete(session, store, artifacts, batch, tally)
            session.commit()
            done += len(batch.ids)
            progress.rows(TRASH, min(done, total), total)

    change(repository, f"empty the trash of {repository.name}", work, catalog=catalog)


@dataclass(slots=True)
class _Batch:
    """Some datasets in the trash, and their files.

    ``owned`` maps files that nobody else uses to the datasets that do (as text, or numbers); ``back`` are datasets
    that were stored again.
    """

    ids: IdList = field(default_factory=IdList)
    owned: dict[str, list[Any]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    back: set[Any] = field(default_factory=set)


def _batches(
    session: Session, store: Datastore, ids: IdList | None, *, removed: bool, lock: bool = False
) -> Iterator[_Batch]:
    """Go through what is in the trash; what another session is at is left to it."""
    trash = session.table(TRASH)
    size = _BATCH[session.dialect] if store.is_local else _BATCH_REMOTE
    identifier = trash.c.dataset_id
    query = sa.select(id_as_text(identifier)).where(trash.c.datastore_name == store.name).order_by(identifier)
    if removed:
        query = query.where(_is_removed(session))
    if lock:
        query = query.with_for_update(of=trash, skip_locked=True)
    if ids is not None:
        for part in ids.parts(size):
            found = fetch_ids(session, query.where(among(session, identifier, part)))
            if found:
                yield _files(session, store, found)
        return
    # What cannot be deleted stays; going on behind it, everything is looked at once.
    found = fetch_ids(session, query.limit(size))
    while found:
        yield _files(session, store, found)
        found = fetch_ids(session, query.where(identifier > found[-1]).limit(size))


def _files(session: Session, store: Datastore, ids: IdList) -> _Batch:
    batch = _Batch(ids)
    if store.records_table not in session.recorded.dynamic.record_tables:
        return batch
    records, location = session.table(store.records_table), session.table(LOCATION)
    # A dataset that was stored again has the same identifier, and needs its file.
    query = sa.select(id_as_text(location.c.dataset_id)).where(location.c.datastore_name == store.name)
    batch.back.update(session.connection.scalars(query.where(among(session, location.c.dataset_id, ids))))
    # Of a million files the database names the few that have records of several datasets.
    others = records.alias()
    shared = sa.exists().where(others.c.path == records.c.path, others.c.dataset_id != records.c.dataset_id)
    found = sa.select(id_as_text(records.c.dataset_id), records.c.path, shared)
    doubtful: set[str] = set()
    archives: set[str] = set()
    for row in session.rows(found.where(among(session, records.c.dataset_id, ids))):
        dataset, path, is_shared = tuple(row)
        artifact = artifact_path(path)
        if artifact is None or dataset in batch.back:
            batch.kept.add(artifact or path)
            continue
        batch.owned.setdefault(artifact, []).append(dataset)
        if is_shared or artifact != path:
            doubtful.add(artifact)
            if "#" in path:
                archives.add(artifact)
    batch.kept |= _used_by_others(session, records, sorted(doubtful), archives, ids, batch.back)
    for path in batch.kept & batch.owned.keys():
        del batch.owned[path]
    return batch


def _used_by_others(
    session: Session, records: sa.Table, paths: Sequence[str], archives: set[str], ids: IdList, back: set[Any]
) -> set[str]:
    """Return which files records of other datasets name, as a whole or as a member of an archive."""
    if not paths:
        return set()
    query = sa.select(id_as_text(records.c.dataset_id), records.c.path)
    going = (
        set(
            session.connection.scalars(
                query.with_only_columns(query.selected_columns[0]).where(among(session, records.c.dataset_id, ids))
            )
        )
        - back
    )
    found = {
        path
        for dataset, path in map(tuple, session.rows(query.where(among(session, records.c.path, paths))))
        if dataset not in going
    }
    for path in archives - found:
        # A member is named by the path of the archive, #, and where in it.
        members = session.rows(query.where(records.c.path.startswith(f"{path}#", autoescape=True)))
        if any(row[0] not in going for row in members):
            found.add(path)
    return found


def _delete(session: Session, store: Datastore, artifacts: Artifacts, batch: _Batch, tally: _Tally) -> int:
    """Delete the files of some datasets, and then their rows; return for how many datasets it worked."""
    failed: set[Any] = set()
    outcome = artifacts.delete(sorted(batch.owned))
    for path, reason in outcome.failures.items():
        tally.failures.append(Failure(store.uri(path), reason))
        failed.update(batch.owned[path])
    tally.files.update(deleted=outcome.deleted, missing=outcome.missing, kept=len(batch.kept))
    gone = batch.ids.without(failed)
    trash = session.table(TRASH)
    if store.records_table in session.recorded.dynamic.record_tables:
        records = session.table(store.records_table)
        session.execute(sa.delete(records).where(among(session, records.c.dataset_id, gone.without(batch.back))))
    session.execute(
        sa.delete(trash).where(trash.c.datastore_name == store.name, among(session, trash.c.dataset_id, gone))
    )
    return len(gone)
