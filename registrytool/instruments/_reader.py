"""Reads and validates the file of an instrument."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from registrytool.universe import DEFAULT_NAMESPACE

from ._nodes import Entry, Faults, numbers, read_file
from .definition import (
    FORMAT_VERSION,
    VISIT_SYSTEMS,
    Detector,
    Filter,
    FocalPlane,
    InstrumentDefinition,
    RawDatasets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FIELDS = (
    "format_version",
    "name",
    "class_name",
    "universe",
    "visit_max",
    "exposure_max",
    "detector_max",
    "visit_systems",
    "default_visit_system",
    "day_obs",
    "translator",
    "raw",
    "runs",
    "focal_plane",
    "records",
    "filters",
    "detectors",
)
_FILTER = ("physical_filter", "band", "aliases", "wavelength_nm", "doc")
_DETECTOR = ("id", "full_name", "name_in_raft", "raft", "purpose", "corners_mm", "columns")
_RAW = ("dataset_type", "dimensions", "storage_class", "formatter", "scales")
_FOCAL_PLANE = ("plate_scale_arcsec_per_mm", "distortion", "rotation_deg", "flip_x", "padding_mm")
#: Longest name that the newest universe holds; `register` checks those of the registry.
_NAME, _CLASS = 32, 64


def read_definition(path: Path) -> InstrumentDefinition:
    """Read the file of an instrument.

    Raises
    ------
    DefinitionError
        The file is wrong; all faults are named.
    """
    top, faults = read_file(path, _FIELDS)
    version = top.value("format_version", int, required=True)
    if version is not None and version != FORMAT_VERSION:
        top.fault("format_version", f"is {version}, and this version of registrytool reads {FORMAT_VERSION}")
    name = top.text("name", required=True, limit=_NAME, default="")
    detector_max = top.integer("detector_max", required=True, low=1)
    warnings: list[str] = []
    filters = _filters(top, name, faults, warnings)
    detectors = _detectors(top, name, faults)
    beyond = [str(d.id) for d in detectors if detector_max is not None and not 0 <= d.id < detector_max]
    if beyond:
        warnings.append(f"the numbers of the detectors {', '.join(beyond)} are not within 0 and detector_max")
    systems, default = _visit_systems(top)
    definition = InstrumentDefinition(
        name=name,
        class_name=top.text("class_name", required=True, limit=_CLASS, default=""),
        visit_max=top.integer("visit_max", required=True, low=1) or 0,
        exposure_max=top.integer("exposure_max", low=1),
        detector_max=detector_max or 0,
        namespace=top.text("universe", default=DEFAULT_NAMESPACE),
        visit_systems=systems,
        default_visit_system=default,
        day_obs=_day_obs(top, faults),
        filters=filters,
        detectors=detectors,
        focal_plane=_focal_plane(top),
        translator=top.text("translator"),
        raw=_raw(top),
        runs=_runs(top),
        records=_records(top, faults),
        warnings=tuple(warnings),
        source=str(path),
    )
    if (
        definition.namespace == DEFAULT_NAMESPACE
        and definition.exposure_max is None
        and "exposure_max" not in top.nodes
    ):
        top.fault("exposure_max", "is missing, and must be a whole number")
    if definition.focal_plane is None and any(d.corners_mm for d in detectors):
        top.fault("focal_plane", "is missing, and must say how the corners of the detectors are projected")
    faults.stop()
    return definition


def _filters(top: Entry, instrument: str, faults: Faults, warnings: list[str]) -> tuple[Filter, ...]:
    result = []
    seen: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for path, node in top.items("filters", required=True):
        entry = Entry(node, path, faults, _FILTER)
        name = entry.text("physical_filter", required=True, limit=_NAME)
        band = entry.text("band", required=True, limit=_NAME)
        wavelength = entry.values("wavelength_nm", float)
        if "wavelength_nm" in entry.nodes and not (len(wavelength) == 2 and 0 < wavelength[0] < wavelength[1]):
            entry.fault("wavelength_nm", "must be two positive numbers, the shorter wavelength first")
            wavelength = ()
        own = entry.values("aliases", str)
        doc = entry.text("doc", default="")
        if name is None or band is None:
            continue
        if name in seen:
            entry.fault("physical_filter", f"{name} is the name of {seen[name]} too; a name belongs to one filter")
        seen.setdefault(name, path)
        for alias in dict.fromkeys(own):
            other = aliases.setdefault(alias, name)
            if other != name:
                warnings.append(f"the filters {other} and {name} share the alias {alias}; {other} comes first")
        result.append(Filter(instrument, name, band, own, wavelength or None, doc))
    for alias, name in aliases.items():
        if alias in seen and alias != name:
            warnings.append(f"the alias {alias} of the filter {name} is the name of another filter, which comes first")
    return tuple(result)


def _detectors(top: Entry, instrument: str, faults: Faults) -> tuple[Detector, ...]:
    result = []
    by_id: dict[int, str] = {}
    by_name: dict[str, str] = {}
    for path, node in top.items("detectors", required=True):
        entry = Entry(node, path, faults, _DETECTOR)
        number = entry.value("id", int, required=True)
        name = entry.text("full_name", required=True, limit=_NAME)
        if number is not None:
            if number in by_id:
                entry.fault("id", f"{number} is the number of {by_id[number]} too; a number belongs to one detector")
            by_id.setdefault(number, path)
        if name is not None:
            if name in by_name:
                entry.fault("full_name", f"{name} is the name of {by_name[name]} too; a name belongs to one detector")
            by_name.setdefault(name, path)
        columns = entry.entry("columns", None)
        detector = Detector(
            instrument,
            number or 0,
            name or "",
            entry.text("name_in_raft", limit=_NAME),
            entry.text("raft", limit=_NAME),
            entry.text("purpose", limit=_NAME),
            _corners(entry, faults),
            MappingProxyType({key: columns.plain(key) for key in columns.nodes} if columns else {}),
        )
        result.append(detector)
    return tuple(sorted(result, key=lambda d: d.id))


def _corners(entry: Entry, faults: Faults) -> tuple[tuple[float, float], ...] | None:
    if "corners_mm" not in entry.nodes:
        return None
    items = entry.items("corners_mm")
    points = []
    for path, node in items:
        pair = numbers(node, path, faults)
        if len(pair) == 2:
            points.append((pair[0], pair[1]))
    if len(points) != 4 or len(items) != 4:
        entry.fault("corners_mm", "must be four pairs of numbers, in order around the detector")
        return None
    if any(a == b for a, b in zip(points, points[1:] + points[:1], strict=True)):
        entry.fault("corners_mm", "has the same corner twice")
        return None
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True)) / 2.0
    if area == 0.0:
        entry.fault("corners_mm", "enclose no area; give the corners in order around the detector")
    return tuple(points)


def _visit_systems(top: Entry) -> tuple[tuple[str, ...], str | None]:
    known = ", ".join(VISIT_SYSTEMS)
    systems = top.values("visit_systems", str)
    for unknown in [s for s in systems if s not in VISIT_SYSTEMS]:
        top.fault("visit_systems", f"{unknown} is not one; there are {known}")
    default = top.text("default_visit_system")
    if default is not None and default not in systems:
        top.fault("default_visit_system", f"is {default}, and must be one of visit_systems: {', '.join(systems)}")
        default = None
    return systems, default


def _day_obs(top: Entry, faults: Faults) -> tuple[tuple[int, int], ...]:
    result: list[tuple[int, int]] = []
    for path, node in top.items("day_obs"):
        entry = Entry(node, path, faults, ("from", "offset_s"))
        first = entry.integer("from") or 0
        offset = entry.value("offset_s", int, required=True)
        if offset is None:
            continue
        if abs(offset) > 86400:
            entry.fault("offset_s", f"is {offset}, and must lie between -86400 and 86400 seconds")
        if result and first <= result[-1][0]:
            entry.fault("from", f"is {first}, and must be later than that of the line before, {result[-1][0]}")
        if first and not (1900_01_01 <= first <= 2199_12_31):
            entry.fault("from", f"is {first}, and must be a day as YYYYMMDD")
        result.append((first, offset))
    return tuple(result)


def _focal_plane(top: Entry) -> FocalPlane | None:
    entry = top.entry("focal_plane", _FOCAL_PLANE)
    if entry is None:
        return None
    scale = entry.value("plate_scale_arcsec_per_mm", float, required=True)
    if scale is not None and scale <= 0:
        entry.fault("plate_scale_arcsec_per_mm", f"is {scale:g}, and must be more than 0")
    return FocalPlane(
        scale or 1.0,
        entry.values("distortion", float),
        entry.value("rotation_deg", float, default=0.0),
        entry.value("flip_x", bool, default=False),
        entry.value("padding_mm", float, default=0.0),
    )


def _raw(top: Entry) -> RawDatasets | None:
    entry = top.entry("raw", _RAW)
    if entry is None:
        return None
    dimensions = entry.values("dimensions", str, required=True)
    return RawDatasets(
        entry.text("dataset_type", required=True, default=""),
        dimensions,
        entry.text("storage_class", required=True, default=""),
        entry.text("formatter", required=True, default=""),
        _scales(entry),
    )


def _scales(raw: Entry) -> Mapping[str, float]:
    entry = raw.entry("scales", None)
    found = {key: entry.value(key, float, required=True, default=1.0) for key in entry.nodes} if entry else {}
    return MappingProxyType(found)


def _runs(top: Entry) -> Mapping[str, str]:
    entry = top.entry("runs", None)
    found = {key: entry.text(key, required=True, default="") for key in entry.nodes} if entry else {}
    return MappingProxyType(found)


def _records(top: Entry, faults: Faults) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    entry = top.entry("records", None)
    result: dict[str, tuple[Mapping[str, Any], ...]] = {}
    if entry is None:
        return MappingProxyType(result)
    for element in entry.nodes:
        rows = [Entry(node, path, faults, None) for path, node in entry.items(element)]
        result[element] = tuple(MappingProxyType({key: row.plain(key) for key in row.nodes}) for row in rows)
    return MappingProxyType(result)
