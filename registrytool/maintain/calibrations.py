"""Change which datasets are valid calibrations, and when.

No two datasets of one dataset type and data ID may be valid at one time in a collection.  The database does not see to
that, so whoever adds validity locks the table of the certifications against all others who do, looks for overlaps, and
only then writes; so does the Butler, by the same lock.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError

from . import timespans
from .certifications import (
    Certification,
    Choice,
    calibs_table,
    collection_names,
    list_certifications,
    read_certifications,
    require_calibration_type,
    select_certifications,
    sort_key,
    sweep,
)
from .collections import CollectionType, ensure_collection, load_collections
from .dataset_types import load_dataset_types
from .datasets import format_data_id
from .find import Query, find_datasets, plan_search
from .idlist import among
from .pieces import chunks
from .session import planned_change
from .summaries import ensure_summaries
from .timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .collections import Collection
    from .dataset_types import DatasetType
    from .find import Dataset
from .session import Session

#: Rows that one statement carries.
_PIECE = 2000
#: How many rows a refusal names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CalibrationChange:
    """What became, or would become, of certifications.

    Attributes
    ----------
    collection : `str`
        Collection that changes.
    new_collection : `bool`
        Whether it is made for it.
    added, removed : `tuple` [`Certification`, ...]
        Certifications that come and go; one that is cut goes as a whole, and comes as its pieces.
    """

    collection: str
    new_collection: bool
    added: tuple[Certification, ...]
    removed: tuple[Certification, ...]

    @property
    def changed(self) -> bool:
        """Whether anything is different from before."""
        return bool(self.added or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "collection": self.collection,
            "new_collection": self.new_collection,
            "added": [c.to_dict() for c in self.added],
            "removed": [c.to_dict() for c in self.removed],
        }


def _lock(session: Session, dataset_type: DatasetType) -> None:
    """Keep everybody else from certifying until the end of the transaction."""
    session.lock(str(dataset_type.calibs_table))


def _overlap_error(
    dataset_type: DatasetType, collection: str, conflicts: Iterable[Certification]
) -> RegistryStateError:
    found = sorted(conflicts, key=sort_key)
    shown = "; ".join(str(one) for one in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    message = (
        f"The collection {collection!r} has datasets of type {dataset_type.name!r} that are valid then: {shown}{more}."
    )
    return RegistryStateError(message, hint="Decertify them for that time first: 'registrytool calibration decertify'.")


def _conflicts(
    session: Session, dataset_type: DatasetType, collection: Collection, new: Sequence[Certification]
) -> dict[int, Certification]:
    """Return the certifications of a collection that overlap new ones."""
    table = calibs_table(session, dataset_type)
    names = collection_names(load_collections(session))
    found: dict[int, Certification] = {}
    by_span: dict[Timespan, list[Certification]] = {}
    for one in new:
        by_span.setdefault(one.valid, []).append(one)
    tags = session.table(dataset_type.tags_table).alias()
    same = sa.and_(*(tags.c[n] == table.c[n] for n in ("dataset_type_id", *dataset_type.dimensions)))
    for span, group in by_span.items():
        query = select_certifications(session, dataset_type, [collection], Choice(valid=span))
        for part in chunks(group, _PIECE):
            # A dataset says its data ID: nothing but identifiers need be sent.
            ids = [one.dataset_id for one in part]
            matching = query.where(sa.exists().where(same, tags.c.dataset_id.in_(ids)))
            found |= read_certifications(session, dataset_type, matching, names)
    return found


def _summarize(
    session: Session, dataset_type: DatasetType, collection: Collection, new: Sequence[Certification]
) -> None:
    """Make the summaries cover certifications; before the lock, as clients do, or each could wait for the other."""
    governors = [e.name for e in session.universe.governors if e.name in dataset_type.dimensions]
    ensure_summaries(session, collection, [dataset_type.id], {g: {c.data_id[g] for c in new} for g in governors})


def _insert(session: Session, dataset_type: DatasetType, collection: Collection, new: Sequence[Certification]) -> None:
    """Insert certifications, under the lock; the summaries cover them."""
    table, dataset = calibs_table(session, dataset_type), session.table("dataset")
    for part in chunks(new, _PIECE):
        ids = {one.dataset_id for one in part}
        wanted = f"certify datasets in {collection.name}"
        session.hold(sa.select(dataset.c.id).where(among(session, dataset.c.id, ids)), wanted)
        numbers = session.new_ids(table.name, "id", len(part))
        rows = [
            {
                "id": number,
                "dataset_type_id": dataset_type.id,
                "dataset_id": one.dataset_id,
                session.collection_column: collection.key,
                **one.data_id,
                **timespans.values(one.valid, session.dialect),
            }
            for number, one in zip(numbers, part, strict=True)
        ]
        session.connection.execute(sa.insert(table), rows)


def _check_valid(valid: Timespan) -> None:
    if valid.empty:
        message = "The time of validity is empty: it ends before it begins, or when it begins."
        raise ConfigurationError(message, hint="The begin must be before the end; both lie between 1970 and 2100.")


def certify(
    repository: Repository,
    collection: str,
    dataset_type: str,
    query: Query,
    valid: Timespan,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> CalibrationChange:
    """Make datasets the valid calibrations of their data IDs for some time.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    collection : `str`
        Collection of type CALIBRATION; it is made if there is none.
    dataset_type : `str`
        Dataset type; that of the query is not looked at.
    query : `Query`
        Which datasets.
    valid : `Timespan`
        When they are valid.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `CalibrationChange`
        What was certified.

    Raises
    ------
    RegistryStateError
        There is no such thing; the dataset type is not a calibration; two of the datasets have one data ID; or other
        datasets are valid at that time.
    ConfigurationError
        The time is empty.
    """
    _check_valid(valid)

    def work(session: Session, *, act: bool) -> CalibrationChange:
        found = require_calibration_type(session, dataset_type)
        collections = load_collections(session)
        target = collections.get(collection)
        if target is not None:
            collections.require(collection, CollectionType.CALIBRATION)
        search = plan_search(
            session, Query((dataset_type,), query.collections, query.where, query.find_first, query.at, query.ids)
        )
        datasets = list(find_datasets(session, search))
        _check_different(found, datasets)
        new = [Certification(collection, found.name, d.data_id, valid, d.id, d.run) for d in datasets]
        if act:
            target = ensure_collection(session, collection, CollectionType.CALIBRATION)
            _summarize(session, found, target, new)
            _lock(session, found)
        if target is not None:
            conflicts = _conflicts(session, found, target, new)
            if conflicts:
                raise _overlap_error(found, collection, conflicts.values())
            if act:
                _insert(session, found, target, new)
        return CalibrationChange(collection, collections.get(collection) is None, tuple(new), ())

    wanted = f"certify datasets in {collection}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _check_different(dataset_type: DatasetType, datasets: Sequence[Dataset]) -> None:
    seen: dict[tuple[Any, ...], Dataset] = {}
    for dataset in datasets:
        key = tuple(dataset.data_id.values())
        if key in seen:
            message = (
                f"Two of the datasets of type {dataset_type.name!r} have the data ID "
                f"({format_data_id(dataset.data_id)}): {seen[key].id} and {dataset.id}."
            )
            raise RegistryStateError(
                message, hint="Only one of them can be valid at a time: choose it, or use --find-first."
            )
        seen[key] = dataset


def _change_existing(
    repository: Repository,
    wanted: str,
    collection: str,
    dataset_type: str,
    choice: Choice,
    replace: Callable[[Certification], Sequence[Timespan]],
    catalog: Catalog | None,
    *,
    dry_run: bool,
) -> CalibrationChange:
    """Put other times of validity in the place of those of some certifications."""

    def work(session: Session, *, act: bool) -> CalibrationChange:
        found = require_calibration_type(session, dataset_type)
        collections = load_collections(session)
        target = collections.require(collection, CollectionType.CALIBRATION)
        if act:
            _lock(session, found)
        old = read_certifications(
            session, found, select_certifications(session, found, [target], choice), collection_names(collections)
        )
        new = {number: tuple(replace(one)) for number, one in old.items()}
        removed = {number: one for number, one in old.items() if new[number] != (one.valid,)}
        added = [dataclasses.replace(one, valid=span) for number, one in removed.items() for span in new[number]]
        # What is cut stays within what it was; only what is valid at other times can come upon something.
        moved = [one for number, one in removed.items() if any(span.without(one.valid) for span in new[number])]
        if moved:
            conflicts = _conflicts(session, found, target, added)
            overlaps = [p.second for p in sweep(added) if p.kind == "overlap"]
            found_there = [c for number, c in conflicts.items() if number not in removed]
            if found_there or overlaps:
                raise _overlap_error(found, collection, [*found_there, *overlaps])
        if act:
            table = calibs_table(session, found)
            for numbers in chunks(removed, _PIECE):
                session.execute(sa.delete(table).where(table.c.id.in_(numbers)))
            _insert(session, found, target, added)
        return CalibrationChange(
            collection, new_collection=False, added=_sorted(added), removed=_sorted(removed.values())
        )

    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _sorted(certifications: Iterable[Certification]) -> tuple[Certification, ...]:
    return tuple(sorted(certifications, key=sort_key))


def decertify(
    repository: Repository,
    collection: str,
    dataset_type: str,
    valid: Timespan,
    choice: Choice | None = None,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> CalibrationChange:
    """Take validity away for some time; a certification that reaches beyond it is cut.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    collection : `str`
        Collection of type CALIBRATION.
    dataset_type : `str`
        Dataset type.
    valid : `Timespan`
        The time.
    choice : `Choice`, optional
        Which certifications; its time is not looked at.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `CalibrationChange`
        What went, and the pieces that are left.

    Raises
    ------
    RegistryStateError
        There is no such collection, dataset type or dataset.
    ConfigurationError
        The time is empty.
    """
    _check_valid(valid)
    chosen = dataclasses.replace(choice or Choice(), valid=valid)
    return _change_existing(
        repository,
        f"decertify datasets in {collection}",
        collection,
        dataset_type,
        chosen,
        lambda one: one.valid.without(valid),
        catalog,
        dry_run=dry_run,
    )


def shift(
    repository: Repository,
    collection: str,
    dataset_type: str,
    choice: Choice | None = None,
    *,
    by_ns: int = 0,
    begin_ns: int | None = None,
    end_ns: int | None = None,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> CalibrationChange:
    """Change when datasets are valid.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    collection : `str`
        Collection of type CALIBRATION.
    dataset_type : `str`
        Dataset type.
    choice : `Choice`, optional
        Which certifications; by default all.
    by_ns : `int`, optional
        How much later they become valid and cease to be, in nanoseconds; what has no bound keeps none.
    begin_ns, end_ns : `int`, optional
        New begin and end, in TAI nanoseconds.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `CalibrationChange`
        What went, and what came in its place.

    Raises
    ------
    RegistryStateError
        Something would be valid never, or at a time at which something else is.
    """

    def replace(one: Certification) -> Sequence[Timespan]:
        begin = one.valid.begin_ns + by_ns if one.valid.begin is not None else one.valid.begin
        end = one.valid.end_ns + by_ns if one.valid.end is not None else one.valid.end
        span = Timespan.of(begin if begin_ns is None else begin_ns, end if end_ns is None else end_ns)
        if span.empty:
            message = f"The dataset {one} would never be valid."
            raise RegistryStateError(message, hint="Choose another time, or decertify it.")
        return [span]

    return _change_existing(
        repository,
        f"shift certifications in {collection}",
        collection,
        dataset_type,
        choice or Choice(),
        replace,
        catalog,
        dry_run=dry_run,
    )


def copy_certifications(
    repository: Repository,
    source: str,
    target: str,
    dataset_types: Sequence[str] = (),
    choice: Choice | None = None,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> CalibrationChange:
    """Copy certifications from one collection to another.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    source : `str`
        Collection of type CALIBRATION.
    target : `str`
        Collection of type CALIBRATION; it is made if there is none.
    dataset_types : sequence of `str`, optional
        Names or patterns of dataset types; none stands for all.
    choice : `Choice`, optional
        Which certifications; of those that reach beyond its time, the part within is copied.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `CalibrationChange`
        What was certified.

    Raises
    ------
    RegistryStateError
        There is no such collection or dataset type, or other datasets are valid at that time.
    """
    chosen = choice or Choice()

    def clipped(one: Certification) -> Certification:
        span = chosen.valid
        if span is None:
            return dataclasses.replace(one, collection=target)
        part = Timespan(max(one.valid.begin_ns, span.begin_ns), min(one.valid.end_ns, span.end_ns))
        return dataclasses.replace(one, collection=target, valid=part)

    def work(session: Session, *, act: bool) -> CalibrationChange:
        collections = load_collections(session)
        collections.require(source, CollectionType.CALIBRATION)
        into = collections.get(target)
        if into is not None:
            collections.require(target, CollectionType.CALIBRATION)
        types = load_dataset_types(session)
        if act:
            into = ensure_collection(session, target, CollectionType.CALIBRATION)
            found = list_certifications(session, [source], dataset_types, chosen)
            for name in sorted({one.dataset_type for one in found}):
                _summarize(session, types[name], into, [one for one in found if one.dataset_type == name])
            session.lock(*{str(types[one.dataset_type].calibs_table) for one in found})
        added: list[Certification] = []
        by_type: dict[str, list[Certification]] = {}
        for one in list_certifications(session, [source], dataset_types, chosen):
            by_type.setdefault(one.dataset_type, []).append(clipped(one))
        for name, new in by_type.items():
            if into is not None:
                conflicts = _conflicts(session, types[name], into, new)
                if conflicts:
                    raise _overlap_error(types[name], target, conflicts.values())
                if act:
                    _insert(session, types[name], into, new)
            added += new
        return CalibrationChange(target, collections.get(target) is None, tuple(added), ())

    wanted = f"copy certifications to {target}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)
