"""Visits, defined from the exposures of a registry, with their regions on the sky.

What is defined already stays, so that it does not matter when and how often this is done.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.maintain.record_reading import find_records, iter_records
from registrytool.maintain.record_values import REGION, Shape
from registrytool.maintain.records import apply_records, plan_records
from registrytool.maintain.session import change, look
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .definition import VISIT_SYSTEMS
from .visit_groups import (
    BY_GROUP,
    BY_SEQUENCE,
    ONE_TO_ONE,
    Visit,
    group_exposures,
    group_of,
    visit_record,
    visit_regions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.records import OnConflict, RecordPlan
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition
    from .visit_groups import Record

#: How many visits become one transaction, about.
BATCH = 500


@dataclass(frozen=True, slots=True)
class VisitOptions:
    """Which visits are defined, and how.

    Attributes
    ----------
    systems : `tuple` [`str`, ...]
        Visit systems; by default those of the definition.
    exposures : `tuple` [`int`, ...] or `None`
        Numbers of exposures; by default all.  Others of the same group or sequence are taken along.
    where : callable or `None`
        Is given the session; returns a condition on the table ``exposure``.
    update : `bool`
        Whether visits that are there, and differ, are changed.  Which exposures they have never changes.
    regions : `bool`
        Whether regions are computed, where the definition has what they need.
    """

    systems: tuple[str, ...] = ()
    exposures: tuple[int, ...] | None = None
    where: Callable[[Session], sa.ColumnElement[bool] | None] | None = None
    update: bool = False
    regions: bool = True


@dataclass(frozen=True, slots=True)
class VisitReport:
    """What became of visits.

    Attributes
    ----------
    instrument : `str`
        Name of the instrument.
    visits : `int`
        Number of new ones.
    updated, existing : `int`
        Numbers of those that were changed, and that were there and stay.
    regions : `int`
        Number of regions of detectors that were written.
    not_on_sky : `int`
        Number of exposures that point to no position on the sky, and are left out.
    conflicts : `tuple` [`str`, ...]
        Sentences about visits that are there and differ, and stay as they are; and about sequences that are not
        complete.
    """

    instrument: str
    visits: int
    updated: int
    existing: int
    regions: int
    not_on_sky: int
    conflicts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


def define_visits(
    repository: Repository,
    definition: InstrumentDefinition,
    options: VisitOptions | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    catalog: Catalog | None = None,
) -> VisitReport:
    """Define visits; what is defined already stays, so that it does not matter when and how often this is done.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    definition : `InstrumentDefinition`
        The instrument.
    options : `VisitOptions`, optional
        Which visits, and how.
    dry_run : `bool`, optional
        Whether nothing is written.
    progress : `Progress`, optional
        Is told what happens.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    report : `VisitReport`
        What was done.

    Raises
    ------
    ConfigurationError
        The definition has no visit system, or the universe no exposures; or lsst-sphgeom is needed and not installed.
    RegistryStateError
        The instrument is not registered.
    """
    options, progress = options or VisitOptions(), progress or NullProgress()
    visits, notes, not_on_sky = look(repository, lambda s: _wanted(s, definition, options), catalog=catalog)
    totals = [0, 0, 0, 0]
    for start in range(0, len(visits), BATCH):
        progress.rows("visits", start, len(visits))
        part = visits[start : start + BATCH]

        def work(session: Session, part: Sequence[Visit] = part) -> tuple[tuple[int, ...], list[str]]:
            return _define(session, definition, part, options, act=not dry_run)

        if dry_run:
            numbers, more = look(repository, work, catalog=catalog)
        else:
            numbers, more = change(repository, f"define {len(part)} visits", work, catalog=catalog)
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        notes += more
    new, updated, existing, regions = totals
    return VisitReport(definition.name, new, updated, existing, regions, not_on_sky, tuple(notes))


def _wanted(
    session: Session, definition: InstrumentDefinition, options: VisitOptions
) -> tuple[list[Visit], list[str], int]:
    """Return the visits that the exposures of the registry make."""
    universe = session.universe
    if "visit" not in universe or "visit_definition" not in universe:
        message = f"Universe {universe.namespace} {universe.version} has no visits that are made of exposures."
        raise ConfigurationError(message)
    if not find_records(session, Shape.of(universe, "instrument"), [(definition.name,)]):
        message = f"The instrument {definition.name} is not registered."
        raise RegistryStateError(message, hint="'registrytool instrument register' does that.")
    systems = options.systems or definition.visit_systems
    if not systems:
        message = f"The definition of {definition.name} does not say how exposures become visits."
        raise ConfigurationError(message, hint=f"Name one of {', '.join(VISIT_SYSTEMS)} with --system.")
    table = session.table("exposure")
    condition = table.c.instrument == definition.name
    chosen = options.where(session) if options.where is not None else None
    if chosen is not None:
        condition = sa.and_(condition, chosen)
    exposures = list(iter_records(session, "exposure", condition))
    if options.exposures is not None:
        exposures = _related(exposures, set(options.exposures), systems)
    on_sky = [e for e in exposures if None not in (e["tracking_ra"], e["tracking_dec"], e["sky_angle"])]
    old = "visit_system" in universe["visit"].implied
    if old and len(systems) > 1:
        # Until universe 2 an exposure could belong to one visit of one system.
        systems = (ONE_TO_ONE,) if ONE_TO_ONE in systems else systems[:1]
    if BY_SEQUENCE in systems and "seq_start" not in Shape.of(universe, "exposure").fields:
        message = f"Universe {universe.version} does not know sequences of exposures."
        raise ConfigurationError(message, hint=f"Use --system {ONE_TO_ONE}, or migrate the registry.")
    visits, notes = group_exposures(on_sky, systems)
    return visits, notes, len(exposures) - len(on_sky)


def _related(exposures: Sequence[Record], wanted: set[int], systems: Sequence[str]) -> list[Record]:
    """Return the exposures that are wanted, and those that make visits together with them."""

    def keys(exposure: Record) -> Iterable[Any]:
        yield "exposure", exposure["id"]
        if BY_GROUP in systems:
            yield "group", group_of(exposure)
        if BY_SEQUENCE in systems and "seq_start" in exposure:
            yield "sequence", exposure["day_obs"], exposure["seq_start"], exposure["seq_end"]

    found = {key for e in exposures if e["id"] in wanted for key in keys(e)}
    return [e for e in exposures if not found.isdisjoint(keys(e))]


def _define(
    session: Session, definition: InstrumentDefinition, visits: Sequence[Visit], options: VisitOptions, *, act: bool
) -> tuple[tuple[int, ...], list[str]]:
    """Define some visits in one transaction, or say what that would do."""
    shape = Shape.of(session.universe, "visit")
    old_form = "visit_system" in shape.element.implied
    existing = find_records(session, shape, [(definition.name, v.id) for v in visits])
    members = _members(session, definition.name, [v.id for v in visits if (definition.name, v.id) in existing])
    new: list[Visit] = []
    updates: list[Visit] = []
    grown: list[Visit] = []
    notes: list[str] = []
    rows: dict[int, Record] = {}
    details: dict[int, dict[int, bytes]] = {}
    for visit in visits:
        row = visit_record(definition.name, visit)
        if row["physical_filter"] is None or row["day_obs"] is None:
            notes.append(f"The exposures of visit {visit.id} do not have one filter and a day of observation.")
            continue
        old = existing.get((definition.name, visit.id))
        now, before = {e["id"] for e in visit.exposures}, members.get(visit.id, set())
        if old is not None and not before <= now:
            notes.append(f"Visit {visit.id} is there with other exposures, and stays as it is.")
            continue
        # More of its exposures have come since: it becomes what it would be if they all had come at once.
        grows = old is not None and before < now
        differ = old is not None and any(old[n] != v for n, v in row.items() if n in shape.fields)
        if old is not None and not options.update and not grows:
            if differ:
                notes.append(f"Visit {visit.id} is there with other values, and stays as it is.")
            continue
        whole, parts = visit_regions(definition, visit.exposures[0]) if options.regions else (None, {})
        row[REGION] = whole if old is None or options.regions else old[REGION]
        if old_form:
            row["visit_system"] = VISIT_SYSTEMS[visit.systems[0]]
        rows[visit.id] = {n: row[n] for n in shape.fields if n in row}
        details[visit.id] = parts
        (new if old is None else updates).append(visit)
        if grows:
            grown.append(visit)
    name = definition.name
    promised: dict[str, list[tuple[Any, ...]]] = {}

    def planned(element: str, records: Sequence[Record], on_conflict: OnConflict = "skip") -> RecordPlan:
        plan = plan_records(session, element, records, on_conflict=on_conflict, promised=promised)
        key = Shape.of(session.universe, element).key_of
        promised.setdefault(element, []).extend(key(row) for row in plan.new)
        return plan

    numbers_of_systems = {s: VISIT_SYSTEMS[s] for v in visits for s in v.systems}
    systems = planned("visit_system", [{"instrument": name, "id": i, "name": s} for s, i in numbers_of_systems.items()])
    insert = planned("visit", [rows[v.id] for v in new], "fail")
    replace = planned("visit", [rows[v.id] for v in updates], "replace")
    detectors = {r["id"] for r in iter_records(session, "detector", {"instrument": name})}
    found = [
        {"instrument": name, "visit": visit, "detector": detector, REGION: region}
        for visit, parts in details.items()
        for detector, region in parts.items()
        if detector in detectors
    ]
    regions = planned("visit_detector_region", found, "replace")
    # After the regions: ObsCore rows of exposures, which take them, need not be made twice.
    links = planned("visit_definition", _definitions(name, [*new, *grown], old_form=old_form))
    plans = [systems, insert, replace, regions, links]
    if "visit_system_membership" in session.universe:
        membership = [
            {"instrument": name, "visit": v.id, "visit_system": VISIT_SYSTEMS[s]}
            for v in visits
            if v.id in rows or (name, v.id) in existing
            for s in v.systems
        ]
        plans.append(planned("visit_system_membership", membership))
    if act:
        for plan in plans:
            apply_records(session, plan)
        if "visit_system_membership" in session.universe:
            _leave_systems(session, name, grown)
    changed = len(replace.changes)
    return (len(insert.new), changed, len(existing) - changed, len(regions.new) + len(regions.changes)), notes


def _definitions(instrument: str, visits: Sequence[Visit], *, old_form: bool) -> list[Record]:
    rows = []
    for visit in visits:
        for exposure in visit.exposures:
            row = {"instrument": instrument, "visit": visit.id, "exposure": exposure["id"]}
            if old_form:
                row["visit_system"] = VISIT_SYSTEMS[visit.systems[0]]
            rows.append(row)
    return rows


def _leave_systems(session: Session, instrument: str, visits: Sequence[Visit]) -> None:
    """Take visits that have more exposures now out of the systems to which they belong no more."""
    table = session.table("visit_system_membership")
    for visit in visits:
        systems = [VISIT_SYSTEMS[s] for s in visit.systems]
        session.execute(
            sa.delete(table).where(
                table.c.instrument == instrument,
                table.c.visit == visit.id,
                table.c.visit_system.in_(list(VISIT_SYSTEMS.values())),
                table.c.visit_system.not_in(systems),
            )
        )


def _members(session: Session, instrument: str, visits: Sequence[int]) -> dict[int, set[int]]:
    """Return the exposures of visits that are there."""
    table = session.table("visit_definition")
    result: dict[int, set[int]] = defaultdict(set)
    for start in range(0, len(visits), 500):
        query = sa.select(table.c.visit, table.c.exposure).where(
            table.c.instrument == instrument, table.c.visit.in_(list(visits[start : start + 500]))
        )
        for visit, exposure in session.connection.execute(query):
            result[visit].add(exposure)
    return result
