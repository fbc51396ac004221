"""Rows of the live ObsCore table, as Butlers compute them from a dataset, its data ID and its dimension records.

Source: what the Butler of 2022 to 2026 writes.  It knows the rules of the dimension universes named ``daf_butler``
only; other universes bring rules of their own, as Python code.
"""

from __future__ import annotations

import base64
import re
import string
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.universe import DEFAULT_NAMESPACE

from .overlaps import decode_region, pixel_region
from .record_reading import find_records
from .record_values import REGION, TIMESPAN, Shape
from .times import tai_to_utc_ns, utc_to_tai_ns
from .timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registrytool.universe import Element

    from .dataset_types import DatasetType
    from .datasets import DatasetId
    from .session import Session

#: Column with the identifier of the dataset.
DATASET = "registry_dataset_id"
#: Fields of a configured dataset type that become columns as they are.
_CONSTANTS = ("dataproduct_type", "dataproduct_subtype", "o_ucd", "calib_level", "access_format")
_NS_PER_DAY = 86_400 * 10**9
#: The day 1970-01-01 as Modified Julian Date.
_MJD_1970 = 40587
_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: bool(int(text)),
    "int": int,
    "float": float,
    "string": str,
}


class _Record:
    """A dimension record, whose fields are attributes."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self._name = name
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields or name in (REGION, TIMESPAN):
            message = f"it uses the field {name} of {self._name}, of which registrytool cannot make text"
            raise _TemplateError(message)
        return self._fields[name]


class _TemplateError(Exception):
    """A template asks for something that there is not."""


class _Formatter(string.Formatter):
    """The template language, without access to what is no field of a record."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if "._" in field_name or "[_" in field_name:
            message = f"it uses {field_name}, which is no field"
            raise _TemplateError(message)
        return super().get_field(field_name, args, kwargs)


class RowMaker:
    """Makes rows for the datasets of one dataset type.

    Parameters
    ----------
    session : `Session`
        The open registry.
    config : `~collections.abc.Mapping`
        Configuration of the table.
    table : `sqlalchemy.Table`
        The table.
    dataset_type : `DatasetType`
        The dataset type, which the configuration names.

    Raises
    ------
    RegistryStateError
        The universe has rules of its own.
    """

    def __init__(self, session: Session, config: Mapping[str, Any], table: sa.Table, dataset_type: DatasetType) -> None:
        universe = session.universe
        if universe.namespace != DEFAULT_NAMESPACE:
            message = f"registrytool does not know how ObsCore rows are made for the universe {universe.namespace}."
            raise RegistryStateError(message, hint="Its own Butler must write them.")
        self._session, self._config, self._table, self._type = session, config, table, dataset_type
        self._own: Mapping[str, Any] = config["dataset_types"][dataset_type.name]
        self._extra = {**(config.get("extra_columns") or {}), **(self._own.get("extra_columns") or {})}
        self._formatter = _Formatter()
        group = set(dataset_type.all_dimensions)
        self._elements = [e for e in universe if set(e.required) <= group]
        self._spatial = self._family("spatial")
        self._temporal = self._family("temporal")
        self._pixels = [n for n in dataset_type.all_dimensions if n not in universe]
        self._needed = self._needed_elements()
        #: Element of which exposures have the regions, through their visits.
        self._regions: str | None = None
        if "exposure" in group:
            self._regions = "visit_detector_region" if "detector" in group else "visit"

    def _family(self, kind: str) -> list[str]:
        """Return the elements that say where, or when, a data ID is: of each family the first one that it has."""
        names = {e.name for e in self._elements}
        families = (self._session.universe.config.get("topology") or {}).get(kind) or {}
        chosen = (next((m for m in members if m in names), None) for members in families.values())
        return [name for name in chosen if name is not None]

    def _needed_elements(self) -> list[Element]:
        texts = [str(self._own.get(n) or "") for n in ("obs_id_fmt", "datalink_url_fmt")]
        texts.append(str(self._config.get("obs_publisher_did_fmt") or ""))
        texts += [str(v["template"]) for v in self._extra.values() if isinstance(v, dict)]
        named = {name for text in texts for name in re.findall(r"records\[(\w+)\]", text)}
        named |= {"exposure", "visit", *self._spatial, *self._temporal}
        return [e for e in self._elements if e.name in named or e.implied]

    def reads(self, element: Element) -> bool:
        """Return whether values of the records of an element that data IDs name are in the rows."""
        return element in self._needed

    def takes_regions_from(self, element: Element) -> bool:
        """Return whether the regions in the rows are those of visits, and an element decides which they are."""
        sources = ("visit_definition", self._regions)
        return self._regions is not None and element.name in sources and sources[0] in self._session.universe

    def rows(self, datasets: Sequence[tuple[DatasetId, str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Make the rows of some datasets.

        Parameters
        ----------
        datasets : sequence of `tuple`
            Identifier, name of the run, and the values of the required dimensions.

        Returns
        -------
        rows : `list` [`dict`]
            A value for each column.

        Raises
        ------
        RegistryStateError
            A template asks for what there is not, or its text has not the type of the column.
        ConfigurationError
            There are regions, and lsst-sphgeom is not installed.
        """
        data_ids = [dict(data_id) for _, _, data_id in datasets]
        records = self._records(data_ids)
        derived = self._regions_of_exposures(data_ids)
        result = []
        for (identifier, run, _), data_id, own in zip(datasets, data_ids, records, strict=True):
            row: dict[str, Any] = {column.name: None for column in self._table.c}
            row.update(self._generic(identifier, run, data_id, own))
            row.update(self._specific(data_id, own))
            region = derived.get(self._exposure_key(data_id)) if own.get("exposure") else self._region(data_id, own)
            row.update(self._where_on_sky(region))
            row[DATASET] = identifier
            result.append({name: value for name, value in row.items() if name in self._table.c})
        return result

    def _records(self, data_ids: Sequence[dict[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        """Return the records of data IDs, which get the values of implied dimensions."""
        result: list[dict[str, dict[str, Any]]] = [{} for _ in data_ids]
        known, waiting = set(self._type.dimensions), list(self._needed)
        while ready := [e for e in waiting if set(e.required) <= known]:
            for element in ready:
                waiting.remove(element)
                self._load(element, data_ids, result)
                known.update(element.implied)
        return result

    def _load(
        self, element: Element, data_ids: Sequence[dict[str, Any]], result: Sequence[dict[str, dict[str, Any]]]
    ) -> None:
        keys = [tuple(data_id.get(n) for n in element.required) for data_id in data_ids]
        found: Mapping[tuple[Any, ...], Any] = {}
        if element.has_table:
            found = find_records(
                self._session, Shape.of(self._session.universe, element.name), {k for k in keys if None not in k}
            )
        for data_id, key, own in zip(data_ids, keys, result, strict=True):
            record = found.get(key)
            if record is not None:
                own[element.name] = record
                data_id.update({n: record[n] for n in element.implied})

    # -- what does not depend on the universe ----------------------------------

    def _generic(
        self, identifier: DatasetId, run: str, data_id: Mapping[str, Any], records: Mapping[str, Any]
    ) -> dict[str, Any]:
        own, config = self._own, self._config
        row: dict[str, Any] = {name: own.get(name) for name in _CONSTANTS}
        chosen = own.get("obs_collection")
        row["obs_collection"] = config.get("obs_collection") if chosen is None else chosen
        if own.get("s_xel") is not None:
            row["s_xel1"], row["s_xel2"] = own["s_xel"]
        words: dict[str, Any] = {
            "records": {name: _Record(name, fields) for name, fields in records.items()},
            **data_id,
            "id": identifier,
            "run": run,
            "dataset_type": self._type.name,
            **row,
        }
        if "exposure" in words:
            words.setdefault("visit", words["exposure"])
        if own.get("obs_id_fmt"):
            words["obs_id"] = row["obs_id"] = self._text(own["obs_id_fmt"], words)
        if own.get("datalink_url_fmt"):
            row["access_url"] = self._text(own["datalink_url_fmt"], words)
        if config.get("obs_publisher_did_fmt"):
            row["obs_publisher_did"] = self._text(config["obs_publisher_did_fmt"], words)
        for name, value in self._extra.items():
            if not isinstance(value, dict):
                row[name] = value
                continue
            try:
                text = self._formatter.format(str(value["template"]), **words)
                row[name] = _CONVERSIONS[str(value.get("type", "string"))](text)
            except KeyError:
                # A dimension that this dataset type has not.
                row.setdefault(name, None)
            except (_TemplateError, ValueError, IndexError, AttributeError) as error:
                raise self._refused(str(value["template"]), error) from error
        return row

    def _text(self, template: str, words: Mapping[str, Any]) -> str:
        try:
            return self._formatter.format(template, **words)
        except KeyError as error:
            raise self._refused(template, f"there is no {error.args[0]}") from error
        except (_TemplateError, ValueError, IndexError, AttributeError) as error:
            raise self._refused(template, error) from error

    def _refused(self, template: str, reason: object) -> RegistryStateError:
        message = f"The ObsCore template {template!r} does not fit datasets of type {self._type.name!r}: {reason}."
        return RegistryStateError(message, hint="The configuration is the attribute config:obscore.json.")

    # -- what does -----------------------------------------------------------------

    def _specific(self, data_id: Mapping[str, Any], records: Mapping[str, Any]) -> dict[str, Any]:
        config, row = self._config, {}
        instrument = data_id.get("instrument", config.get("fallback_instrument"))
        row["instrument_name"] = instrument
        facilities = config.get("facility_map") or {}
        row["facility_name"] = facilities.get(instrument or "", config.get("facility_name"))
        time = self._time(records)
        if time is not None and not time.empty:
            row["t_min"] = None if time.begin is None else _mjd(time.begin)
            row["t_max"] = None if time.end is None else _mjd(time.end)
        observation = records.get("exposure") or records.get("visit")
        if observation is not None:
            row["t_exptime"], row["target_name"] = observation["exposure_time"], observation["target_name"]
        if "band" in self._type.all_dimensions:
            ranges = config.get("spectral_ranges") or {}
            label = data_id.get("physical_filter")
            found = (ranges.get(label) if label is not None else None) or ranges.get(data_id.get("band"))
            if found:
                row["em_min"], row["em_max"] = found
            row["em_filter_name"] = data_id.get("band")
        return row

    def _time(self, records: Mapping[str, Any]) -> Timespan | None:
        times = [records.get(name, {}).get(TIMESPAN) for name in self._temporal]
        if not times or any(time is None for time in times):
            return None
        return Timespan(max(t.begin_ns for t in times), min(t.end_ns for t in times))

    def _region(self, data_id: Mapping[str, Any], records: Mapping[str, Any]) -> Any:
        """Return the region of a data ID; `None` as well if there are several, of which no columns can be made."""
        if len(self._spatial) + bool(self._pixels) != 1:
            return None
        if self._spatial:
            encoded = records.get(self._spatial[0], {}).get(REGION)
            return None if encoded is None else decode_region(encoded, "make ObsCore rows")
        name = max(self._pixels, key=lambda n: int(re.sub(r"\D", "", n)))
        return pixel_region(self._session.universe, name, data_id[name])

    def _exposure_key(self, data_id: Mapping[str, Any]) -> tuple[Any, ...]:
        names = ("instrument", "exposure", "detector") if "detector" in data_id else ("instrument", "exposure")
        return tuple(data_id[n] for n in names)

    def _regions_of_exposures(self, data_ids: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], Any]:
        """Return the regions of the visits that exposures belong to, of the first one if there are several."""
        session, universe = self._session, self._session.universe
        if self._regions is None or "visit_definition" not in universe or self._regions not in universe:
            return {}
        detector = self._regions != "visit"
        definition, regions = session.table("visit_definition"), session.table(self._regions)
        visit = regions.c.visit if detector else regions.c.id
        keys = {self._exposure_key(data_id) for data_id in data_ids}
        wanted: dict[Any, list[Any]] = defaultdict(list)
        for key in keys:
            wanted[key[0]].append(key[1])
        columns = [definition.c.instrument, definition.c.exposure, *([regions.c.detector] if detector else [])]
        found: dict[tuple[Any, ...], Any] = {}
        for instrument, exposures in wanted.items():
            query = (
                sa.select(*columns, regions.c.region)
                .select_from(
                    definition.join(
                        regions, sa.and_(regions.c.instrument == definition.c.instrument, visit == definition.c.visit)
                    )
                )
                .where(definition.c.instrument == instrument, definition.c.exposure.in_(sorted(set(exposures))))
                .order_by(visit)
            )
            for row in session.rows(query):
                values = list(row)
                place, encoded = tuple(values[:-1]), values[-1]
                if encoded is not None and place in keys and place not in found:
                    found[place] = decode_region(base64.b64decode(encoded), "make ObsCore rows")
        return found

    def _where_on_sky(self, region: Any) -> dict[str, Any]:
        """Return the spatial columns; of a region that is no polygon Butlers make none."""
        if region is None:
            return {}
        from lsst.sphgeom import ConvexPolygon, LonLat

        if not isinstance(region, ConvexPolygon):
            return {}
        circle = region.getBoundingCircle()
        center = LonLat(circle.getCenter())
        corners = [LonLat(vertex) for vertex in region.getVertices()]
        degrees = (f"{c.getLon().asDegrees():.6f} {c.getLat().asDegrees():.6f}" for c in corners)
        row: dict[str, Any] = {
            "s_ra": center.getLon().asDegrees(),
            "s_dec": center.getLat().asDegrees(),
            "s_fov": circle.getOpeningAngle().asDegrees() * 2,
            "s_region": f"POLYGON ICRS {' '.join(degrees)}",
        }
        for plugin in (self._config.get("spatial_plugins") or {}).values():
            if "pgsphere" in str(plugin.get("cls", "")).lower():
                settings = plugin.get("config") or {}
                row[settings.get("position_column") or "pgsphere_position"] = _point(center)
                row[settings.get("region_column") or "pgsphere_region"] = f"{{{','.join(map(_point, corners))}}}"
        return row


def _point(place: Any) -> str:
    return f"({place.getLon().asRadians()},{place.getLat().asRadians()})"


def _mjd(tai_ns: int) -> float:
    """Return a time as Modified Julian Date in UTC, of which a day with a leap second has longer seconds."""
    day = tai_to_utc_ns(tai_ns) // _NS_PER_DAY
    if tai_ns < utc_to_tai_ns(day * _NS_PER_DAY):
        day -= 1
    begin, end = (utc_to_tai_ns(d * _NS_PER_DAY) for d in (day, day + 1))
    return ((day + _MJD_1970) * (end - begin) + tai_ns - begin) / (end - begin)
