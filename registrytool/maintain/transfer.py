"""Move and copy datasets between the runs of a repository.

A moved dataset stays the same dataset: its identifier, its tags, its certifications and its files follow it.  A copy
is another dataset with an identifier of its own, which shares the files of the first or has none.  Sharing is safe:
a file goes when the last dataset that uses it is gone, with registrytool as with the Butler, for which a file with
many datasets is an everyday thing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .collections import CollectionType, ensure_collection, insert_missing, load_collections
from .datasets import data_ids_taken, format_data_id, insert_datasets, lock_datasets
from .datastore import LOCATION
from .find import find_datasets, plan_search
from .idlist import IdList, among
from .obscore_live import follow
from .pieces import BATCH, chunks
from .session import planned_change
from .summaries import ensure_summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .collections import Collection
    from .dataset_types import DatasetType
    from .datasets import DatasetId, IdMode
    from .find import Dataset, Query, Search
    from .session import Session

#: Datasets that are dealt with at once.
_PIECE = 5000


class Files(enum.Enum):
    """What becomes of the files of a dataset that is copied."""

    SHARE = "share"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What is going to be moved or copied.

    Attributes
    ----------
    run : `str`
        Where to.
    new_run : `bool`
        Whether the run is made for it.
    datasets : `dict` [`str`, `int`]
        Number of datasets by dataset type.
    skipped : `tuple` [`str`, ...]
        Dataset types that match a pattern, but do not have the dimensions of the expression.
    """

    run: str
    new_run: bool
    datasets: Mapping[str, int]
    skipped: tuple[str, ...] = ()
    search: Search | None = field(default=None, repr=False, compare=False)

    @property
    def total(self) -> int:
        """Number of datasets."""
        return sum(self.datasets.values())

    @property
    def changed(self) -> bool:
        """Whether anything is different from before."""
        return self.total > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = ("run", "new_run", "datasets", "skipped")
        return {"total": self.total, **{name: to_plain(getattr(self, name)) for name in names}}


def plan_transfer(session: Session, query: Query, run: str) -> TransferPlan:
    """Say what would be moved or copied.

    Parameters
    ----------
    session : `Session`
        The open registry.
    query : `Query`
        Which datasets.
    run : `str`
        Name of the run, which is made if there is none.

    Raises
    ------
    RegistryStateError
        There is no such dataset, dataset type or collection; it is not a run; or it has, or would get, two datasets of
        one dataset type and data ID.
    """
    search = plan_search(session, query)
    into = load_collections(session).get(run)
    if into is not None and into.type is not CollectionType.RUN:
        message = f"Datasets are put into runs, and {run!r} is a collection of type {into.type.name}."
        raise RegistryStateError(message, hint="Name a collection of type RUN.")
    counts: dict[str, int] = {}
    types = {part.dataset_type.name: part.dataset_type for part in search.parts}
    seen: dict[str, set[tuple[Any, ...]]] = {name: set() for name in types}
    for name, piece in _pieces(session, search, run):
        counts[name] = counts.get(name, 0) + len(piece)
        for dataset in piece:
            key = tuple(dataset.data_id.values())
            if key in seen[name]:
                message = (
                    f"Two of the datasets have dataset type {name!r} and data ID ({format_data_id(dataset.data_id)})."
                )
                raise RegistryStateError(message, hint="A run holds one dataset for each dataset type and data ID.")
            seen[name].add(key)
        if into is not None:
            taken = _taken(session, types[name], into, piece)
            if taken:
                raise data_ids_taken(types[name], run, [dataset.data_id for dataset in taken])
    return TransferPlan(run, into is None, counts, search.skipped, search)


def _pieces(session: Session, search: Search, run: str) -> Any:
    """Cut what is found into pieces of one dataset type; what is in the run already is left out."""
    piece: list[Dataset] = []
    for dataset in find_datasets(session, search):
        if dataset.run == run:
            continue
        if piece and (len(piece) == _PIECE or piece[0].dataset_type != dataset.dataset_type):
            yield piece[0].dataset_type, piece
            piece = []
        piece.append(dataset)
    if piece:
        yield piece[0].dataset_type, piece


def _taken(session: Session, dataset_type: DatasetType, run: Collection, piece: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets for whose data IDs the run has others."""
    table = session.table(dataset_type.tags_table)
    mine, theirs = table.alias("mine"), table.alias("theirs")
    column = session.collection_column
    pairs = [mine.c[name] == theirs.c[name] for name in ("dataset_type_id", *dataset_type.dimensions)]
    query = (
        sa.select(mine.c.dataset_id)
        .select_from(mine.join(theirs, sa.and_(*pairs, theirs.c[column] == run.key)))
        .where(
            among(session, mine.c.dataset_id, [dataset.id for dataset in piece]),
            theirs.c.dataset_id != mine.c.dataset_id,
        )
    )
    found = set(session.connection.scalars(query))
    return [dataset for dataset in piece if dataset.id in found]


def move_datasets(
    repository: Repository,
    query: Query,
    run: str,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TransferPlan:
    """Move datasets into another run, in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    query : `Query`
        Which datasets.
    run : `str`
        Name of the run, which is made if there is none.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    plan : `TransferPlan`
        What was moved.

    Raises
    ------
    RegistryStateError
        See `plan_transfer`.
    """
    return _transfer(repository, query, run, "move", _move, catalog, progress, dry_run=dry_run)


def copy_datasets(
    repository: Repository,
    query: Query,
    run: str,
    *,
    files: Files = Files.SHARE,
    ids: IdMode = "uuid7",
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TransferPlan:
    """Copy datasets into another run, in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    query : `Query`
        Which datasets.
    run : `str`
        Name of the run, which is made if there is none.
    files : `Files`, optional
        Whether copies share the files, or have none.
    ids : `str`, optional
        How identifiers of the copies are made, see `insert_datasets`.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    plan : `TransferPlan`
        What was copied.

    Raises
    ------
    RegistryStateError
        See `plan_transfer`.
    """

    def copy(session: Session, dataset_type: DatasetType, into: Collection, piece: Sequence[Dataset]) -> None:
        new = insert_datasets(session, dataset_type, into, [dict(d.data_id) for d in piece], ids=ids)
        if files is Files.SHARE:
            _share(session, dict(zip((d.id for d in piece), new, strict=True)), f"copy datasets into {into.name}")

    return _transfer(repository, query, run, "copy", copy, catalog, progress, dry_run=dry_run)


def _transfer(
    repository: Repository,
    query: Query,
    run: str,
    verb: str,
    write: Callable[[Session, DatasetType, Collection, Sequence[Dataset]], None],
    catalog: Catalog | None,
    progress: Progress | None,
    *,
    dry_run: bool,
) -> TransferPlan:
    told = progress or NullProgress()

    def work(session: Session, *, act: bool) -> TransferPlan:
        found = plan_transfer(session, query, run)
        if not act:
            return found
        assert found.search is not None  # noqa: S101 (a plan that was just made has it)
        into = ensure_collection(session, run, CollectionType.RUN)
        types = {part.dataset_type.name: part.dataset_type for part in found.search.parts}
        done = 0
        # All are read before the first is written: what is found must not depend on what was moved already.
        for name, piece in list(_pieces(session, found.search, run)):
            write(session, types[name], into, piece)
            done += len(piece)
            told.rows("dataset", done, found.total)
        return found

    wanted = f"{verb} datasets of {repository.name} into {run}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _move(session: Session, dataset_type: DatasetType, into: Collection, piece: Sequence[Dataset]) -> None:
    governors = [e.name for e in session.universe.governors if e.name in dataset_type.dimensions]
    ensure_summaries(session, into, [dataset_type.id], {g: {d.data_id[g] for d in piece} for g in governors})
    dataset, tags = session.table("dataset"), session.table(dataset_type.tags_table)
    column = session.collection_column
    for ids in IdList(sorted(d.id for d in piece)).parts(BATCH):
        lock_datasets(session, ids)
        run = sa.select(dataset.c[session.run_column]).where(dataset.c.id == tags.c.dataset_id).scalar_subquery()
        session.execute(
            sa.update(tags)
            .where(among(session, tags.c.dataset_id, ids), tags.c[column] == run)
            .values({column: into.key})
        )
        session.execute(
            sa.update(dataset).where(among(session, dataset.c.id, ids)).values({session.run_column: into.key})
        )
        follow(session, ids)


def _share(session: Session, new: Mapping[DatasetId, DatasetId], wanted: str) -> None:
    """Give copies the locations and file records of what they are copies of."""
    location = session.table(LOCATION)
    for part in chunks(list(new)):
        # What is in the trash has records still, and a file that is about to go.
        stored = sa.select(location.c.dataset_id).where(among(session, location.c.dataset_id, part))
        # Nor may it go there until this has ended: who deletes files does not see yet that they are shared.
        session.hold(stored, wanted)
        ids = list(session.connection.scalars(stored.distinct()))
        for name in (LOCATION, *session.recorded.dynamic.record_tables):
            table = session.table(name)
            found = session.rows(sa.select(table).where(among(session, table.c.dataset_id, ids)))
            rows = [{**row._mapping, "dataset_id": new[row.dataset_id]} for row in found]  # noqa: SLF001
            for piece in chunks(rows):
                session.connection.execute(insert_missing(session, name), piece)
