"""What raw files are going to be in a registry: items, one for each dataset, and the records that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from registrytool.maintain.collections import find_collection
from registrytool.maintain.dataset_types import find_same
from registrytool.maintain.export_file import day_obs_record
from registrytool.maintain.record_reading import find_records
from registrytool.maintain.record_values import Shape

from .observation import BadFile
from .templates import choose_template, format_template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registrytool.maintain.session import Session

    from .definition import InstrumentDefinition, RawDatasets
    from .observation import Observation

Existing = Literal["fail", "skip", "update"]


@dataclass(frozen=True, slots=True)
class Item:
    """One dataset that is going to be."""

    observation: Observation
    definition: InstrumentDefinition
    physical_filter: str
    run: str

    @property
    def raw(self) -> RawDatasets:
        """What the file becomes."""
        assert self.definition.raw is not None  # noqa: S101 (there is no item without)
        return self.definition.raw

    @property
    def element(self) -> str:
        """The element that an observation is, which is ``visit`` in universes without exposures."""
        return "exposure" if "exposure" in self.raw.dimensions else "visit"

    @property
    def exposure(self) -> tuple[str, int]:
        """Instrument and number."""
        return self.observation.instrument, self.observation.exposure

    @property
    def data_id(self) -> dict[str, Any]:
        """Data ID of the dataset."""
        observation = self.observation
        known = {
            "instrument": observation.instrument,
            "detector": observation.detector,
            self.element: observation.exposure,
            **self.definition.detector(observation.detector).columns,
        }
        return {name: known[name] for name in self.raw.dimensions}


@dataclass(slots=True)
class Batch:
    """What one transaction does; worked out before it, and again inside of it."""

    items: list[Item] = field(default_factory=list)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    updates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    skipped: int = 0
    bad: list[BadFile] = field(default_factory=list)


def plan_batch(session: Session, items: Sequence[Item], existing: Existing) -> Batch:
    """Say which datasets and records are new, and refuse files that contradict what is there."""
    batch = Batch()
    taken = _taken(session, items)
    chosen: dict[tuple[str, int], dict[str, Any]] = {}
    missing = _missing(session, items)
    for item in items:
        if tuple(item.data_id.values()) in taken:
            if existing == "fail":
                instrument, exposure = item.exposure
                detector = item.observation.detector
                reason = f"It is ingested already ({item.element} {exposure}, detector {detector} of {instrument})."
                batch.bad.append(BadFile(item.observation.file, reason))
            else:
                batch.skipped += 1
                if existing == "update":
                    chosen.setdefault(item.exposure, _record(session, item))
            continue
        lacking = missing.get((item.observation.instrument, item.physical_filter, item.observation.detector))
        if lacking is not None:
            batch.bad.append(BadFile(item.observation.file, lacking))
            continue
        chosen.setdefault(item.exposure, _record(session, item))
        batch.items.append(item)
    _compare(session, batch, chosen, items, existing)
    return batch


def _compare(
    session: Session,
    batch: Batch,
    chosen: Mapping[tuple[str, int], dict[str, Any]],
    items: Sequence[Item],
    existing: Existing,
) -> None:
    """Compare the records of headers with those that are there."""
    elements = {item.exposure: item.element for item in items}
    definitions = {item.exposure: item.definition for item in items}
    for element in dict.fromkeys(elements[key] for key in chosen):
        shape = Shape.of(session.universe, element)
        rows = {key: row for key, row in chosen.items() if elements[key] == element}
        there = find_records(session, shape, [shape.key_of(row) for row in rows.values()])
        for key, row in rows.items():
            old = there.get(shape.key_of(row))
            if old is None:
                batch.records.setdefault(element, []).append(row)
                continue
            differ = [n for n in row if old[n] != row[n]]
            if differ and existing == "update":
                batch.updates.append((element, row))
            elif differ:
                name = differ[0]
                reason = (
                    f"The {element} {key[1]} of {key[0]} is there with another {name} ({old[name]!r}, and the "
                    f"header says {row[name]!r})."
                )
                batch.bad += [BadFile(i.observation.file, reason) for i in batch.items if i.exposure == key]
                batch.items = [i for i in batch.items if i.exposure != key]
        fresh = [*batch.records.get(element, ()), *(r for e, r in batch.updates if e == element)]
        _add_dependencies(session, batch, element, fresh, definitions, items)


def _taken(session: Session, items: Sequence[Item]) -> set[tuple[Any, ...]]:
    """Return the values of the data IDs of datasets that are there."""
    result: set[tuple[Any, ...]] = set()
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.definition.name, item.run), []).append(item)
    for (instrument, run), group in groups.items():
        raw, element = group[0].raw, group[0].element
        collection = find_collection(session, run)
        dataset_type = find_same(session, raw.dataset_type, raw.dimensions, raw.storage_class, is_calibration=False)
        if collection is None or dataset_type is None:
            continue
        tags = session.table(dataset_type.tags_table)
        numbers = sorted({i.observation.exposure for i in group})
        for start in range(0, len(numbers), 500):
            query = sa.select(*(tags.c[name] for name in raw.dimensions)).where(
                tags.c.dataset_type_id == dataset_type.id,
                tags.c[session.collection_column] == collection.key,
                tags.c.instrument == instrument,
                tags.c[element].in_(numbers[start : start + 500]),
            )
            result |= {tuple(row) for row in session.connection.execute(query)}
    return result


def _record(session: Session, item: Item) -> dict[str, Any]:
    """Return the record of an exposure, with the fields that the universe has."""
    observation, shape = item.observation, Shape.of(session.universe, item.element)
    values = {
        "instrument": observation.instrument,
        "id": observation.exposure,
        "obs_id": observation.obs_id,
        "name": observation.obs_id,
        "physical_filter": item.physical_filter,
        "day_obs": observation.day_obs,
        "group": observation.group,
        "group_name": observation.group,
        "group_id": observation.visit_id,
        "timespan": observation.timespan,
        **dict(observation.fields),
    }
    for name, value in observation.extensions:
        scale = item.raw.scales.get(name)
        values.setdefault(name, value if scale is None else math.floor(value * scale + 0.5))
    return {name: values[name] for name in shape.fields if name in values}


def _add_dependencies(
    session: Session,
    batch: Batch,
    element: str,
    rows: Sequence[Mapping[str, Any]],
    definitions: Mapping[tuple[str, int], InstrumentDefinition],
    items: Sequence[Item],
) -> None:
    """Add the records of groups and days of observation that new exposures need, before theirs."""
    implied = session.universe[element].implied
    offsets = {(i.observation.instrument, i.observation.day_obs): i.observation.day_obs_offset_s for i in items}

    def offset_s(instrument: str, day: int) -> int | None:
        definition = next(d for (name, _), d in definitions.items() if name == instrument)
        found = definition.day_obs_offset_s(day)
        return offsets.get((instrument, day)) if found is None else found

    before: dict[str, list[dict[str, Any]]] = {}
    if "day_obs" in implied:
        days = dict.fromkeys((row["instrument"], row["day_obs"]) for row in rows)
        before["day_obs"] = [day_obs_record(instrument, day, offset_s) for instrument, day in days]
    for name in implied:
        # Elements that are nothing but a key, such as a group, need no more than to be there.
        other = session.universe[name]
        if other.required == ("instrument", name) and not other.implied and not other.metadata and name not in before:
            values = dict.fromkeys((row["instrument"], row[name]) for row in rows if row.get(name) is not None)
            before[name] = [{"instrument": instrument, other.key.name: value} for instrument, value in values]
    batch.records = {name: found for name, found in before.items() if found} | batch.records


def _missing(session: Session, items: Sequence[Item]) -> dict[tuple[str, str, int], str]:
    """Return what keeps instruments, filters and detectors from being used, as sentences."""
    result: dict[tuple[str, str, int], str] = {}
    wanted = {(i.observation.instrument, i.physical_filter, i.observation.detector) for i in items}
    there = {}
    for element, keys in (
        ("instrument", {(i,) for i, _, _ in wanted}),
        ("physical_filter", {(i, f) for i, f, _ in wanted}),
        ("detector", {(i, d) for i, _, d in wanted}),
    ):
        there[element] = set(find_records(session, Shape.of(session.universe, element), keys))
    for instrument, name, detector in wanted:
        if (instrument,) not in there["instrument"]:
            result[instrument, name, detector] = f"The instrument {instrument} is not registered."
        elif (instrument, name) not in there["physical_filter"]:
            result[instrument, name, detector] = f"The filter {name!r} of {instrument} is not registered."
        elif (instrument, detector) not in there["detector"]:
            result[instrument, name, detector] = f"The detector {detector} of {instrument} is not registered."
    return result


def path_of(session: Session, item: Item, templates: Any) -> str:
    """Return the path in the datastore that a template gives."""
    raw, observation, element = item.raw, item.observation, item.element
    implied = session.universe[element].implied
    template = choose_template(templates, raw.dataset_type, raw.storage_class, [*raw.dimensions, *implied, "band"])
    values = {
        "run": item.run,
        "datasetType": raw.dataset_type,
        "band": item.definition.band(item.physical_filter),
        "physical_filter": item.physical_filter,
        "day_obs": observation.day_obs,
        "group": observation.group,
        f"{element}.obs_id": observation.obs_id,
        f"{element}.day_obs": observation.day_obs,
        "detector.full_name": item.definition.detector(observation.detector).full_name,
        **item.data_id,
    }
    return format_template(template, values) + _suffix(observation.file)


def _suffix(file: str) -> str:
    suffixes = PurePosixPath(file).suffixes[-2:]
    return "".join(suffixes) if suffixes[-1:] and suffixes[-1] in (".gz", ".fz", ".bz2") else "".join(suffixes[-1:])
