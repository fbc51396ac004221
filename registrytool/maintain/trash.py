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
from .datasets import among, use_memory
from .datastore import LOCATION, TRASH, Datastore, load_datastores
from .session import change, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registrytool.catalog import Catalog
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .datasets import DatasetId
    from .idlist import IdList
    from .session import Session

#: Datasets whose files are deleted in one transaction; elsewhere each file takes a while.
_BATCH, _BATCH_REMOTE = 5000, 50


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
    query = sa.select(trash.c.datastore_name, sa.func.count()).group_by(trash.c.datastore_name)
    stores = _stores(session.repository) if session.repository.config_file is not None else {}
    found = []
    for row in session.rows(query.order_by(trash.c.datastore_name)):
        name, number = tuple(row)
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


def _stores(repository: Repository) -> dict[str, Datastore]:
    return {store.name: store for store in load_datastores(repository)}


def empty_trash(
    repository: Repository,
    *,
    ids: IdList | None = None,
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
    tally = _Tally()
    with reading(repository, catalog=catalog) as session:
        entries = list_trash(session)
        if dry_run:
            for store in stores.values():
                for found in _batches(session, store, ids):
                    _count(session, store, found, tally)
    unknown = tuple(e.datastore for e in entries if e.datastore not in stores)
    if not dry_run:
        for entry in entries:
            if entry.datastore in stores:
                _empty(repository, stores[entry.datastore], ids, entry.datasets, catalog, progress, tally)
    return TrashReport(
        tally.datasets,
        tally.files["deleted"],
        tally.files["missing"],
        tally.files["kept"],
        tuple(tally.failures),
        unknown,
    )


def _count(session: Session, store: Datastore, ids: Sequence[DatasetId], tally: _Tally) -> None:
    found = _files(session, store, ids)
    tally.datasets += len(ids)
    tally.files.update(deleted=len(found.owned), kept=len(found.kept))


def _empty(
    repository: Repository,
    store: Datastore,
    ids: IdList | None,
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
        for found in _batches(session, store, ids, lock=True):
            failed = _delete(session, store, artifacts, found, tally)
            session.commit()
            tally.datasets += len(found) - len(failed)
            done += len(found)
            progress.rows(TRASH, min(done, total), total)

    change(repository, f"empty the trash of {repository.name}", work, catalog=catalog)


def _batches(
    session: Session, store: Datastore, ids: IdList | None, *, lock: bool = False
) -> Iterator[list[DatasetId]]:
    """Go through what is in the trash; what another session is at is left to it."""
    trash = session.table(TRASH)
    size = _BATCH if store.is_local else _BATCH_REMOTE
    query = sa.select(trash.c.dataset_id).where(trash.c.datastore_name == store.name).order_by(trash.c.dataset_id)
    if lock:
        query = query.with_for_update(skip_locked=True)
    if ids is not None:
        for part in ids.parts(size):
            found = list(session.connection.scalars(query.where(among(session, trash.c.dataset_id, part))))
            if found:
                yield found
        return
    # What cannot be deleted stays; going on behind it, everything is looked at once.
    found = list(session.connection.scalars(query.limit(size)))
    while found:
        yield found
        found = list(session.connection.scalars(query.where(trash.c.dataset_id > found[-1]).limit(size)))


@dataclass(slots=True)
class _Files:
    """Files of some datasets in the trash.

    ``owned`` maps those that nobody else uses to the datasets that do; ``back`` are datasets that were stored again.
    """

    owned: dict[str, list[DatasetId]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    back: set[DatasetId] = field(default_factory=set)


def _files(session: Session, store: Datastore, ids: Sequence[DatasetId]) -> _Files:
    found = _Files()
    if store.records_table not in session.recorded.dynamic.record_tables:
        return found
    records, location = session.table(store.records_table), session.table(LOCATION)
    # A dataset that was stored again has the same identifier, and needs its file.
    query = sa.select(location.c.dataset_id).where(location.c.datastore_name == store.name)
    found.back.update(session.connection.scalars(query.where(among(session, location.c.dataset_id, ids))))
    archives: set[str] = set()
    for row in session.rows(
        sa.select(records.c.dataset_id, records.c.path).where(among(session, records.c.dataset_id, ids))
    ):
        artifact = artifact_path(row.path)
        if artifact is None or row.dataset_id in found.back:
            found.kept.add(artifact or row.path)
            continue
        found.owned.setdefault(artifact, []).append(row.dataset_id)
        if "#" in row.path:
            archives.add(artifact)
    found.kept |= _used_by_others(session, records, list(found.owned), archives, set(ids) - found.back)
    for path in found.kept & found.owned.keys():
        del found.owned[path]
    return found


def _used_by_others(
    session: Session, records: sa.Table, paths: Sequence[str], archives: set[str], ids: set[DatasetId]
) -> set[str]:
    """Return which files records of other datasets name, as a whole or as a member of an archive."""
    if not paths:
        return set()
    query = sa.select(records.c.dataset_id, records.c.path).where(among(session, records.c.path, paths))
    found = {row.path for row in session.rows(query) if row.dataset_id not in ids}
    for path in archives - found:
        # A member is named by the path of the archive, #, and where in it.
        query = sa.select(records.c.dataset_id).where(records.c.path.startswith(f"{path}#", autoescape=True))
        if any(row.dataset_id not in ids for row in session.rows(query)):
            found.add(path)
    return found


def _delete(
    session: Session, store: Datastore, artifacts: Artifacts, ids: Sequence[DatasetId], tally: _Tally
) -> set[DatasetId]:
    """Delete the files of some datasets, and then their rows; return the datasets for which it did not work."""
    found = _files(session, store, ids)
    failed: set[DatasetId] = set()
    outcome = artifacts.delete(found.owned)
    for path, reason in outcome.failures.items():
        tally.failures.append(Failure(store.uri(path), reason))
        failed |= set(found.owned[path])
    tally.files.update(deleted=outcome.deleted, missing=outcome.missing, kept=len(found.kept))
    trash = session.table(TRASH)
    gone = [i for i in ids if i not in failed]
    if store.records_table in session.recorded.dynamic.record_tables:
        records = session.table(store.records_table)
        session.execute(
            sa.delete(records).where(among(session, records.c.dataset_id, [i for i in gone if i not in found.back]))
        )
    session.execute(
        sa.delete(trash).where(trash.c.datastore_name == store.name, among(session, trash.c.dataset_id, gone))
    )
    return failed
