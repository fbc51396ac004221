"""Datasets go, and their files with them: one pass in short transactions, by several sessions where that is faster.

Of each batch of datasets one transaction moves what is stored to the trash, and removes the rows.  Only when that is
committed, the files are deleted, while the next batch is at work; the rows that know of them go in the transaction
after that.  Whoever is stopped leaves rows in the trash whose files, or the rest of them, are still to be deleted; see
`empty_trash`.  To that are left, too: files that several datasets use, members of archives, and what failed.
"""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from . import lite_removal
from .artifacts import Artifacts, artifact_path
from .datasets import Batches, fetch_ids, id_as_text, lock_certifications, move_to_trash
from .datastore import LOCATION, TRASH
from .foreign_keys import Dependents
from .idlist import IdList, among, require_kind
from .session import change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registrytool.catalog import Catalog
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .artifacts import Outcome
    from .datastore import Datastore
    from .session import Session

#: How many sessions share the work on PostgreSQL, of which each keeps one processor of the server busy, and how many
#: datasets are worth a session.
SESSIONS, WORTH_A_SESSION = 2, 5000
#: How many files are deleted at the same time, where each takes a while, and how many by one thread in a row.
_THREADS, _CHUNK = 8, 500
#: How many rows are fetched at once, and of how many datasets that were all removed at once files are looked up.
_ROWS, _LOOKED_AT = 10_000, 50_000
#: After how many commits all garbage is looked for.
_THOROUGH = 16


def told_of(table: str, total: int, progress: Progress) -> Callable[[int], None]:
    """Return what adds up the numbers that it is told, and tells the sum of them.

    Parameters
    ----------
    table : `str`
        What is counted.
    total : `int`
        How many there are.
    progress : `Progress`
        Is told.
    """
    done = 0

    def told(number: int) -> None:
        nonlocal done
        done += number
        progress.rows(table, min(done, total), total)

    return told


@dataclass(slots=True)
class Tally:
    """What has been done.

    Attributes
    ----------
    datasets : `int`
        Number of datasets that are out of the trash.
    files : `~collections.Counter`
        Number of files that were ``deleted``, that were ``missing``, and that were ``kept`` since they lie elsewhere.
    """

    datasets: int = 0
    files: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Going:
    """Files of one batch and one datastore: of its datasets, those that are ``left`` stay in the trash."""

    store: Datastore
    ids: IdList
    paths: list[str] = field(default_factory=list)
    left: set[str | int] = field(default_factory=set)
    elsewhere: int = 0
    pieces: list[Future[Outcome]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Removal:
    """Take datasets out of their datastores, or remove them altogether, and delete their files.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    ids : `IdList`
        Identifiers of the datasets, neighbours side by side (`fetch_doomed`); what is not there is passed over.
    purge : `bool`
        Whether the datasets are removed; otherwise they stay, without files.
    stores : sequence of `Datastore`, optional
        Datastores whose files are deleted; files of others stay in the trash.
    catalog : `Catalog`, optional
        The content.
    """

    def __init__(
        self,
        repository: Repository,
        ids: IdList,
        *,
        purge: bool,
        stores: Sequence[Datastore] = (),
        catalog: Catalog | None = None,
    ) -> None:
        self.repository, self.purge, self.catalog = repository, purge, catalog
        self.artifacts = {store: Artifacts(store) for store in stores}
        self.stopped = threading.Event()
        self.ids, self._next, self._lock = ids, 0, threading.Lock()
        self._told: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def run(self, wanted: str, told: Callable[[int], None]) -> Tally:
        """Do it.

        Parameters
        ----------
        wanted : `str`
            What is done, see `change`.
        told : callable
            Is told how many datasets have been done since it was last told, in the thread of the caller.

        Returns
        -------
        tally : `Tally`
            What was done.

        Raises
        ------
        RegistryBusyError, RegistryConflictError
            See `change`; what was committed until then is done.
        """
        number = 1
        if self.repository.dialect == "postgresql":
            number = min(SESSIONS, -(-len(self.ids) // WORTH_A_SESSION))
        with ThreadPoolExecutor(_THREADS) as files, ThreadPoolExecutor(max(number, 1)) as sessions:
            workers = [_Worker(self, files) for _ in range(number)]
            # SQLite has one writer; and one session needs no thread, so that whoever looks on sees it at work.
            try:
                if number == 1:
                    workers[0].notify = told
                    self._change(wanted, workers[0])
                else:
                    running = [sessions.submit(self._start, wanted, worker) for worker in workers]
                    left = number
                    while left:
                        item = self._told.get()
                        if item is None:
                            left -= 1
                        else:
                            told(item)
                    for future in running:
                        future.result()
            except BaseException:
                self.stopped.set()
                files.shutdown(wait=False, cancel_futures=True)
                raise
        tally = Tally()
        for worker in workers:
            tally.datasets += worker.tally.datasets
            tally.files.update(worker.tally.files)
        return tally

    def _start(self, wanted: str, worker: _Worker) -> None:
        worker.notify = self._told.put
        try:
            self._change(wanted, worker)
        except BaseException:
            self.stopped.set()
            raise
        finally:
            self._told.put(None)

    def _change(self, wanted: str, worker: _Worker) -> None:
        change(self.repository, wanted, worker.work, catalog=self.catalog)

    def take(self, size: int) -> IdList:
        """Take some of what is still to be done; an empty list says that nothing is."""
        with self._lock:
            start = self._next
            self._next = min(start + size, len(self.ids))
            return self.ids[start : self._next]


class _Worker:
    """What one session does; a transaction that came to nothing is done again, by the same worker."""

    def __init__(self, removal: Removal, files: ThreadPoolExecutor) -> None:
        self.tally = Tally()
        self.notify: Callable[[int], None]
        self._removal, self._files = removal, files
        self._part = IdList()
        #: Files that are being deleted, and such that are gone, whose rows are not.
        self._going: list[_Going] = []
        self._gone: list[_Going] = []
        self._forgotten = self._commits = 0

    def work(self, session: Session) -> None:
        """Work until nothing is left, or another session has failed."""
        require_kind(session, self._removal.ids)
        batches = Batches(session)
        dependents = Dependents() if self._removal.purge else None
        if dependents is not None and session.dialect == "sqlite":
            dependents.prepare(session)
            if lite_removal.is_worth_it(session, self._removal.ids, dependents):
                self._remove_most(session, dependents)
                return
        while True:
            begun = time.perf_counter()
            if not self._part and not self._removal.stopped.is_set():
                part = self._removal.take(batches.size)
                self._part = part.sorted_within(max(len(part), 1)) if session.dialect == "sqlite" else part
            if not (self._part or self._going or self._gone):
                return
            use_indexes(session)
            if dependents is not None:
                dependents.prepare(session)
                lock_certifications(session)
            self._forgotten = sum(_forget(session, going) for going in self._gone)
            found = self._remove(session, dependents) if self._part else []

            def between(found: list[_Going] = found, begun: float = begun) -> None:
                if self._part:
                    batches.adapt(len(self._part), time.perf_counter() - begun)
                self._committed(found)

            session.commit(between)

    def _remove_most(self, session: Session, dependents: Dependents) -> None:
        """Remove all at once, on SQLite."""
        stores, ids = list(self._removal.artifacts), self._removal.ids
        lite_removal.remove_most(session, ids, dependents)
        session.commit()
        looked_at: list[_Going] = []
        before: list[_Going] = []
        for part in ids.parts(_LOOKED_AT if stores else max(len(ids), 1)):
            found = [_find_files(session, store, part.sorted_within(_LOOKED_AT), all_stored=False) for store in stores]
            self._start(found)
            session.commit(partial(self._finish, before))
            looked_at += before
            before = found
            self.notify(len(part))
        session.commit(partial(self._finish, before))
        left = set[str | int]()
        for going in looked_at + before:
            left |= going.left | _failed(session, going)
        self.tally.datasets += lite_removal.forget_most(session, stores, left)
        session.commit()

    def _remove(self, session: Session, dependents: Dependents | None) -> list[_Going]:
        ids = self._part
        moved = move_to_trash(session, ids)
        found = [
            _find_files(session, store, ids, all_stored=moved == {store.name: len(ids)})
            for store in self._removal.artifacts
        ]
        if dependents is not None:
            dependents.delete(session, ids)
            dataset = session.table("dataset")
            # Of a dataset that somebody has stored meanwhile the foreign key says so, and all is done again.
            session.execute(sa.delete(dataset).where(among(session, dataset.c.id, ids)))
        return found

    def _committed(self, found: list[_Going]) -> None:
        """Delete the files of what is committed, and wait for those of the batch before."""
        self._start(found)
        self._finish(self._going)
        self.tally.datasets += self._forgotten
        self._gone, self._going = self._going, found
        self._commits += 1
        # Statements refer to themselves, and carry all identifiers: garbage that would be looked for too seldom. What
        # is in use in another session just then, only a thorough look finds later.
        gc.collect(1 if self._commits % _THOROUGH else 2)
        done, self._part = len(self._part), IdList()
        if done:
            self.notify(done)

    def _start(self, found: Sequence[_Going]) -> None:
        """Begin to delete files."""
        for going in found:
            artifacts, paths = self._removal.artifacts[going.store], going.paths
            for start in range(0, len(paths), _CHUNK):
                going.pieces.append(self._files.submit(artifacts.delete, paths[start : start + _CHUNK]))

    def _finish(self, found: Sequence[_Going]) -> None:
        """Wait until files are deleted."""
        for going in found:
            for piece in going.pieces:
                outcome = piece.result()
                going.failed.extend(outcome.failures)
                self.tally.files.update(deleted=outcome.deleted, missing=outcome.missing)
            going.pieces.clear()
            going.paths.clear()
            self.tally.files.update(kept=going.elsewhere)


def use_indexes(session: Session) -> None:
    """Let PostgreSQL look for rows by indexes in this transaction: they are few of a table, each time."""
    if session.dialect == "postgresql":
        # Of a table that is not small it would read all, a hundred times. What no index finds seems dear then, and is
        # not worth to be compiled.
        session.connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")


def _find_files(session: Session, store: Datastore, ids: IdList, *, all_stored: bool) -> _Going:
    """Find the files in the trash that can be deleted at once."""
    going = _Going(store, ids)
    if store.records_table not in session.recorded.dynamic.record_tables:
        return going
    records, trash = session.table(store.records_table), session.table(TRASH)
    others = records.alias()
    shared = sa.exists().where(others.c.path == records.c.path, others.c.dataset_id != records.c.dataset_id)
    query = sa.select(records.c.path, shared).where(among(session, records.c.dataset_id, ids))
    if not all_stored:
        query = query.join(trash, trash.c.dataset_id == records.c.dataset_id)
        query = query.where(trash.c.datastore_name == store.name)
    doubtful = []
    for rows in session.connection.execute(query).partitions(_ROWS):
        for path, is_shared in rows:
            artifact = artifact_path(path)
            if artifact == path and not is_shared:
                going.paths.append(path)
            elif artifact is None:
                going.elsewhere += 1
            else:
                # Others are, or were a moment ago, at the same file.
                doubtful.append(path)
    if doubtful:
        going.left = _owners(session, records, doubtful, ids)
        theirs = sa.select(records.c.path).where(among(session, records.c.dataset_id, IdList.of(going.left)))
        going.paths = list(set(going.paths) - set(session.connection.scalars(theirs)))
    going.paths = sorted(set(going.paths))
    return going


def _owners(session: Session, records: sa.Table, paths: Sequence[str], ids: IdList) -> set[str | int]:
    """Return which of some datasets have records of files."""
    query = sa.select(id_as_text(records.c.dataset_id)).where(
        among(session, records.c.path, paths), among(session, records.c.dataset_id, ids)
    )
    return {i if isinstance(i, int) else str(i) for i in session.connection.scalars(query)}


def _forget(session: Session, going: _Going) -> int:
    """Delete the rows of files that are gone; return of how many datasets."""
    location, trash = session.table(LOCATION), session.table(TRASH)
    records = None
    if going.store.records_table in session.recorded.dynamic.record_tables:
        records = session.table(going.store.records_table)
    left = going.left | _failed(session, going)
    ids = going.ids.without(left)
    # In the order in which all do it who empty the trash.
    number = session.execute(
        sa.delete(trash).where(trash.c.datastore_name == going.store.name, among(session, trash.c.dataset_id, ids))
    )
    if records is not None:
        # A dataset that was stored again has the same identifier.
        stored = sa.select(id_as_text(location.c.dataset_id)).where(location.c.datastore_name == going.store.name)
        back = fetch_ids(session, stored.where(among(session, location.c.dataset_id, ids)))
        session.execute(sa.delete(records).where(among(session, records.c.dataset_id, ids.without(back))))
    return number


def _failed(session: Session, going: _Going) -> set[str | int]:
    """Return the datasets of files that could not be deleted."""
    if not going.failed:
        return set()
    return _owners(session, session.table(going.store.records_table), going.failed, going.ids)
