"""Compare what a Butler client saw in a repository before and after a migration.

The contents are dumps of ``client_content.py``. A migration may change only
what the reference, section 10.3, says that the new dimension universe derives
from the old records; everything else must stay as it was.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
Content = Mapping[str, Any]

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400

INGEST_TOLERANCE_NS = 1000
"""Ingest dates of datasets 1.0.0 are timestamps of whole microseconds."""

TWO_EXPOSURE_SYSTEM = ("LSSTCam", "LATISS", "LSSTComCam")
"""Instruments whose visit system is 2, by-seq-start-end (step 1 to 2)."""

SEES_SKY = frozenset(
    (
        "science", "object", "standard", "sky flat", "standard_star", "skyflat", "focus",
        "focusing", "exp", "skyexp",
    )
)  # fmt: skip
SEES_NO_SKY = frozenset(("dark", "bias", "agexp", "domeflat", "dome flat", "zero", "spot"))

DAY_OFFSETS_S = {
    "LATISS": 43200,
    "LSSTComCamSim": 43200,
    "LSSTCamSim": 43200,
    "LSSTCam": 43200,
    "LSSTComCam": 43200,
    "LSST-TS8": 28800,
    "LSST-TS3": 28800,
    "LSSTCam-imSim": 0,
    "LSSTCam-PhoSim": 0,
    "LSST-UCDCam": 0,
    "DECam": 43200,
    "HSC": 0,
    "Suprime-Cam": 0,
    "MegaPrime": 0,
}
"""Start of a day of observation after 00:00 TAI, in s (reference, section 10.4)."""

PACIFIC_UNTIL = {"LSSTCam": 20240501, "LSSTComCam": 20200301}
"""First day for which the table above holds; Pacific time before."""

KEYS: dict[str, tuple[str, ...]] = {
    "band": ("name",),
    "instrument": ("name",),
    "physical_filter": ("instrument", "name"),
    "subfilter": ("band", "id"),
    "detector": ("instrument", "id"),
    "group": ("instrument", "name"),
    "day_obs": ("instrument", "id"),
    "exposure": ("instrument", "id"),
    "visit": ("instrument", "id"),
    "visit_system": ("instrument", "id"),
    "visit_definition": ("instrument", "exposure", "visit"),
    "visit_system_membership": ("instrument", "visit_system", "visit"),
    "visit_detector_region": ("instrument", "visit", "detector"),
    "skymap": ("name",),
    "tract": ("skymap", "id"),
    "patch": ("skymap", "tract", "id"),
    "ssp_hypothesis_table": ("name",),
    "ssp_hypothesis_bundle": ("ssp_hypothesis_table", "id"),
    "ssp_balanced_index": ("ssp_hypothesis_table", "id"),
}
"""What identifies a record; elements of other universes are compared whole."""

NEW_ELEMENTS = {
    2: ("visit_system_membership",),
    6: ("group", "day_obs"),
    8: ("ssp_hypothesis_table", "ssp_hypothesis_bundle", "ssp_balanced_index"),
}

OWN_ATTRIBUTES = ("version:", "config:registry.managers.", "schema_digest:", "registrytool.")
"""Prefixes of attributes that a migration is there to change, or keeps its log in."""

OWN_TABLES = ("alembic_version", "registrytool")
"""Prefixes of tables that migration tools add."""


@dataclass(frozen=True)
class Accept:
    """Stands for a value that cannot be known beforehand, only checked."""

    description: str
    check: Callable[[Any], bool]


def compare_content(
    old: Content, new: Content, *, day_offsets_s: Mapping[str, int] | None = None, switches: Collection[str] = ()
) -> list[str]:
    """Find what differs between two contents, apart from what a migration must change.

    Parameters
    ----------
    old : `~collections.abc.Mapping` [`str`, `object`]
        Content before the migration, of dimension universe 0 to 8.
    new : `~collections.abc.Mapping` [`str`, `object`]
        Content afterwards, of the same universe or a newer one. The client
        may be another one.
    day_offsets_s : `~collections.abc.Mapping` [`str`, `int`], optional
        Start of the days of observation, in s after 00:00 TAI, by instrument,
        where the user of the migration gave one.
    switches : `~collections.abc.Collection` [`str`], optional
        Components that were to change their implementation.

    Returns
    -------
    differences : `list` [`str`]
        One sentence each; empty if the migration was right.

    Raises
    ------
    ValueError
        The universe has become older: what a downgrade must give is not known
        here.
    """
    before, after = old["universe"]["version"], new["universe"]["version"]
    if after < before:
        raise ValueError(f"no rule for universe {before} to {after}")
    found: list[str] = []
    if old["universe"]["namespace"] != new["universe"]["namespace"]:
        found.append(f"universe: {old['universe']} became {new['universe']}")
    found += _mapping("component", _implementations(old, switches), _implementations(new, switches))
    found += _mapping("attribute", _attributes(old, before == after), _attributes(new, before == after))
    found += _records(old, new, day_offsets_s or {})
    types = {name: _expected_type(t, before, after) for name, t in old["dataset_types"].items()}
    found += _mapping("dataset type", types, new["dataset_types"])
    found += _mapping("collection", old["collections"], new["collections"])
    found += _datasets(old, new)
    for section in ("tags", "calibrations"):
        for name in sorted(old[section].keys() | new[section].keys()):
            found += _bag(f"{section} of {name}", old[section].get(name, []), new[section].get(name, []))
    found += _bag("dataset without run", old["datasets_without_run"], new["datasets_without_run"])
    found += _mapping("summary of", old["summaries"], new["summaries"])
    found += _datastore(old["datastore"], new["datastore"])
    if (old["obscore"] is None) != (new["obscore"] is None):
        found.append("ObsCore table: only one repository has one")
    found += _bag("row of the ObsCore table", old["obscore"] or [], new["obscore"] or [])
    found += _mapping("file of", old["files"], new["files"])
    for name in sorted(old["queries"].keys() | new["queries"].keys()):
        found += _query(name, old["queries"].get(name), new["queries"].get(name))
    found += _row_counts(old, new)
    return found


def expected_records(
    old: Content, version: int, *, day_offsets_s: Mapping[str, int] | None = None
) -> dict[str, list[Record]]:
    """Derive the dimension records that a migrated registry must have.

    Parameters
    ----------
    old : `~collections.abc.Mapping` [`str`, `object`]
        Content before the migration.
    version : `int`
        Universe to which it was migrated.
    day_offsets_s : `~collections.abc.Mapping` [`str`, `int`], optional
        As in `compare_content`.

    Returns
    -------
    records : `dict` [`str`, `list` [`dict`]]
        Records by element. Values that cannot be foreseen are `Accept`.
    """
    records = {element: [dict(r) for r in rows] for element, rows in old["records"].items()}
    first = old["universe"]["version"]
    for step in range(first + 1, version + 1):
        for element in NEW_ELEMENTS.get(step, ()):
            records[element] = []
        if step == 2:
            _add_visit_systems(records)
        elif step == 6:
            _add_groups_and_days(records, day_offsets_s or {})
        elif step == 7:
            for exposure in records["exposure"]:
                kind = exposure["observation_type"]
                sees = True if kind in SEES_SKY else False if kind in SEES_NO_SKY else None
                exposure["can_see_sky"] = sees
    return records


def _add_visit_systems(records: dict[str, list[Record]]) -> None:
    """Do step 1 to 2: a visit may belong to several visit systems."""
    for instrument in records["instrument"]:
        instrument["visit_system"] = 2 if instrument["name"] in TWO_EXPOSURE_SYSTEM else 0
    numbers = {(e["instrument"], e["id"]): e["seq_num"] for e in records["exposure"]}
    simulated = Accept("a truth value", lambda v: isinstance(v, bool))
    for exposure in records["exposure"]:
        exposure |= {"seq_start": exposure["seq_num"], "seq_end": exposure["seq_num"]}
        exposure |= {"azimuth": None, "has_simulated": simulated}
    of_visit: dict[tuple[str, int], list[int]] = defaultdict(list)
    members, definitions = set(), set()
    for row in records["visit_definition"]:
        instrument, exposure_id, visit_id = (row[k] for k in KEYS["visit_definition"])
        if numbers[instrument, exposure_id] is not None:
            of_visit[instrument, visit_id].append(numbers[instrument, exposure_id])
        members.add((instrument, row["visit_system"], visit_id))
        definitions.add((instrument, exposure_id, visit_id))
    for visit in records["visit"]:
        del visit["visit_system"]
        seq_nums = of_visit[visit["instrument"], visit["id"]]
        visit |= {"seq_num": min(seq_nums, default=None), "azimuth": None}
    for element, rows in (("visit_system_membership", members), ("visit_definition", definitions)):
        records[element] = [dict(zip(KEYS[element], row, strict=True)) for row in rows]


def _add_groups_and_days(records: dict[str, list[Record]], day_offsets_s: Mapping[str, int]) -> None:
    """Do step 5 to 6: groups and days of observation become dimensions."""
    groups, days = set(), set()
    for exposure in records["exposure"]:
        exposure["group"] = exposure.pop("group_name")
        del exposure["group_id"]
        groups.add((exposure["instrument"], exposure["group"]))
    for row in (*records["exposure"], *records["visit"]):
        days.add((row["instrument"], row["day_obs"]))
    records["group"] = [{"instrument": i, "name": g} for i, g in groups]
    records["day_obs"] = [
        {"instrument": i, "id": d, "timespan": day_timespan(i, d, day_offsets_s.get(i))} for i, d in days
    ]


def day_timespan(instrument: str, day_obs: int, offset_s: int | None = None) -> list[int] | Accept:
    """Return the timespan of a day of observation.

    Parameters
    ----------
    instrument : `str`
        Name of the instrument.
    day_obs : `int`
        The day as YYYYMMDD.
    offset_s : `int`, optional
        Start after 00:00 TAI, in s; by default that of the instrument.

    Returns
    -------
    timespan_ns : `list` [`int`], shape (2,), or `Accept`
        Begin and end in ns since 1970-01-01 00:00 TAI. Where nothing is known
        of the instrument, anything that is 24 h long, or no timespan at all.
    """
    date = dt.datetime.strptime(str(day_obs), "%Y%m%d").replace(tzinfo=dt.UTC)
    midnight_ns = int(date.timestamp()) * NS_PER_S
    length_ns = S_PER_DAY * NS_PER_S
    if offset_s is None:
        offset_s = DAY_OFFSETS_S.get(instrument)
        if day_obs < PACIFIC_UNTIL.get(instrument, 0):
            offset_s = 25200 if _is_summer_time(date.date()) else 28800
    if offset_s is None:
        return Accept(
            "24 hours or nothing",
            lambda v: v is None or (None not in v and v != "empty" and v[1] - v[0] == length_ns),
        )
    begin_ns = midnight_ns + offset_s * NS_PER_S
    return [begin_ns, begin_ns + length_ns]


def _is_summer_time(day: dt.date) -> bool:
    """Tell whether Pacific time is summer time at 00:00 UTC (rule since 2007)."""

    def sunday(month: int, number: int) -> dt.date:
        first = dt.date(day.year, month, 1)
        return first + dt.timedelta(days=(6 - first.weekday()) % 7 + 7 * (number - 1))

    # Both changes happen at 2:00 local time, later than 00:00 UTC of the Sunday.
    return sunday(3, 2) < day <= sunday(11, 1)


def _expected_type(old: Mapping[str, Any], before: int, after: int) -> Record:
    """Return a dataset type with the implied dimensions of the new universe."""
    required, implied = set(old["required"]), set(old["implied"])
    if before < 2 <= after:
        implied.discard("visit_system")
    if before < 6 <= after:
        if required & {"exposure", "visit"}:
            implied.add("day_obs")
        if "exposure" in required:
            implied.add("group")
    return {**old, "implied": sorted(implied - required)}


def _records(old: Content, new: Content, day_offsets_s: Mapping[str, int]) -> list[str]:
    """Compare the dimension records of all elements."""
    after = new["universe"]["version"]
    wanted = expected_records(old, after, day_offsets_s=day_offsets_s)
    optional: set[tuple[Any, ...]] = set()
    if old["universe"]["version"] < 2 <= after:
        # What a visit says of itself, without any definition, may be kept.
        optional = {(v["instrument"], v["visit_system"], v["id"]) for v in old["records"]["visit"]}
    found = []
    for element in sorted(wanted.keys() | new["records"].keys()):
        if element not in wanted or element not in new["records"]:
            which = "new" if element not in wanted else "missing"
            found.append(f"element {element}: {which}")
            continue
        if element not in KEYS:
            found += _bag(element, wanted[element], new["records"][element])
            continue
        left, right = (_by_key(element, rows) for rows in (wanted[element], new["records"][element]))
        if len(right) < len(new["records"][element]):
            found.append(f"{element}: several records of one key")
        if element == "visit_system_membership":
            right = {k: v for k, v in right.items() if k in left or k not in optional}
        found += _mapping(element, left, right)
    simulated = {r.get("has_simulated") for r in new["records"].get("exposure", [])}
    if old["universe"]["version"] < 2 <= after and len(simulated) > 1:
        found.append("exposure: has_simulated is not the same everywhere")
    return found


def _by_key(element: str, rows: Iterable[Record]) -> dict[tuple[Any, ...], Record]:
    """Index records by what identifies them."""
    return {tuple(r[k] for k in KEYS[element]): r for r in rows}


def _implementations(content: Content, switches: Collection[str]) -> dict[str, str | None]:
    """Return the implementation of each component, None if it is free to change."""
    return {name: None if name in switches else m["class"] for name, m in content["managers"].items()}


def _attributes(content: Content, same_universe: bool) -> Record:  # noqa: FBT001
    """Return the attributes that a migration must leave alone."""
    return {
        key: value
        for key, value in content["attributes"].items()
        if not key.startswith(OWN_ATTRIBUTES) and (same_universe or key != "config:dimensions.json")
    }


def _datasets(old: Content, new: Content) -> list[str]:
    """Compare the datasets of all runs, and when they were ingested."""
    same = old["managers"]["datasets"]["version"] == new["managers"]["datasets"]["version"]
    tolerance_ns = 1 if same else INGEST_TOLERANCE_NS

    def index(content: Content) -> dict[str, Record]:
        runs = content["datasets"].items()
        return {d["id"]: {**d, "run": run} for run, datasets in runs for d in datasets}

    left, right = index(old), index(new)
    for dataset_id, dataset in left.items():
        date = dataset["ingest_date_ns"]
        if dataset_id in right and abs(right[dataset_id]["ingest_date_ns"] - date) < tolerance_ns:
            dataset["ingest_date_ns"] = right[dataset_id]["ingest_date_ns"]
    return _mapping("dataset", left, right)


def _datastore(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare where datasets are stored, and the trash."""
    found = []
    for table in ("dataset_location", "dataset_location_trash"):
        found += _bag(f"row of {table}", old[table], new[table])
    for table in sorted(old["records"].keys() | new["records"].keys()):
        found += _bag(f"row of {table}", old["records"].get(table, []), new["records"].get(table, []))
    return found


def _query(name: str, old: Any, new: Any) -> list[str]:
    """Compare the results of one query: rows, or identifiers by dataset type."""
    if isinstance(old, list) and isinstance(new, list):
        return _bag(f"result of query {name}", old, new)
    return _mapping(f"result of query {name}:", old or {}, new or {})


def _row_counts(old: Content, new: Content) -> list[str]:
    """Compare the number of rows of all tables, those that no client shows included."""
    left, right = dict(old["row_counts"]), dict(new["row_counts"])
    for table in [*left, *right]:
        if table == "butler_attributes" or table.startswith(OWN_TABLES):
            left.pop(table, None)
            right.pop(table, None)
    before, after = old["universe"]["version"], new["universe"]["version"]
    for step in range(before + 1, after + 1):
        for table in NEW_ELEMENTS.get(step, ()):
            left[table] = len(new["records"][table])
    if before < 2 <= after:
        left["visit_definition"] = len(new["records"]["visit_definition"])
    return _mapping("number of rows of", left, right)


def _mapping(what: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> list[str]:
    """Compare two mappings, naming the fields in which their values differ."""
    found = [f"{what} {_key(k)}: missing" for k in old if k not in new]
    found += [f"{what} {_key(k)}: unexpected" for k in new if k not in old]
    for key, wanted in old.items():
        if key not in new or _equal(wanted, new[key]):
            continue
        value = new[key]
        if not isinstance(wanted, Mapping) or not isinstance(value, Mapping):
            found.append(f"{what} {_key(key)}: expected {_short(wanted)}, found {_short(value)}")
            continue
        for field in sorted(wanted.keys() | value.keys()):
            if field not in wanted:
                found.append(f"{what} {_key(key)}: {field} is unexpected")
            elif field not in value:
                found.append(f"{what} {_key(key)}: {field} is missing")
            elif not _equal(wanted[field], value[field]):
                texts = _short(wanted[field]), _short(value[field])
                found.append(f"{what} {_key(key)}: {field}: expected {texts[0]}, found {texts[1]}")
    return sorted(found)


def _bag(what: str, old: Iterable[Any], new: Iterable[Any]) -> list[str]:
    """Compare two collections without order, in which items may be repeated."""
    left, right = (Counter(json.dumps(i, sort_keys=True) for i in items) for items in (old, new))
    found = [f"{what}: missing {n} of {_short(i)}" for i, n in (left - right).items()]
    found += [f"{what}: unexpected {n} of {_short(i)}" for i, n in (right - left).items()]
    return sorted(found)


def _equal(wanted: Any, value: Any) -> bool:
    """Tell whether a value is as expected; 1 is not True here."""
    if isinstance(wanted, Accept):
        return wanted.check(value)
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return wanted.keys() == value.keys() and all(_equal(wanted[k], value[k]) for k in wanted)
    return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)


def _key(key: Any) -> str:
    """Write the key of a record."""
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _short(value: Any, length: int = 200) -> str:
    """Write a value, but not a whole region."""
    text = value.description if isinstance(value, Accept) else str(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"
