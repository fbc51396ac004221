"""Certifications: which dataset is the valid calibration of a data ID, and when; reading and checking them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import to_plain

from . import expressions, timespans
from .collections import CollectionType, load_collections
from .conditions import condition
from .dataset_types import load_dataset_types, require_dataset_type
from .datasets import format_data_id, parse_ids
from .find import Query, plan_search, scope_of
from .times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .collections import Collection, Collections
    from .dataset_types import DatasetType
    from .datasets import DatasetId
    from .session import Session
    from .timespans import Timespan

_PIECE = 2000
#: How many rows a refusal names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Certification:
    """A dataset that is valid for some time.

    Attributes
    ----------
    collection, dataset_type : `str`
        Collection of type CALIBRATION, and dataset type.
    data_id : `~collections.abc.Mapping`
        Values of the required dimensions.
    valid : `Timespan`
        When it is valid.
    dataset_id : `uuid.UUID` or `int`
        Identifier of the dataset.
    run : `str`
        Its run.
    """

    collection: str
    dataset_type: str
    data_id: Mapping[str, Any]
    valid: Timespan
    dataset_id: DatasetId
    run: str

    def __str__(self) -> str:
        begin, end = format_time(self.valid.begin) or "ever", format_time(self.valid.end) or "ever"
        return f"{self.dataset_id} ({format_data_id(self.data_id)}) from {begin} to {end}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: times in ISO 8601, in UTC and in TAI, and null where there is no bound."""
        return {
            "collection": self.collection,
            "dataset_type": self.dataset_type,
            "data_id": dict(self.data_id),
            "begin_utc": format_time(self.valid.begin),
            "end_utc": format_time(self.valid.end),
            "begin_tai": format_time(self.valid.begin, "tai"),
            "end_tai": format_time(self.valid.end, "tai"),
            "dataset_id": self.dataset_id if isinstance(self.dataset_id, int) else str(self.dataset_id),
            "run": self.run,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which certifications are meant.

    Attributes
    ----------
    where : `str` or `None`
        Expression that data IDs must fulfil.
    ids : `tuple` [`str`, ...] or `None`
        Identifiers of datasets.
    valid : `Timespan` or `None`
        Time in which they must be valid, at least in part.
    """

    where: str | None = None
    ids: tuple[str, ...] | None = None
    valid: Timespan | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with certifications.

    Attributes
    ----------
    kind : `str`
        ``overlap``, ``gap`` or ``empty``.
    first, second : `Certification`
        The certifications: those that overlap, those around the gap, twice the empty one.
    """

    kind: str
    first: Certification
    second: Certification

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"kind": self.kind, "first": self.first.to_dict(), "second": self.second.to_dict()}


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """What a check of certifications found.

    Attributes
    ----------
    certifications : `int`
        Number of certifications that were looked at.
    problems : `tuple` [`Problem`, ...]
        What is wrong; gaps are, only where all of time should be covered.
    """

    certifications: int
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(to_plain(self)) | {"problems": [p.to_dict() for p in self.problems]}


def require_calibration_type(session: Session, name: str) -> DatasetType:
    """Return a dataset type of which datasets can be certified.

    Raises
    ------
    RegistryStateError
        There is none of that name, or it is not a calibration.
    """
    found = require_dataset_type(load_dataset_types(session), name, where=session.repository.name)
    if found.calibs_table is None:
        message = f"Datasets of type {name!r} cannot be certified: it was not registered as a calibration."
        raise RegistryStateError(message, hint="'registrytool dataset-type list' shows which are.")
    return found


def calibs_table(session: Session, dataset_type: DatasetType) -> sa.Table:
    """Return the table with the certifications of a dataset type."""
    return session.table(str(dataset_type.calibs_table))


def select_certifications(
    session: Session, dataset_type: DatasetType, collections: Sequence[Collection], choice: Choice
) -> sa.Select[Any]:
    """Return the query for the rows of certifications."""
    table, dataset = calibs_table(session, dataset_type), session.table("dataset")
    scope = scope_of(session, dataset_type, table, dataset)
    conditions = [
        table.c.dataset_type_id == dataset_type.id,
        table.c[session.collection_column].in_([c.key for c in collections]),
    ]
    if choice.where is not None:
        conditions.append(condition(scope, expressions.parse(choice.where)))
    if choice.ids is not None:
        conditions.append(table.c.dataset_id.in_(parse_ids(session, choice.ids)))
    if choice.valid is not None:
        conditions.append(timespans.overlaps(table, choice.valid))
    source = scope.join(table.join(dataset, dataset.c.id == table.c.dataset_id))
    return sa.select(table, dataset.c[session.run_column].label("run_")).select_from(source).where(*conditions)


def read_certifications(
    session: Session, dataset_type: DatasetType, query: sa.Select[Any], names: Mapping[Any, str]
) -> dict[int, Certification]:
    """Return certifications by the number of their row."""
    found = {}
    for row in session.rows(query):
        columns = row._mapping  # noqa: SLF001 (the public name of SQLAlchemy)
        found[columns["id"]] = Certification(
            names[columns[session.collection_column]],
            dataset_type.name,
            {name: columns[name] for name in dataset_type.dimensions},
            timespans.read(dict(columns)) or timespans.EMPTY,
            columns["dataset_id"],
            names[columns["run_"]],
        )
    return found


def sort_key(one: Certification) -> tuple[Any, ...]:
    """Return what certifications are sorted by: collection, dataset type, data ID, time."""
    return (one.collection, one.dataset_type, tuple(one.data_id.values()), one.valid, str(one.dataset_id))


def collection_names(collections: Collections) -> dict[Any, str]:
    """Return the names of collections by what tables refer to them by."""
    return {c.key: c.name for c in collections.values()}


def list_certifications(
    session: Session,
    collections: Sequence[str] = (),
    dataset_types: Sequence[str] = (),
    choice: Choice | None = None,
) -> tuple[Certification, ...]:
    """List certifications.

    Parameters
    ----------
    session : `Session`
        The open registry.
    collections : sequence of `str`, optional
        Names or patterns of calibration collections, and of chains with some; none stands for all.
    dataset_types : sequence of `str`, optional
        Names or patterns of dataset types; none stands for all.
    choice : `Choice`, optional
        Which of them.

    Returns
    -------
    certifications : `tuple` [`Certification`, ...]
        By collection, dataset type, data ID and time.

    Raises
    ------
    RegistryStateError
        There is no such collection, dataset type or dataset.
    ExpressionError
        The expression is malformed.
    """
    choice = choice or Choice()
    found = load_collections(session)
    search = plan_search(
        session, Query(tuple(dataset_types), tuple(collections) or ("*",), choice.where, ids=choice.ids)
    )
    certifications: list[Certification] = []
    for part in search.parts:
        places = [c for c in part.collections if c.type is CollectionType.CALIBRATION]
        if places:
            query = select_certifications(session, part.dataset_type, places, choice)
            certifications += sorted(
                read_certifications(session, part.dataset_type, query, collection_names(found)).values(), key=sort_key
            )
    return tuple(certifications)


def check_certifications(
    session: Session, collections: Sequence[str] = (), dataset_types: Sequence[str] = (), *, gaps: bool = False
) -> CalibrationCheck:
    """Look for certifications that overlap, are valid never or, if wanted, leave gaps.

    Parameters
    ----------
    session : `Session`
        The open registry.
    collections, dataset_types : sequence of `str`, optional
        What is looked at, see `list_certifications`.
    gaps : `bool`, optional
        Whether to report times between two certifications of a data ID in which none is valid.

    Returns
    -------
    check : `CalibrationCheck`
        What was found.
    """
    certifications = list_certifications(session, collections, dataset_types)
    problems = [p for p in sweep(certifications) if gaps or p.kind != "gap"]
    return CalibrationCheck(len(certifications), tuple(problems))


def sweep(certifications: Iterable[Certification]) -> Iterator[Problem]:
    """Go through certifications in order, and compare each with what came before it."""
    latest: Certification | None = None
    for one in sorted(certifications, key=sort_key):
        if one.valid.empty:
            yield Problem("empty", one, one)
            continue
        if latest is None or sort_key(latest)[:3] != sort_key(one)[:3]:
            latest = one
            continue
        if latest.valid.overlaps(one.valid):
            yield Problem("overlap", latest, one)
        elif latest.valid.end_ns < one.valid.begin_ns:
            yield Problem("gap", latest, one)
        # The one that reaches furthest: a short one can lie within a long one.
        if one.valid.end_ns > latest.valid.end_ns:
            latest = one
