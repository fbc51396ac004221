"""Which exposures make a visit, what its record says, and where it lies on the sky; pure.

All this follows lsst/obs_base (python/lsst/obs/base/defineVisits.py): visits are exposures one to one; or groups of the
headers; or sequences, where each exposure is a visit of its own too.  Regions are computed from where the exposure
points and from the corners of detectors in the definition, so that no pixel is read.
"""

from __future__ import annotations

import cmath
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError
from registrytool.maintain.overlaps import sphgeom
from registrytool.maintain.record_values import TIMESPAN
from registrytool.maintain.timespans import Timespan

from .definition import VISIT_SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .definition import InstrumentDefinition

ONE_TO_ONE, BY_GROUP, BY_SEQUENCE = "one-to-one", "by-group-metadata", "by-seq-start-end"

Record = dict[str, Any]


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
        groups[group_of(exposure)].append(exposure)
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


def group_of(exposure: Record) -> str:
    """Return the name of the group of an exposure."""
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
