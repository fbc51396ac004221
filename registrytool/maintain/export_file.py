"""The Butler's own export files (YAML): their dimension records, read and written.

Files of older universes are read too: what later universes turned into records of their own is made from the fields in
which it stood.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import yaml

from registrytool.errors import ConfigurationError
from registrytool.universe import DEFAULT_NAMESPACE

from .pieces import chunks
from .record_values import REGION, TIMESPAN
from .times import clipped, format_time, parse_time
from .timespans import EMPTY, Timespan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from registrytool.universe import Universe

#: Version of the form of the files, as clients of 2022 and later write it.
VERSION = "1.0.2"
_DESCRIPTION = "Butler Data Repository Export"
_TIME = "!butler_time/tai/iso"
#: What the client writes for an empty timespan, and cannot read itself.
_EMPTY_BOUND = "tag:yaml.org,2002:python/object/apply:lsst.daf.butler._timespan._SpecialTimespanBound"
#: Kinds of regions by the first byte of their encoding.
_REGIONS = {
    b"c": "Circle", b"p": "ConvexPolygon", b"b": "Box", b"e": "Ellipse",
    b"u": "UnionRegion", b"i": "IntersectionRegion",
}  # fmt: skip

#: Begin and end of an empty timespan: 2000-01-01 00:00 TAI, for no reason.
_SOME_TIME = 946_684_800_000_000_000

Records = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Dimension records of an export file.

    Attributes
    ----------
    namespace : `str`
        Namespace of the universe of the registry that they come from.
    universe_version : `int`
        Its version; 0 for files that do not say.
    records : `dict` [`str`, `list` [`dict`]]
        Records by element.
    others : `dict` [`str`, `int`]
        How many parts of other types, such as ``collection`` and ``dataset``, the file has.
    """

    namespace: str
    universe_version: int
    records: Records
    others: Mapping[str, int]


class _Bound:
    """What an empty timespan has in place of its bounds."""


class _Loader(yaml.SafeLoader):
    """Understands what the Butler writes, and makes no objects of classes that a file names."""


def _time(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    return parse_time(str(loader.construct_scalar(node)), "tai")  # type: ignore[arg-type]


def _region(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> bytes:
    del suffix
    return bytes.fromhex(str(loader.construct_mapping(node)["encoded"]))  # type: ignore[arg-type]


def _timestamp(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    # Files of 2020 have times without a tag, which the client takes for UTC.
    return parse_time(str(loader.construct_scalar(node)), "utc")  # type: ignore[arg-type]


_Loader.add_constructor(_TIME, _time)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)
_Loader.add_constructor(_EMPTY_BOUND, lambda loader, node: _Bound())  # noqa: ARG005
_Loader.add_multi_constructor("lsst.sphgeom.", _region)
for _name in _REGIONS.values():
    # Where lsst-sphgeom has been imported, it has taught YAML to make objects of these.
    _Loader.add_constructor(f"lsst.sphgeom.{_name}", lambda loader, node: _region(loader, "", node))  # type: ignore[arg-type]
# Of the parts with datasets and collections nothing is used.
_Loader.add_constructor("!uuid", lambda loader, node: str(loader.construct_scalar(node)))  # type: ignore[arg-type]


def read_export(path: Path) -> ExportFile:
    """Read the dimension records of an export file.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is not such a file.
    """
    wanted = f"read {path}"
    try:
        with path.open(encoding="utf-8") as stream:
            found = yaml.load(stream, _Loader)  # noqa: S506 (a safe loader with the Butler's tags)
    except OSError as error:
        message = f"Cannot {wanted}: {error.strerror}."
        raise ConfigurationError(message) from error
    except (yaml.YAMLError, ConfigurationError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        message = f"Cannot {wanted}: it is not an export file of a Butler ({reason})."
        raise ConfigurationError(message) from error
    try:
        return _parts(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"Cannot {wanted}: it is not an export file of a Butler ({type(error).__name__}: {error})."
        raise ConfigurationError(
            message, hint="'registrytool record export' and 'butler export' write such files."
        ) from error


def _parts(found: Mapping[str, Any]) -> ExportFile:
    records: Records = {}
    others: dict[str, int] = {}
    for part in found["data"]:
        kind = str(part["type"])
        if kind != "dimension":
            others[kind] = others.get(kind, 0) + 1
            continue
        rows = records.setdefault(str(part["element"]), [])
        rows.extend(_with_timespan(dict(row)) for row in part["records"])
    namespace = str(found.get("universe_namespace") or DEFAULT_NAMESPACE)
    return ExportFile(namespace, int(found.get("universe_version") or 0), records, others)


def _with_timespan(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the two times of a record by one timespan."""
    if "datetime_begin" not in row and "datetime_end" not in row:
        return row
    begin, end = (_bound(row.pop(name, None)) for name in ("datetime_begin", "datetime_end"))
    row[TIMESPAN] = EMPTY if isinstance(begin, _Bound) or isinstance(end, _Bound) else Timespan.of(begin, end)
    return row


def _bound(value: Any) -> Any:
    if isinstance(value, datetime.date):  # pragma: no cover (the loader makes none)
        raise TypeError(value)
    return clipped(value) if isinstance(value, int) else value


# -- older universes ----------------------------------------------------------


def converted(file: ExportFile, universe: Universe, offset_s: Callable[[str, int], int | None]) -> Records:
    """Return the records of a file as the universe of a registry wants them.

    Parameters
    ----------
    file : `ExportFile`
        The file.
    universe : `Universe`
        Universe of the registry.
    offset_s : callable
        Returns when a day of observation (YYYYMMDD) of an instrument begins, in seconds after 0 h TAI; `None` where
        nobody knows.

    Returns
    -------
    records : `dict` [`str`, `list` [`dict`]]
        Records by element, in the order in which they can be inserted.

    Raises
    ------
    ConfigurationError
        The file comes from a universe of another namespace, or has elements that this universe does not have.
    """
    if file.namespace != universe.namespace:
        message = (
            f"The records come from a universe {file.namespace}, and the registry has a universe {universe.namespace}."
        )
        raise ConfigurationError(message, hint="Records can only be moved between universes of one namespace.")
    records: Records = {name: [dict(row) for row in rows] for name, rows in file.records.items()}
    if file.universe_version < universe.version:
        _systems(records, universe)
        _days_and_groups(records, universe, offset_s)
    unknown = [name for name in records if name not in universe]
    if unknown:
        message = f"Universe {universe.namespace} {universe.version} has no {', '.join(unknown)}."
        hint = f"The records come from universe {file.universe_version}; migrate the registry first."
        raise ConfigurationError(message, hint=hint)
    return {e.name: records[e.name] for e in universe if e.name in records and e.has_table}


def _systems(records: Records, universe: Universe) -> None:
    """Turn the visit systems of visits and definitions into memberships (universe 2)."""
    if "visit_system_membership" not in universe:
        return
    members = records.setdefault("visit_system_membership", [])
    for row in (*records.get("visit", ()), *records.get("visit_definition", ())):
        system = row.pop("visit_system", None)
        if system is not None:
            visit = row["id"] if "id" in row else row["visit"]
            member = {"instrument": row["instrument"], "visit_system": system, "visit": visit}
            if member not in members:
                members.append(member)
    for row in records.get("visit", ()):
        row.pop("seeing", None)
    if not members:
        del records["visit_system_membership"]


def _days_and_groups(records: Records, universe: Universe, offset_s: Callable[[str, int], int | None]) -> None:
    """Make records of groups and days of observation from fields of exposures and visits (universe 6)."""
    if "day_obs" not in universe or "group" not in universe:
        return
    seen = {
        element: {tuple(row[n] for n in ("instrument", key)) for row in records.get(element, ())}
        for element, key in (("group", "name"), ("day_obs", "id"))
    }

    def add(element: str, instrument: str, value: Any) -> None:
        if value is not None and (instrument, value) not in seen[element]:
            seen[element].add((instrument, value))
            row = {"instrument": instrument, "name": value}
            new = row if element == "group" else day_obs_record(instrument, value, offset_s)
            records.setdefault(element, []).append(new)

    for row in records.get("exposure", ()):
        if "group_name" in row:
            row["group"] = row.pop("group_name")
        row.pop("group_id", None)
        add("group", row["instrument"], row.get("group"))
    for row in records.get("visit", ()):
        if row.get("day_obs") is None and row.get(TIMESPAN) is not None:
            row["day_obs"] = day_of(row[TIMESPAN].begin_ns, row["instrument"], offset_s)
    for name in ("exposure", "visit"):
        for row in records.get(name, ()):
            add("day_obs", row["instrument"], row.get("day_obs"))


def day_obs_record(instrument: str, day: int, offset_s: Callable[[str, int], int | None]) -> dict[str, Any]:
    """Return the record of a day of observation; its timespan is NULL where nobody knows when the day begins."""
    offset = offset_s(instrument, day)
    timespan = None
    if offset is not None:
        start = parse_time(f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}", "tai")
        begin = start + offset * 1_000_000_000
        timespan = Timespan.of(begin, begin + 86_400_000_000_000)
    return {"instrument": instrument, "id": day, TIMESPAN: timespan}


def day_of(tai_ns: int, instrument: str, offset_s: Callable[[str, int], int | None]) -> int | None:
    """Return the day of observation of a time, `None` where nobody knows when the days of an instrument begin."""
    day = int(str(format_time(tai_ns, "tai"))[:10].replace("-", ""))
    offset = offset_s(instrument, day)
    if offset is None:
        return None
    return int(str(format_time(max(tai_ns - offset * 1_000_000_000, 0), "tai"))[:10].replace("-", ""))


# -- writing ------------------------------------------------------------------


class _Tagged(str):
    """A time of the Butler."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        del data
        return True


class _RegionNode(bytes):
    """A region."""

    __slots__ = ()


_Dumper.add_representer(_Tagged, lambda d, v: d.represent_scalar(_TIME, str(v)))
_Dumper.add_representer(
    _RegionNode,
    lambda d, v: d.represent_mapping(f"lsst.sphgeom.{_REGIONS.get(v[:1], 'Region')}", {"encoded": bytes(v).hex()}),
)


def write_export(
    stream: IO[str], universe: Universe, records: Iterable[tuple[str, Iterable[Mapping[str, Any]]]]
) -> int:
    """Write an export file, one record after the other.

    Parameters
    ----------
    stream : file
        Where to.
    universe : `Universe`
        Universe of the registry.
    records : `~collections.abc.Iterable` of pairs
        Elements and their records.

    Returns
    -------
    records : `int`
        How many records were written.
    """
    stream.write(
        f"description: {_DESCRIPTION}\nversion: {VERSION}\nuniverse_version: {universe.version}\n"
        f"universe_namespace: {universe.namespace}\n"
    )
    number, begun = 0, False
    for element, rows in records:
        first = True
        for part in chunks(map(_plain, rows), 1000):
            if first:
                stream.write("" if begun else "data:\n")
                stream.write(f"- type: dimension\n  element: {element}\n  records:\n")
                first, begun = False, True
            text = yaml.dump(list(part), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
            stream.write("".join(f"  {line}\n" for line in text.splitlines()))
            number += len(part)
    if not begun:
        stream.write("data: []\n")
    return number


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in row.items():
        if name == TIMESPAN:
            if value is not None:
                # A timespan that ends where it begins is an empty one to the client too.
                begin, end = (_SOME_TIME, _SOME_TIME) if value.empty else (value.begin, value.end)
                result |= {"datetime_begin": _stamp(begin), "datetime_end": _stamp(end)}
        elif name == REGION and value is not None:
            result[name] = _RegionNode(value)
        else:
            result[name] = value
    return result


def _stamp(tai_ns: int | None) -> _Tagged | None:
    if tai_ns is None:
        return None
    text = str(format_time(tai_ns, "tai")).replace("T", " ")
    seconds, _, digits = text.partition(".")
    return _Tagged(f"{seconds}.{digits.ljust(9, '0')}")
