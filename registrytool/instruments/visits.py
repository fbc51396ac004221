"""Visits, defined from exposures, with their regions on the sky.

Which exposures make a visit, and what its record says, follows lsst/obs_base (python/lsst/obs/base/defineVisits.py):
one to one; by the group of the headers; or by the first and last number of a sequence, where each exposure is a visit
of its own too.  Regions are computed from where the exposure points and from the corners of detectors in the
definition, so that no pixel is read.
"""

from __future__ import annotations

import cmath
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.maintain.overlaps import sphgeom
from registrytool.maintain.record_values import REGION, TIMESPAN, Shape
from registrytool.maintain.records import apply_records, find_records, iter_records, plan_records
from registrytool.maintain.session import change, reading
from registrytool.maintain.timespans import Timespan
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .definition import VISIT_SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition

ONE_TO_ONE, BY_GROUP, BY_SEQUENCE = "one-to-one", "by-group-metadata", "by-seq-start-end"
#: How many visits become one transaction, about.
BATCH = 500

Record = dict[str, Any]


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
    dry_run : `bool`
        Whether nothing is written.
    """

    systems: tuple[str, ...] = ()
    exposures: tuple[int, ...] | None = None
    where: Callable[[Session], sa.ColumnElement[bool] | None] | None = None
    update: bool = False
    regions: bool = True
    dry_run: bool = False


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
    dry_run : `bool`
        Whether nothing was written.
    """

    instrument: str
    visits: int
    updated: int
    existing: int
    regions: int
    not_on_sky: int
    conflicts: tuple[str, ...] = ()
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that is going to be.

    Attributes
    ----------
    id : `int`
        Its number.
    name : `str`
        Its name.
    exposures : `tuple` [`dict`, ...]
        Records of its exposures, in the order of their numbers.
    systems : `tuple` [`str`, ...]
        Visit systems to which it belongs.
    """

    id: int
    name: str
    exposures: tuple[Record, ...]
    systems: tuple[str, ...]


# -- grouping, pure -----------------------------------------------------------


def group_exposures(exposures: Sequence[Record], systems: Sequence[str]) -> tuple[list[Visit], list[str]]:
    """Return the visits that some exposures make.

    Parameters
    ----------
    exposures : `~collections.abc.Sequence` [`dict`]
        Records of exposures of one instrument.
    systems : `~collections.abc.Sequence` [`str`]
        Visit systems.

    Returns
    -------
    visits : `list` [`Visit`]
        The visits.
    notes : `list` [`str`]
        What cannot be defined, as sentences.

    Raises
    ------
    ConfigurationError
        There is no such visit system.
    """
    unknown = [s for s in systems if s not in VISIT_SYSTEMS]
    if unknown:
        message = f"There is no visit system {', '.join(unknown)}."
        raise ConfigurationError(message, hint=f"Visit systems are {', '.join(VISIT_SYSTEMS)}.")
    notes: list[str] = []
    ordered = sorted(exposures, key=lambda e: e["id"])
    visits: dict[int, Visit] = {}

    def add(visit: Visit) -> None:
        old = visits.get(visit.id)
        if old is None:
            visits[visit.id] = visit
        elif [e["id"] for e in old.exposures] == [e["id"] for e in visit.exposures]:
            # One visit can belong to several systems.
            merged = tuple(s for s in VISIT_SYSTEMS if s in (*old.systems, *visit.systems))
            visits[visit.id] = Visit(old.id, old.name, old.exposures, merged)
        else:
            notes.append(f"Visit {visit.id} would be another one in {visit.systems[0]} and in {old.systems[0]}.")

    if BY_SEQUENCE in systems:
        for visit in _by_sequence(ordered, notes, singles=ONE_TO_ONE in systems):
            add(visit)
    elif ONE_TO_ONE in systems:
        for exposure in ordered:
            add(Visit(exposure["id"], exposure["obs_id"], (exposure,), (ONE_TO_ONE,)))
    if BY_GROUP in systems:
        for visit in _by_group(ordered, notes):
            add(visit)
    return list(visits.values()), notes


def _by_group(exposures: Sequence[Record], notes: list[str]) -> Iterator[Visit]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for exposure in exposures:
        groups[_group(exposure)].append(exposure)
    for name, members in groups.items():
        # Until universe 6 exposures have the number of their group; since then it is what digits the name has.
        numbers = {e["group_id"] for e in members if e.get("group_id") is not None}
        digits = re.sub(r"\D", "", name)
        if len(numbers) > 1:
            notes.append(f"The exposures of the group {name} have different numbers of it.")
        elif numbers or digits:
            yield Visit(numbers.pop() if numbers else int(digits), name, tuple(members), (BY_GROUP,))
        else:
            notes.append(f"The group {name} has no number from which a visit could have its own.")


def _group(exposure: Record) -> str:
    return str(exposure["group"] if "group" in exposure else exposure["group_name"])


def _by_sequence(exposures: Sequence[Record], notes: list[str], *, singles: bool) -> Iterator[Visit]:
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for exposure in exposures:
        groups[exposure["day_obs"], exposure["seq_start"], exposure["seq_end"]].append(exposure)
    for (day, start, end), members in groups.items():
        members.sort(key=lambda e: (e["seq_num"] is None, e["seq_num"]))
        first = members[0]
        whole = first["seq_num"] == first["seq_start"]
        if not whole and first["seq_num"]:
            notes.append(f"The sequence {start} to {end} of {day} lacks its first exposure.")
        several = len(members) > 1
        if singles or not several:
            for exposure in members:
                number, name, systems = exposure["id"], exposure["obs_id"], (ONE_TO_ONE,) if singles else ()
                if not several:
                    systems = (*systems, BY_SEQUENCE)
                elif whole and exposure is first:
                    # The visit of the whole sequence has number and name of its first exposure.
                    number, name = int(f"9{number}"), f"{name}_first"
                yield Visit(number, name, (exposure,), systems)
        if several and whole:
            yield Visit(first["id"], first["obs_id"], tuple(members), (BY_SEQUENCE,))


def visit_record(instrument: str, visit: Visit) -> Record:
    """Return what the record of a visit says, without its region."""
    exposures = visit.exposures
    azimuths = [e["azimuth"] for e in exposures if e.get("azimuth") is not None]
    reason = _common(exposures, "observation_reason")
    zenith = _all(exposures, "zenith_angle")
    timespans = [e[TIMESPAN] for e in exposures]
    timespan = None
    if None not in timespans:
        timespan = Timespan(min(t.begin_ns for t in timespans), max(t.end_ns for t in timespans))
    times, days, numbers = (_all(exposures, n) for n in ("exposure_time", "day_obs", "seq_num"))
    return {
        "instrument": instrument,
        "id": visit.id,
        "name": visit.name,
        "physical_filter": _common(exposures, "physical_filter"),
        "day_obs": min(days) if days else None,
        "seq_num": min(numbers) if numbers else None,
        "exposure_time": sum(times) if times else None,
        "target_name": _common(exposures, "target_name"),
        "science_program": _common(exposures, "science_program"),
        "observation_reason": "various" if reason is None else reason,
        "azimuth": _mean_angle(azimuths) if len(azimuths) == len(exposures) else None,
        "zenith_angle": sum(zenith) / len(zenith) if zenith else None,
        TIMESPAN: timespan,
    }


def _common(exposures: Sequence[Record], name: str) -> Any:
    values = {e[name] for e in exposures}
    return values.pop() if len(values) == 1 else None


def _all(exposures: Sequence[Record], name: str) -> list[Any]:
    """Return the values of a field if all exposures have one."""
    values = [e.get(name) for e in exposures]
    return [] if None in values else values


def _mean_angle(angles: Sequence[float]) -> float:
    if len(angles) == 1:
        return angles[0]
    return math.degrees(cmath.phase(sum(cmath.rect(1.0, math.radians(a)) for a in angles)))


# -- regions ------------------------------------------------------------------


def visit_regions(definition: InstrumentDefinition, exposure: Record) -> tuple[bytes | None, dict[int, bytes]]:
    """Return the regions of a visit: of the whole, and of each detector.

    Parameters
    ----------
    definition : `InstrumentDefinition`
        The instrument.
    exposure : `dict`
        Record of the first exposure of the visit.

    Returns
    -------
    whole : `bytes` or `None`
        Convex hull of all detectors, encoded by lsst-sphgeom; `None` if the definition has no corners.
    detectors : `dict` [`int`, `bytes`]
        Convex polygon of each detector that has corners.

    Raises
    ------
    ConfigurationError
        The package lsst-sphgeom is not installed.
    """
    pointing = [exposure.get(n) for n in ("tracking_ra", "tracking_dec", "sky_angle")]
    if definition.focal_plane is None or None in pointing:
        return None, {}
    module = sphgeom("compute regions of visits")
    ra, dec, angle = (float(p) for p in pointing if p is not None)
    bounds: dict[int, Any] = {}
    for detector in definition.detectors:
        corners = definition.on_sky(detector, ra, dec, angle)
        if corners is not None:
            bounds[detector.id] = [module.UnitVector3d(*corner) for corner in corners]
    if not bounds:
        return None, {}
    hull = module.ConvexPolygon.convexHull
    whole = hull([corner for corners in bounds.values() for corner in corners])
    return bytes(whole.encode()), {number: bytes(hull(corners).encode()) for number, corners in bounds.items()}


# -- the registry -------------------------------------------------------------


def define_visits(
    repository: Repository,
    definition: InstrumentDefinition,
    options: VisitOptions | None = None,
    *,
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
    with reading(repository, catalog=catalog) as session:
        visits, notes, not_on_sky = _wanted(session, definition, options)
    totals = [0, 0, 0, 0]
    for start in range(0, len(visits), BATCH):
        progress.rows("visits", start, len(visits))
        part = visits[start : start + BATCH]

        def work(session: Session, part: Sequence[Visit] = part) -> tuple[tuple[int, ...], list[str]]:
            return _define(session, definition, part, options)

        if options.dry_run:
            with reading(repository, catalog=catalog) as session:
                numbers, more = work(session)
        else:
            numbers, more = change(repository, f"define {len(part)} visits", work, catalog=catalog)
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        notes += more
    new, updated, existing, regions = totals
    return VisitReport(definition.name, new, updated, existing, regions, not_on_sky, tuple(notes), options.dry_run)


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
            yield "group", _group(exposure)
        if BY_SEQUENCE in systems and "seq_start" in exposure:
            yield "sequence", exposure["day_obs"], exposure["seq_start"], exposure["seq_end"]

    found = {key for e in exposures if e["id"] in wanted for key in keys(e)}
    return [e for e in exposures if not found.isdisjoint(keys(e))]


def _define(
    session: Session, definition: InstrumentDefinition, visits: Sequence[Visit], options: VisitOptions
) -> tuple[tuple[int, ...], list[str]]:
    """Define some visits in one transaction."""
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
    if options.dry_run:
        return (len(new), len(updates), len(existing) - len(updates), sum(map(len, details.values()))), notes
    _systems(session, definition.name, [s for v in visits for s in v.systems])
    insert = apply_records(session, plan_records(session, "visit", [rows[v.id] for v in new]))
    replace = apply_records(
        session, plan_records(session, "visit", [rows[v.id] for v in updates], on_conflict="replace")
    )
    _write(session, "visit_definition", _definitions(definition.name, [*new, *grown], old_form=old_form))
    if "visit_system_membership" in session.universe:
        membership = [
            {"instrument": definition.name, "visit": v.id, "visit_system": VISIT_SYSTEMS[s]}
            for v in visits
            if v.id in rows or (definition.name, v.id) in existing
            for s in v.systems
        ]
        _write(session, "visit_system_membership", membership)
        _leave_systems(session, definition.name, grown)
    detectors = {r["id"] for r in iter_records(session, "detector", {"instrument": definition.name})}
    regions = [
        {"instrument": definition.name, "visit": visit, "detector": detector, REGION: region}
        for visit, parts in details.items()
        for detector, region in parts.items()
        if detector in detectors
    ]
    done = apply_records(session, plan_records(session, "visit_detector_region", regions, on_conflict="replace"))
    numbers = (insert.inserted, replace.replaced, len(existing) - replace.replaced, done.inserted + done.replaced)
    return numbers, notes


def _write(session: Session, element: str, rows: Sequence[Record]) -> None:
    apply_records(session, plan_records(session, element, rows, on_conflict="skip"))


def _definitions(instrument: str, visits: Sequence[Visit], *, old_form: bool) -> list[Record]:
    rows = []
    for visit in visits:
        for exposure in visit.exposures:
            row = {"instrument": instrument, "visit": visit.id, "exposure": exposure["id"]}
            if old_form:
                row["visit_system"] = VISIT_SYSTEMS[visit.systems[0]]
            rows.append(row)
    return rows


def _systems(session: Session, instrument: str, names: Iterable[str]) -> None:
    """Make the records of visit systems that are missing."""
    wanted = [{"instrument": instrument, "id": VISIT_SYSTEMS[n], "name": n} for n in dict.fromkeys(names)]
    _write(session, "visit_system", wanted)


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
