"""What belongs to nothing: datasets without location, locations without record, records without dataset, files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .artifacts import Artifacts, artifact_path
from .datastore import LOCATION, TRASH, Datastore, load_datastores
from .idlist import among

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from registrytool.progress import Progress

    from .session import Session

#: How many of each kind are shown by default.
EXAMPLES = 20
#: Files that are looked up at once.
_FILES = 2000


@dataclass(frozen=True, slots=True)
class Orphans:
    """Things of one kind that belong to nothing.

    Attributes
    ----------
    kind : `str`
        What they are.
    datastore : `str` or `None`
        The datastore, where there is one.
    count : `int`
        How many there are.
    harmless : `bool`
        Whether that is how things may be.
    examples : `tuple` [`str`, ...]
        The first ones: identifiers of datasets, or paths.
    """

    kind: str
    datastore: str | None
    count: int
    harmless: bool
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrphanReport:
    """What belongs to nothing in a repository.

    Attributes
    ----------
    datasets : `int`
        Number of datasets that were looked at.
    found : `tuple` [`Orphans`, ...]
        By kind; kinds of which there is nothing are left out.
    files : `bool`
        Whether files were looked at.
    """

    datasets: int
    found: tuple[Orphans, ...]
    files: bool

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return all(orphans.harmless for orphans in self.found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**to_plain(self), "clean": self.clean}


def find_orphans(
    session: Session, *, files: bool = False, examples: int = EXAMPLES, progress: Progress | None = None
) -> OrphanReport:
    """Find what belongs to nothing.

    Parameters
    ----------
    session : `Session`
        The open registry.
    files : `bool`, optional
        Whether to look at the files of the datastores too, each of which must be listed.
    examples : `int`, optional
        How many of each kind are named.
    progress : `Progress`, optional
        Is told what is looked at.

    Returns
    -------
    report : `OrphanReport`
        What was found.

    Raises
    ------
    ConfigurationError
        Files are to be looked at, and where they are is not known.
    """
    progress = progress or NullProgress()
    dataset, location, trash = (session.table(name) for name in ("dataset", LOCATION, TRASH))
    found: list[Orphans] = []
    named = session.repository.config_file is not None or files
    stores = load_datastores(session.repository) if named else ()
    tables = {t: session.table(t) for t in session.recorded.dynamic.record_tables}
    progress.phase("datasets without location")
    found += _kind(
        session,
        "dataset without location",
        None,
        sa.select(dataset.c.id).where(~sa.exists().where(location.c.dataset_id == dataset.c.id)),
        examples,
        harmless=True,
    )
    progress.phase("locations without record")
    found += _locations(session, stores, examples)
    progress.phase("records without dataset")
    for name, table in tables.items():
        owner = next((s.name for s in stores if s.records_table == name), name)
        orphan = sa.select(table.c.dataset_id).where(
            ~sa.exists().where(dataset.c.id == table.c.dataset_id),
            ~sa.exists().where(trash.c.dataset_id == table.c.dataset_id),
        )
        found += _kind(session, "record without dataset", owner, orphan, examples)
        unplaced = sa.select(table.c.dataset_id).where(
            sa.exists().where(dataset.c.id == table.c.dataset_id),
            ~sa.exists().where(location.c.dataset_id == table.c.dataset_id),
            ~sa.exists().where(trash.c.dataset_id == table.c.dataset_id),
        )
        found += _kind(session, "record without location", owner, unplaced, examples)
    found += _kind(session, "dataset in the trash", None, sa.select(trash.c.dataset_id), examples, harmless=True)
    if files:
        for store in stores:
            progress.phase(f"files of {store.name}")
            found += _files(session, store, stores, examples)
    total = session.scalar(sa.select(sa.func.count()).select_from(dataset))
    return OrphanReport(total, tuple(found), files)


def _kind(
    session: Session,
    kind: str,
    datastore: str | None,
    query: sa.Select[Any],
    examples: int,
    *,
    harmless: bool = False,
) -> Iterator[Orphans]:
    number = session.scalar(sa.select(sa.func.count()).select_from(query.subquery()))
    if number:
        names = tuple(str(row[0]) for row in session.rows(query.limit(examples)))
        yield Orphans(kind, datastore, number, harmless, names)


def _locations(session: Session, stores: Sequence[Datastore], examples: int) -> Iterator[Orphans]:
    """Find locations without record; a datastore that ``butler.yaml`` does not name has its records anywhere."""
    location = session.table(LOCATION)
    names = session.connection.scalars(sa.select(location.c.datastore_name).distinct())
    known = {store.name: store.records_table for store in stores}
    for name in sorted(names):
        tables = [session.table(t) for t in session.recorded.dynamic.record_tables if known.get(name, t) == t]
        query = sa.select(location.c.dataset_id).where(
            location.c.datastore_name == name,
            *(~sa.exists().where(table.c.dataset_id == location.c.dataset_id) for table in tables),
        )
        yield from _kind(session, "location without record", name, query, examples)


def _files(session: Session, store: Datastore, stores: Sequence[Datastore], examples: int) -> Iterator[Orphans]:
    """Compare the files of a datastore with its records."""
    artifacts = Artifacts(store)
    recorded = store.records_table in session.recorded.dynamic.record_tables
    records = session.table(store.records_table) if recorded else None
    number = 0
    names: list[str] = []
    for part in _pieces(artifacts.walk(without=_not_files(session, store, stores))):
        known: set[str] = set()
        if records is not None:
            known = set(
                session.connection.scalars(sa.select(records.c.path).where(among(session, records.c.path, part)))
            )
        for path in part:
            if path not in known and not _is_archive(session, records, path):
                number += 1
                if len(names) < examples:
                    names.append(path)
    if number:
        yield Orphans("file without record", store.name, number, False, tuple(names))
    if records is not None:
        yield from _missing(session, store, artifacts, records, examples)


def _missing(
    session: Session, store: Datastore, artifacts: Artifacts, records: sa.Table, examples: int
) -> Iterator[Orphans]:
    """Find records of which the file is gone."""
    number = 0
    names: list[str] = []
    options = {"stream_results": True, "yield_per": 10_000}
    rows = session.connection.execute(sa.select(records.c.path), execution_options=options)
    for (path,) in rows:
        artifact = artifact_path(path)
        if artifact is not None and not artifacts.exists(artifact):
            number += 1
            if len(names) < examples:
                names.append(path)
    if number:
        yield Orphans("record without file", store.name, number, False, tuple(names))


def _is_archive(session: Session, records: sa.Table | None, path: str) -> bool:
    """Return whether records name members of an archive."""
    if records is None or not path.lower().endswith(".zip"):
        return False
    query = sa.select(records.c.path).where(records.c.path.startswith(f"{path}#", autoescape=True)).limit(1)
    return bool(session.rows(query))


def _not_files(session: Session, store: Datastore, stores: Sequence[Datastore]) -> list[Path]:
    """Return what lies in the folder of a datastore and is none of its files."""
    from pathlib import Path

    repository = session.repository
    found = [repository.config_file] if repository.config_file is not None else []
    if repository.sqlite_file is not None:
        database = repository.sqlite_file.absolute()
        found += [database, *(database.with_name(f"{database.name}{end}") for end in ("-journal", "-wal", "-shm"))]
    found += [Path(other.root) for other in stores if other.is_local and other.root != store.root]
    return [path.absolute() for path in found]


def _pieces(paths: Iterator[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for path in paths:
        part.append(path)
        if len(part) == _FILES:
            yield part
            part = []
    if part:
        yield part
