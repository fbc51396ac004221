"""Take datasets away: out of tagged collections, out of their datastores, or altogether."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .collections import CollectionType, load_collections
from .dataset_types import load_dataset_types
from .datasets import Batches, fetch_doomed, parse_ids, row_of, use_memory
from .datastore import LOCATION, load_datastores
from .find import plan_search, select_part
from .idlist import IdList, among
from .obscore_live import follow
from .pieces import chunks
from .removal import Removal, told_of
from .session import change, look
from .trash import count_left, empty_trash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .collections import Collections
    from .dataset_types import DatasetType
    from .datasets import DatasetId
    from .find import Part, Query
    from .session import Session
    from .trash import TrashReport


class Mode(enum.Enum):
    """What becomes of datasets."""

    DISASSOCIATE = "disassociate"
    UNSTORE = "unstore"
    PURGE = "purge"


_VERBS = {
    Mode.DISASSOCIATE: "take datasets out of tagged collections of",
    Mode.UNSTORE: "take datasets out of the datastores of",
    Mode.PURGE: "remove datasets from",
}


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What is going to be taken away.

    Attributes
    ----------
    mode : `Mode`
        What becomes of the datasets.
    datasets : `dict` [`str`, `int`]
        Number of datasets by dataset type.
    runs : `dict` [`str`, `int`]
        The same by run.
    tags : `dict` [`str`, `int`]
        How many of them each tagged collection has that loses them.
    certifications : `dict` [`str`, `int`]
        How many certifications each calibration collection has that loses them.
    stored : `int`
        Number of datasets that are in a datastore; their files go to the trash.
    left : `int`
        Number of datasets in the trash that are no more: of a removal that was stopped, or that left its files there.
    absent : `int`
        Number of identifiers that no dataset has, or none any more; they are passed over when datasets are removed.
    skipped : `tuple` [`str`, ...]
        Dataset types that match a pattern, but do not have the dimensions of the expression.
    """

    mode: Mode
    datasets: Mapping[str, int]
    runs: Mapping[str, int]
    tags: Mapping[str, int]
    certifications: Mapping[str, int]
    stored: int
    left: int = 0
    absent: int = 0
    skipped: tuple[str, ...] = ()
    ids: IdList = field(default_factory=IdList, repr=False, compare=False)
    tagged: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Number of datasets."""
        return sum(self.datasets.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = ("mode", "datasets", "runs", "tags", "certifications", "stored", "left", "absent", "skipped")
        return {"total": self.total, **{name: to_plain(getattr(self, name)) for name in names}}


def plan_prune(session: Session, query: Query, mode: Mode, *, tagged: Sequence[str] = ()) -> PrunePlan:
    """Say what pruning would take away.

    Parameters
    ----------
    session : `Session`
        The open registry.
    query : `Query`
        Which datasets.
    mode : `Mode`
        What becomes of them.
    tagged : sequence of `str`, optional
        Collections of type TAGGED that they are taken out of, for `Mode.DISASSOCIATE`.

    Returns
    -------
    plan : `PrunePlan`
        What is going to be taken away.

    Raises
    ------
    ConfigurationError
        All datasets would be meant, or only the first of each data ID: when what comes first is gone, another does.
    RegistryStateError
        There is no such dataset, dataset type or collection, or a collection is not of type TAGGED.
    ExpressionError
        The expression is malformed.
    """
    if query.find_first:
        message = "What is found first cannot be taken away: after that, what lies behind it would be found first."
        raise ConfigurationError(message, hint="Name the run, or list the datasets by their identifiers.")
    if not query.dataset_types and not query.collections and not query.where and query.ids is None:
        message = f"All datasets of {session.repository.name} would be meant."
        raise ConfigurationError(
            message, hint="Choose by --collections, --where, --ids or by dataset type; '*' means all."
        )
    collections = load_collections(session)
    for name in tagged:
        collections.require(name, CollectionType.TAGGED)
    if mode is Mode.DISASSOCIATE and not tagged:
        message = "It was not said which collections datasets are to be taken out of."
        raise ConfigurationError(message, hint="Name them by --disassociate.")
    left = 0 if mode is Mode.DISASSOCIATE else count_left(session)
    absent = _absent(session, query) if mode is Mode.PURGE else set()
    if absent and query.ids is not None and (left or len(absent) < len(query.ids)):
        # Those that a removal has taken away before it was stopped.
        query = replace(query, ids=tuple(i for i in query.ids if i not in absent))
    search = plan_search(session, query)
    counted = _Counted()
    use_memory(session)
    for part in search.parts:
        for keys in [None] if search.ids is None else chunks(search.ids):
            found = select_part(session, search, part, keys, as_text=True).order_by(None)
            number = _collect(session, found, _place(session, part, found), search.names, counted)
            if number:
                counted.types[part.dataset_type.name] = counted.types.get(part.dataset_type.name, 0) + number
                # With identifiers as they are, to be compared with others.
                chosen = select_part(session, search, part, keys).order_by(None)
                _count_dependants(session, part.dataset_type, chosen, mode, collections, tagged, counted)
    return PrunePlan(
        mode,
        counted.types,
        dict(sorted(counted.runs.items())),
        dict(sorted(counted.tags.items())),
        dict(sorted(counted.certifications.items())),
        counted.stored,
        left,
        len(absent),
        search.skipped,
        counted.ids,
        tuple(tagged),
    )


def _absent(session: Session, query: Query) -> set[str]:
    """Return the identifiers of a query that no dataset has."""
    dataset = session.table("dataset")
    known: set[DatasetId] = set()
    by_id = dict(zip(parse_ids(session, query.ids or ()), query.ids or (), strict=True))
    for part in chunks(by_id):
        known.update(session.connection.scalars(sa.select(dataset.c.id).where(among(session, dataset.c.id, part))))
    return {text for identifier, text in by_id.items() if identifier not in known}


@dataclass(slots=True)
class _Counted:
    """Numbers of a plan that is being made."""

    types: dict[str, int] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    certifications: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    ids: IdList = field(default_factory=IdList)


def _place(session: Session, part: Part, query: sa.Select[Any]) -> sa.ColumnElement[Any]:
    """Return what the rows of a part of a search are sorted by to be removed."""
    if all(c.type is CollectionType.RUN for c in part.collections):
        return row_of(session.table(part.dataset_type.tags_table))
    # Each dataset once: these are no rows of one table any more.
    return query.selected_columns.dataset_id


def _collect(
    session: Session,
    query: sa.Select[Any],
    place: sa.ColumnElement[Any],
    names: Mapping[int | str, str],
    counted: _Counted,
) -> int:
    """Take down the datasets of a query, in the order in which they are removed; return how many there are."""
    runs = Counter[Any]()
    found = fetch_doomed(session, query, place, lambda rows: runs.update(row[1] for row in rows))
    counted.runs.update({names[key]: number for key, number in runs.items()})
    counted.ids.extend(found)
    return len(found)


def _count_dependants(
    session: Session,
    dataset_type: DatasetType,
    query: sa.Select[Any],
    mode: Mode,
    collections: Collections,
    tagged: Sequence[str],
    counted: _Counted,
) -> None:
    """Count what the datasets of a query are in, which all have one dataset type."""
    names = {c.key: c.name for c in collections.values() if c.type is not CollectionType.RUN}
    if mode is Mode.DISASSOCIATE:
        names = {key: name for key, name in names.items() if name in tagged}
    location = session.table(LOCATION)
    tables = [(dataset_type.tags_table, counted.tags)] if mode is not Mode.UNSTORE else []
    if mode is Mode.PURGE and dataset_type.calibs_table is not None:
        tables.append((dataset_type.calibs_table, counted.certifications))
    chosen = query.subquery()
    if mode is not Mode.DISASSOCIATE:
        stored = sa.exists().where(location.c.dataset_id == chosen.c.dataset_id)
        counted.stored += session.scalar(sa.select(sa.func.count()).select_from(chosen).where(stored))
    for table_name, counter in tables:
        table = session.table(table_name)
        key = table.c[session.collection_column].label("key")
        joined = chosen.join(table, table.c.dataset_id == chosen.c.dataset_id)
        grouped = sa.select(key, sa.func.count().label("number")).select_from(joined).group_by(key)
        for row in session.rows(grouped):
            if row.key in names:
                counter[names[row.key]] += row.number


def prune(
    repository: Repository,
    query: Query,
    mode: Mode,
    *,
    tagged: Sequence[str] = (),
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PrunePlan:
    """Take datasets away, in pieces that are committed one by one.

    It can be stopped, and goes on when it is run again.  Files are in the trash after that, see `empty_trash`.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    query : `Query`
        Which datasets.
    mode : `Mode`
        What becomes of them.
    tagged : sequence of `str`, optional
        Collections of type TAGGED that they are taken out of, for `Mode.DISASSOCIATE`.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    plan : `PrunePlan`
        What was taken away.

    Raises
    ------
    ConfigurationError, RegistryStateError, ExpressionError
        See `plan_prune`.
    """
    plan = look(repository, lambda session: plan_prune(session, query, mode, tagged=tagged), catalog=catalog)
    if dry_run or not plan.total:
        return plan
    apply_prune(repository, plan, catalog=catalog, progress=progress)
    return plan


def apply_prune(
    repository: Repository, plan: PrunePlan, *, catalog: Catalog | None = None, progress: Progress | None = None
) -> None:
    """Do what a plan says; what was done in the meantime is passed over."""
    progress = progress or NullProgress()
    if plan.mode is not Mode.DISASSOCIATE:
        removal = Removal(repository, plan.ids, purge=plan.mode is Mode.PURGE, catalog=catalog)
        removal.run(f"{_VERBS[plan.mode]} {repository.name}", told_of("dataset", plan.total, progress))
        return

    def work(session: Session) -> None:
        batches = Batches(session)
        tables = sorted({t.tags_table for t in load_dataset_types(session).values() if t.name in plan.datasets})
        keys = [load_collections(session).require(name, CollectionType.TAGGED).key for name in plan.tagged]

        def piece(ids: IdList) -> int:
            removed = 0
            for name in tables:
                table = session.table(name)
                removed += session.execute(
                    sa.delete(table).where(
                        among(session, table.c.dataset_id, ids), table.c[session.collection_column].in_(keys)
                    )
                )
            follow(session, ids)
            return removed

        batches.run(plan.ids, piece, told_of("dataset", plan.total, progress))

    change(repository, f"{_VERBS[plan.mode]} {repository.name}", work, catalog=catalog)


def apply_and_empty(
    repository: Repository, plan: PrunePlan, *, catalog: Catalog | None = None, progress: Progress | None = None
) -> TrashReport:
    """Do what a plan says, and delete the files of its datasets.

    If it is stopped, the same query finds the datasets that are left, and the trash has the rest: also emptied are rows
    of datasets that are no more, which nobody can want.

    Parameters
    ----------
    repository : `Repository`
        The repository; its ``butler.yaml`` says where the files are.
    plan : `PrunePlan`
        See `plan_prune`.
    catalog : `Catalog`, optional
        The content.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    report : `TrashReport`
        What became of the files.

    Raises
    ------
    ConfigurationError
        Where the files are is not known, or the extra that can delete them is not installed.
    """
    progress = progress or NullProgress()
    if plan.mode is Mode.DISASSOCIATE:
        apply_prune(repository, plan, catalog=catalog, progress=progress)
        return empty_trash(repository, ids=plan.ids, catalog=catalog, progress=progress)
    purge, told = plan.mode is Mode.PURGE, told_of("dataset", plan.total, progress)
    stores = load_datastores(repository)
    removal = Removal(repository, plan.ids, purge=purge, stores=stores, catalog=catalog)
    tally = removal.run(f"{_VERBS[plan.mode]} {repository.name}", told)
    # What was left to this: files that several datasets use, what failed, and what others left or were stopped at.
    ids = None if purge else plan.ids
    rest = empty_trash(repository, ids=ids, removed=purge, catalog=catalog, progress=progress)
    return replace(
        rest,
        datasets=tally.datasets + rest.datasets,
        deleted=tally.files["deleted"] + rest.deleted,
        missing=tally.files["missing"] + rest.missing,
        kept=tally.files["kept"] + rest.kept,
    )
