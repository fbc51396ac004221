"""Dimension records: insert and update, with the overlaps of their regions with the sky.

The rows that the real client derives are derived here too: one row of a summary for each new governor and each spatial
element of it, and one row for each pixel of the envelope of a region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import to_plain

from .obscore_live import StaleRows
from .overlaps import CommonSkypix, common_skypix, overlap_pixels, sphgeom
from .pieces import chunks
from .record_reading import find_records, key_conditions
from .record_values import REGION, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .session import Session

OnConflict = Literal["fail", "skip", "replace"]

#: How many rows of a conflict are named.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What became of dimension records.

    Attributes
    ----------
    element : `str`
        The element.
    inserted, replaced, skipped : `int`
        Numbers of records; what is replaced by the same is skipped.
    overlaps : `int`
        Number of rows for pixels of the sky that were written.
    """

    element: str
    inserted: int = 0
    replaced: int = 0
    skipped: int = 0
    overlaps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


@dataclass(frozen=True, slots=True)
class Change:
    """A record that exists and is going to be another one.

    Attributes
    ----------
    key : `tuple`
        Primary key.
    before, after : `dict` [`str`, `object`]
        The fields that differ.
    """

    key: tuple[Any, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """Which records are going to be written.

    Attributes
    ----------
    element : `str`
        The element.
    new : `tuple` [`dict`, ...]
        Records that do not exist, complete.
    changes : `tuple` [`Change`, ...]
        Records that exist and differ.
    kept : `int`
        Number of records that exist and stay.
    skip : `bool`
        Whether it is right if somebody else inserts one of the new records first.
    """

    element: str
    new: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]
    kept: int
    skip: bool = False


# -- planning -----------------------------------------------------------------


def plan_records(
    session: Session,
    element: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    on_conflict: OnConflict = "fail",
    promised: Mapping[str, Iterable[Sequence[Any]]] | None = None,
) -> RecordPlan:
    """Say which of some dimension records are going to be inserted, replaced and kept.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    rows : `~collections.abc.Iterable` [`~collections.abc.Mapping`]
        Values by name of the column; the key of a dimension can also be called by the name of the dimension.
        Timespans are `Timespan`, regions `bytes` or regions of lsst-sphgeom, hashes `bytes`.
    on_conflict : `str`, optional
        What to do with records that exist: ``fail``, ``skip``, or ``replace``, which replaces all of their fields.
    promised : `~collections.abc.Mapping`, optional
        By element: keys of records that are going to be there before these are written.

    Returns
    -------
    plan : `RecordPlan`
        What is to be done.

    Raises
    ------
    RegistryStateError
        There is no such element or field; a value does not fit or is missing; a record exists, or one that it refers
        to does not; two rows are for one record.
    """
    shape, table, wanted = Shape.of(session.universe, element), session.table(element), f"write records of {element}"
    not_null = [n for n in shape.fields if n in table.c and not table.c[n].nullable]
    complete: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        fields = shape.check(row, wanted, session.dialect)
        # Without its key nothing can be said of it; what else is missing matters if it is written.
        checked = shape.complete(fields, wanted, not_null if _lacking(shape.key, fields) else shape.key)
        key = shape.key_of(checked)
        if complete.setdefault(key, checked) != checked:
            message = f"Cannot {wanted}: two rows that differ are for {shape.describe(key)}."
            raise RegistryStateError(message)
    existing = find_records(session, shape, complete)
    if existing and on_conflict == "fail":
        _refuse_existing(shape, list(existing), wanted)
    new = [row for key, row in complete.items() if key not in existing]
    changes = []
    if on_conflict == "replace":
        changes = [c for key, old in existing.items() if (c := _change(key, old, complete[key])) is not None]
    written = [*new, *(complete[c.key] for c in changes)]
    for row in written:
        shape.complete(row, wanted, not_null)
    _check_uniques(session, shape, written, set(complete), wanted)
    referring = [*new, *({**existing[c.key], **c.after} for c in changes)]
    _check_references(session, shape, referring, wanted, promised or {})
    return RecordPlan(element, tuple(new), tuple(changes), len(existing) - len(changes), on_conflict == "skip")


def plan_update(session: Session, element: str, rows: Iterable[Mapping[str, Any]]) -> RecordPlan:
    """Say what some dimension records are going to change.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    rows : `~collections.abc.Iterable` [`~collections.abc.Mapping`]
        Primary keys of records that exist, and the fields that shall have another value.

    Raises
    ------
    RegistryStateError
        A record does not exist, or what `plan_records` refuses.
    """
    shape, table, wanted = Shape.of(session.universe, element), session.table(element), f"update records of {element}"
    not_null = [n for n in shape.fields if n in table.c and not table.c[n].nullable]
    checked: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        fields = shape.check(row, wanted, session.dialect)
        shape.complete({**dict.fromkeys(not_null, True), **fields, **_lacking(shape.key, fields)}, wanted, not_null)
        key = shape.key_of(fields)
        if checked.setdefault(key, fields) != fields:
            message = f"Cannot {wanted}: two rows that differ are for {shape.describe(key)}."
            raise RegistryStateError(message)
    existing = find_records(session, shape, checked)
    missing = [key for key in checked if key not in existing]
    if missing:
        message = f"Cannot {wanted}: there is none with {_some(shape, missing)}."
        raise RegistryStateError(message, hint="'registrytool record insert' makes new ones.")
    changes = [c for key, old in existing.items() if (c := _change(key, old, checked[key])) is not None]
    after = [{**existing[c.key], **c.after} for c in changes]
    _check_uniques(session, shape, after, set(checked), wanted)
    _check_references(session, shape, after, wanted, {})
    return RecordPlan(element, (), tuple(changes), len(existing) - len(changes))


def _lacking(names: Iterable[str], row: Mapping[str, Any]) -> dict[str, None]:
    return {n: None for n in names if n not in row}


def _change(key: tuple[Any, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    differ = [n for n in new if old[n] != new[n]]
    return Change(key, {n: old[n] for n in differ}, {n: new[n] for n in differ}) if differ else None


def _some(shape: Shape, keys: Sequence[Sequence[Any]], names: Sequence[str] | None = None) -> str:
    """Return the first of many keys as people write them."""
    shown = "; ".join(shape.describe(key, names) for key in keys[:_SHOWN])
    return shown + (f"; and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")


def _refuse_existing(shape: Shape, keys: Sequence[tuple[Any, ...]], wanted: str) -> None:
    message = f"Cannot {wanted}: {len(keys)} of them {'exists' if len(keys) == 1 else 'exist'} ({_some(shape, keys)})."
    raise RegistryStateError(message, hint="Skip or replace those that exist.")


def _check_uniques(
    session: Session, shape: Shape, rows: Sequence[Mapping[str, Any]], given: set[tuple[Any, ...]], wanted: str
) -> None:
    """Check that no other record has the name, or another alternate key, of one that is written."""
    table = session.table(shape.element.name)
    for columns in shape.uniques:
        owners: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for row in rows:
            value = tuple(row[c] for c in columns)
            if value[-1] is None:
                continue
            key = shape.key_of(row)
            if owners.setdefault(value, key) != key:
                message = f"Cannot {wanted}: two of them have {shape.describe(value, columns)}."
                raise RegistryStateError(message)
        stored = {value: shape.to_columns({columns[-1]: value[-1]}, session.dialect)[columns[-1]] for value in owners}
        by_stored = {(*value[:-1], text): value for value, text in stored.items()}
        for condition in key_conditions(session, [table.c[c] for c in columns], by_stored):
            query = sa.select(*(table.c[c] for c in columns), *(table.c[k].label(f"key_{k}") for k in shape.key))
            for found in session.connection.execute(query.where(condition)):
                value, key = by_stored[tuple(found[: len(columns)])], tuple(found[len(columns) :])
                # What is written anew itself may hand its name on.
                if key != owners[value] and key not in given:
                    message = (
                        f"Cannot {wanted}: {shape.describe(value, columns)} belongs to the one with "
                        f"{shape.describe(key)} already."
                    )
                    raise RegistryStateError(message)


def _check_references(
    session: Session,
    shape: Shape,
    rows: Sequence[Mapping[str, Any]],
    wanted: str,
    promised: Mapping[str, Iterable[Sequence[Any]]],
) -> None:
    """Check that the records to which some refer exist."""
    universe, element = session.universe, shape.element
    for name in (*(n for n in element.required if n != element.name), *element.implied):
        if name not in universe or not universe[name].has_table:
            continue
        other = Shape.of(universe, name)
        keys = {tuple(row[n] for n in universe[name].required) for row in rows}
        keys -= {tuple(key) for key in promised.get(name, ())}
        keys = {key for key in keys if None not in key}
        target = session.table(name)
        for condition in key_conditions(session, [target.c[c] for c in other.key], keys):
            query = sa.select(*(target.c[c] for c in other.key)).where(condition)
            keys -= {tuple(row) for row in session.connection.execute(query)}
        if keys:
            missing = sorted(keys, key=str)
            message = f"Cannot {wanted}: they refer to {name} with {_some(other, missing)}, which does not exist."
            raise RegistryStateError(message, hint=f"Insert the records of {name} first.")


# -- writing ------------------------------------------------------------------


def insert_records(
    session: Session,
    element: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    on_conflict: OnConflict = "fail",
) -> RecordReport:
    """Insert dimension records and what belongs to them; see `plan_records` for parameters and refusals.

    Returns
    -------
    report : `RecordReport`
        What was done.

    Raises
    ------
    ConfigurationError
        A record has a region, and lsst-sphgeom is not installed.
    """
    return apply_records(session, plan_records(session, element, rows, on_conflict=on_conflict))


def update_records(session: Session, element: str, rows: Iterable[Mapping[str, Any]]) -> RecordReport:
    """Change fields of dimension records that exist; see `plan_update`."""
    return apply_records(session, plan_update(session, element, rows))


def apply_records(session: Session, plan: RecordPlan) -> RecordReport:
    """Carry out a plan that was made in this very session.

    Returns
    -------
    report : `RecordReport`
        What was done.
    """
    shape, table = Shape.of(session.universe, plan.element), session.table(plan.element)
    pixels = _Pixels(session, shape)
    overlaps = pixels.rows(plan.new)
    overlaps += pixels.rows([dict(zip(shape.key, c.key, strict=True)) | dict(c.after) for c in plan.changes])
    for part in chunks(plan.new):
        columns = [shape.to_columns(row, session.dialect) for row in part]
        session.connection.execute(_inserting(session, table, skip=plan.skip), columns)
    for change in plan.changes:
        condition = sa.and_(*(table.c[n] == v for n, v in zip(shape.key, change.key, strict=True)))
        values = shape.to_columns(change.after, session.dialect)
        session.execute(sa.update(table).where(condition).values(values))
    if shape.element.governor:
        _add_summaries(session, shape, [row[shape.key[-1]] for row in plan.new], skip=plan.skip)
    pixels.forget([c.key for c in plan.changes if REGION in c.after])
    pixels.write(overlaps, skip=plan.skip)
    _renew_obscore(session, shape, plan)
    return RecordReport(plan.element, len(plan.new), len(plan.changes), plan.kept, len(overlaps))


def _renew_obscore(session: Session, shape: Shape, plan: RecordPlan) -> None:
    """Make the ObsCore rows right that show values of the records; no dataset can have a dimension that is new."""
    keys = [c.key for c in plan.changes]
    if not shape.element.is_dimension:
        keys += [shape.key_of(row) for row in plan.new]
    if keys:
        StaleRows(session, [(shape.element, lambda columns: key_conditions(session, columns, keys))]).renew()


def _add_summaries(session: Session, shape: Shape, values: Sequence[Any], *, skip: bool) -> None:
    """Say for new governors that the overlaps of their records are stored."""
    universe, name = session.universe, shape.element.name
    for element in universe:
        summary = f"{element.name}_skypix_overlap_summary"
        if values and element.spatial and session.has_table(summary) and universe.governor(element) == name:
            skypix = common_skypix(universe)
            head = {"skypix_system": skypix.system, "skypix_level": skypix.level}
            rows = [{**head, name: v} for v in values]
            session.connection.execute(_inserting(session, session.table(summary), skip=skip), rows)


class _Pixels:
    """The table of overlaps of one element with pixels of the sky.

    Before version 6.0.0 of the dimensions it was named after the pixels, and had a column of that name.
    """

    def __init__(self, session: Session, shape: Shape) -> None:
        self._session = session
        self._shape = shape
        self._table: sa.Table | None = None
        self._head: dict[str, Any] = {}
        self._column = "skypix_index"
        if shape.element.spatial:
            self._skypix: CommonSkypix = common_skypix(session.universe)
            name = f"{shape.element.name}_skypix_overlap"
            self._head = {"skypix_system": self._skypix.system, "skypix_level": self._skypix.level}
            if not session.has_table(name):
                self._head, self._column = {}, self._skypix.name
                name = f"{shape.element.name}_{self._skypix.name}_overlap"
            self._table = session.table(name)

    def rows(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows that belong to the regions of some records."""
        if self._table is None:
            return []
        regions = [(r, r[REGION]) for r in records if r.get(REGION) is not None]
        if regions:
            sphgeom(f"write records of {self._shape.element.name} with regions")
        required = self._shape.element.required
        result = []
        for record, region in regions:
            key = dict(zip(required, self._shape.key_of(record), strict=True))
            skypix = self._skypix
            pixels = overlap_pixels(region, skypix.system, skypix.level, class_name=skypix.class_name)
            result += [{**self._head, **key, self._column: pixel} for pixel in pixels]
        return result

    def forget(self, keys: Sequence[tuple[Any, ...]]) -> None:
        """Delete the rows of some records."""
        if self._table is not None:
            for condition in key_conditions(
                self._session, [self._table.c[c] for c in self._shape.element.required], keys
            ):
                self._session.execute(sa.delete(self._table).where(condition))

    def write(self, rows: Sequence[Mapping[str, Any]], *, skip: bool) -> None:
        """Insert rows."""
        if self._table is not None:
            for part in chunks(rows):
                self._session.connection.execute(_inserting(self._session, self._table, skip=skip), part)


def _inserting(session: Session, table: sa.Table, *, skip: bool) -> sa.Insert:
    """Return an INSERT; on demand one that passes over rows that are there, whoever put them there."""
    if not skip:
        return sa.insert(table)
    from sqlalchemy.dialects import postgresql, sqlite

    if session.dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
