"""Writes the definition of an instrument from records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registrytool.errors import RegistryStateError
from registrytool.universe import DEFAULT_NAMESPACE

from .definition import FORMAT_VERSION, VISIT_SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DETECTOR = ("id", "full_name", "name_in_raft", "raft", "purpose")


def write_definition(
    record: Mapping[str, Any],
    *,
    namespace: str,
    filters: Sequence[Mapping[str, Any]],
    detectors: Sequence[Mapping[str, Any]],
    visit_systems: Sequence[str],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Return the file of an instrument.

    Parameters
    ----------
    record : `~collections.abc.Mapping`
        Row of the instrument.
    namespace : `str`
        Namespace of its universe.
    filters, detectors : `~collections.abc.Sequence` [`~collections.abc.Mapping`]
        Rows of its physical filters and detectors.
    visit_systems : `~collections.abc.Sequence` [`str`]
        Names of its visit systems.
    records : `~collections.abc.Mapping` [`str`, `~collections.abc.Sequence`]
        Rows of further elements.

    Raises
    ------
    RegistryStateError
        A definition cannot say it: a value is missing, or a visit system is unknown.
    """
    import yaml

    name = record["name"]
    empty = [f for f in ("visit_max", "exposure_max", "detector_max", "class_name") if f in record and not record[f]]
    empty += [f"band of {f['name']}" for f in filters if not f["band"]]
    if empty:
        message = f"Cannot export {name}: {', '.join(empty)} has no value in the registry, and a definition needs one."
        raise RegistryStateError(message, hint="'registrytool record update' sets it.")
    numbers = {number: system for system, number in VISIT_SYSTEMS.items()}
    default = record.get("visit_system")
    if default is not None and default not in numbers:
        message = f"Cannot export {name}: its visit system {default} is not known."
        raise RegistryStateError(message, hint=f"Known: {', '.join(VISIT_SYSTEMS)}.")
    systems = [s for s in visit_systems if s in VISIT_SYSTEMS]
    if default is not None and numbers[default] not in systems:
        systems.append(numbers[default])
    top: dict[str, Any] = {"format_version": FORMAT_VERSION, "name": name, "class_name": record["class_name"]}
    if namespace != DEFAULT_NAMESPACE:
        top["universe"] = namespace
    top |= {f: record[f] for f in ("visit_max", "exposure_max", "detector_max") if f in record}
    if systems:
        top["visit_systems"] = sorted(systems, key=VISIT_SYSTEMS.__getitem__)
    if default is not None:
        top["default_visit_system"] = numbers[default]

    def inside(row: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in row.items() if k != "instrument"}

    if any(records.values()):
        top["records"] = {element: [inside(row) for row in rows] for element, rows in records.items()}
    parts = [_dump(yaml, top)]
    parts.append(_lines(yaml, "filters", [{"physical_filter": f["name"], "band": f["band"]} for f in filters]))
    rows = []
    for row in detectors:
        further = {k: v for k, v in inside(row).items() if k not in _DETECTOR}
        known = {k: row[k] for k in _DETECTOR if row[k] is not None}
        rows.append(known | ({"columns": further} if further else {}))
    parts.append(_lines(yaml, "detectors", rows))
    return "\n".join(parts)


def _dump(yaml: Any, value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000))


def _lines(yaml: Any, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a list with a line for each item."""
    if not rows:
        return f"{name}: []\n"
    dumped = (
        yaml.safe_dump(dict(row), sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6).strip()
        for row in rows
    )
    return f"{name}:\n" + "".join(f"  - {text}\n" for text in dumped)
