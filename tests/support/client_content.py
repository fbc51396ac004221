#!/usr/bin/env python3
"""Print as JSON what the installed Butler client sees in a repository.

Run by the Python of a client environment (``lsst-daf-butler`` 25.2023.600 to
30.2026.4300), never by the tests themselves: it needs nothing but the client.
What has no client API (dates of ingest, rows of the datastore, attributes, row
counts) is read by SQL. Everything is sorted, so equal repositories give equal
text. ``content.py`` compares two such dumps.

Times are integer ns since 1970-01-01 00:00 TAI, unbounded ends null, empty
timespans ``"empty"``; regions and hashes are base64, as in the database.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import itertools
import json
import logging
import sys
import uuid
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FORMAT_VERSION = 1
EPOCH_JD = 2440587.5
"""Julian date of 1970-01-01 00:00, from which the Butler counts (TAI)."""
MAX_NS = 4102444800000000000
"""2100-01-01 TAI, the Butler's unbounded end."""
MICROSECONDS_PER_HALF_DAY = 43_200_000_000

JOINS: tuple[tuple[str, ...], ...] = (
    ("instrument", "visit", "detector", "skymap", "tract"),
    ("instrument", "visit", "skymap", "tract", "patch"),
    ("instrument", "visit", "htm7"),
    ("instrument", "exposure", "visit"),
    ("instrument", "exposure", "detector", "band"),
    ("skymap", "tract", "band", "subfilter"),
)
"""Data IDs whose query needs overlap tables, or tables that relate elements."""


def utc_to_tai_ns(texts: Sequence[str]) -> list[int]:
    """Convert UTC timestamps of whole microseconds, exactly.

    Parameters
    ----------
    texts : `~collections.abc.Sequence` [`str`], shape (n,)
        ``YYYY-MM-DD HH:MM:SS[.ffffff]``.

    Returns
    -------
    tai_ns : `list` [`int`], shape (n,)
        Nanoseconds since 1970-01-01 00:00 TAI.
    """
    if not texts:
        return []
    time = importlib.import_module("astropy.time")
    tai = time.Time(list(texts), format="iso", scale="utc").tai
    result = []
    for jd1, jd2 in zip(tai.jd1.tolist(), tai.jd2.tolist(), strict=True):
        # The first part is a multiple of half a day, the second at most half a
        # day: a float resolves it to 5 picoseconds.
        half_days = round((jd1 - EPOCH_JD) * 2)
        rest = jd1 - EPOCH_JD - half_days / 2 + jd2
        result.append((half_days * MICROSECONDS_PER_HALF_DAY + round(rest * 86_400e6)) * 1000)
    return result


class Database:
    """Read access to the tables of a registry.

    Parameters
    ----------
    repo
        Folder of the repository; its ``butler.yaml`` says where the registry is.
    """

    def __init__(self, repo: str) -> None:
        yaml = importlib.import_module("yaml")
        root = Path(repo).resolve()
        registry = yaml.safe_load((root / "butler.yaml").read_text(encoding="utf-8"))["registry"]
        url = registry["db"].replace("<butlerRoot>", str(root))
        if url.startswith("postgresql:"):
            # SQLAlchemy 2.1 would take psycopg 3, which clients do not install.
            url = url.replace("postgresql:", "postgresql+psycopg2:", 1)
        self.engine = sqlalchemy.create_engine(url)
        self.namespace: str | None = registry.get("namespace")
        self.tables = set(sqlalchemy.inspect(self.engine).get_table_names(schema=self.namespace))

    def columns(self, table: str) -> set[str]:
        """Return the names of the columns of a table."""
        return {c["name"] for c in sqlalchemy.inspect(self.engine).get_columns(table, schema=self.namespace)}

    def rows(self, columns: str, table: str, rest: str = "") -> list[dict[str, Any]]:
        """Return selected columns of a table, as mappings."""
        schema = f'"{self.namespace}".' if self.namespace else ""
        with self.engine.connect() as connection:
            sql = sqlalchemy.text(f'SELECT {columns} FROM {schema}"{table}" {rest}')
            return [dict(row) for row in connection.execute(sql).mappings()]

    def counts(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        return {t: int(self.rows("COUNT(*) AS n", t)[0]["n"]) for t in sorted(self.tables)}


def plain(value: Any) -> Any:
    """Make a value of a record or row fit for JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    if type(value).__module__.startswith("lsst.sphgeom"):
        return base64.b64encode(value.encode()).decode()
    if type(value).__name__ == "Timespan":
        return span_of(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def span_of(value: Any) -> Any:
    """Return the bounds of a client timespan in ns, None where unbounded."""
    bounds = getattr(value, "nsec", None) or value._nsec
    return span(*(int(b) for b in bounds))


def span(begin: int | None, end: int | None) -> Any:
    """Write bounds in the one way that both databases share."""
    if begin is not None and end is not None and begin >= end:
        return "empty"
    unbounded = begin is None or begin <= 0, end is None or end >= MAX_NS
    return [None if unbounded[0] else begin, None if unbounded[1] else end]


def by_json(item: Any) -> str:
    """Key for sorting anything that JSON can hold."""
    return json.dumps(item, sort_keys=True)


def names(group: Any) -> list[str]:
    """Return the sorted names in a set of dimensions, objects or names."""
    return sorted(getattr(d, "name", d) for d in group)


def open_butler(repo: str, *, writeable: bool = False) -> Any:
    """Open a repository, in the way of the installed client."""
    api = importlib.import_module("lsst.daf.butler")
    make: Callable[..., Any] = getattr(api.Butler, "from_config", None) or api.Butler
    return make(repo, writeable=writeable)


def static_elements(universe: Any) -> list[Any]:
    """Return the elements of a universe without skypix dimensions."""
    get = getattr(universe, "getStaticElements", None)
    elements = get() if get is not None else universe.elements
    return [e for e in elements if type(e).__name__ != "SkyPixDimension"]


class Reader:
    """Collects the content of one repository.

    Parameters
    ----------
    repo
        Folder of the repository.
    """

    def __init__(self, repo: str) -> None:
        self.api = importlib.import_module("lsst.daf.butler")
        self.database = Database(repo)
        self.butler = open_butler(repo)
        self.registry = self.butler.registry
        self.kinds = {n: self.registry.getCollectionType(n) for n in self.registry.queryCollections()}
        types = [t for t in self.registry.queryDatasetTypes(...) if not t.isComponent()]
        self.types = {t.name: t for t in sorted(types, key=lambda t: t.name)}
        self.refs: dict[str, Any] = {}
        self.certified: list[tuple[str, Any, Any]] = []

    def content(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        attributes = {r["name"]: r["value"] for r in self.database.rows("*", "butler_attributes")}
        universe = self.registry.dimensions
        content: dict[str, Any] = {
            "format": "registrytool-client-content",
            "format_version": FORMAT_VERSION,
            "client": metadata.version("lsst-daf-butler"),
            "universe": {"namespace": universe.namespace, "version": universe.version},
            "managers": managers(attributes),
            "attributes": digest_long(attributes),
            "records": self.records(),
            "dataset_types": self.dataset_types(),
            "collections": self.collections(),
            **self.datasets(),
            "summaries": self.summaries(),
            "datastore": self.datastore(),
            "obscore": self.obscore(attributes),
            "files": self.files(),
            "queries": self.queries(),
            "row_counts": self.database.counts(),
        }
        return content

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Return the records of every dimension element with all their fields."""
        result = {}
        for element in static_elements(self.registry.dimensions):
            fields = element.RecordClass.fields.names
            records = [
                {f: plain(getattr(r, f)) for f in fields} for r in self.registry.queryDimensionRecords(element.name)
            ]
            result[element.name] = sorted(records, key=by_json)
        return result

    def dataset_types(self) -> dict[str, dict[str, Any]]:
        """Return the definitions of all dataset types."""
        return {
            name: {
                "required": names(t.dimensions.required),
                "implied": names(t.dimensions.implied),
                "storage_class": t.storageClass_name,
                "is_calibration": t.isCalibration(),
            }
            for name, t in self.types.items()
        }

    def collections(self) -> dict[str, dict[str, Any]]:
        """Return all collections with docs, chains, parents, and what runs carry."""
        # As stored: some clients say None for an empty text.
        docs = {r["name"]: r["doc"] for r in self.database.rows("name, doc", "collection")}
        hosts = self.run_rows()
        result = {}
        for name, kind in sorted(self.kinds.items()):
            if (self.registry.getCollectionDocumentation(name) or None) != (docs[name] or None):
                raise RuntimeError(f"the client reads another documentation of {name}")
            item: dict[str, Any] = {"type": kind.name, "doc": docs[name]}
            if kind is self.api.CollectionType.CHAINED:
                item["children"] = list(self.registry.getCollectionChain(name))
            if kind is self.api.CollectionType.RUN:
                item.update(hosts[name])
            item["parents"] = sorted(self.registry.getCollectionParentChains(name))
            result[name] = item
        return result

    def run_rows(self) -> dict[str, dict[str, Any]]:
        """Return host and timespan of each run, which no client shows."""
        if self.database.engine.dialect.name == "sqlite":
            times = "run.timespan_begin AS b, run.timespan_end AS e"
        else:
            times = "lower(run.timespan) AS b, upper(run.timespan) AS e"
        schema = f'"{self.database.namespace}".' if self.database.namespace else ""
        name = "run.name"
        join = ""
        if "collection_id" in self.database.columns("run"):
            name = "collection.name"
            join = f"JOIN {schema}collection ON collection.collection_id = run.collection_id"
        rows = self.database.rows(f"{name} AS name, run.host AS host, {times}", "run", join)
        return {
            r["name"]: {
                "host": r["host"],
                "timespan": None if r["b"] is None and r["e"] is None else span(r["b"], r["e"]),
            }
            for r in rows
        }

    def ingest_dates(self) -> dict[str, int]:
        """Return the date of ingest of each dataset in TAI ns."""
        rows = self.database.rows("id, CAST(ingest_date AS TEXT) AS date", "dataset")
        ids = [str(uuid.UUID(str(r["id"]))) for r in rows]
        dates = [r["date"] for r in rows]
        if all(d.isdigit() for d in dates):
            return dict(zip(ids, map(int, dates), strict=True))
        return dict(zip(ids, utc_to_tai_ns(dates), strict=True))

    def datasets(self) -> dict[str, Any]:
        """Return the datasets of runs, and what is tagged and certified."""
        kind = self.api.CollectionType
        dates = self.ingest_dates()
        runs: dict[str, list[Any]] = {}
        tags: dict[str, list[Any]] = {}
        calibrations: dict[str, list[Any]] = {}
        for name, dataset_type in self.types.items():
            wanted = {kind.RUN, kind.TAGGED}
            if dataset_type.isCalibration():
                wanted.add(kind.CALIBRATION)
            found = self.registry.queryDatasetAssociations(
                dataset_type, collections=..., collectionTypes=wanted, flattenChains=False
            )
            for association in found:
                ref, collection = association.ref, association.collection
                dataset_id = str(ref.id)
                if self.kinds[collection] is kind.RUN:
                    self.refs[dataset_id] = ref
                    data_id = {n: plain(ref.dataId[n]) for n in names(dataset_type.dimensions.required)}
                    runs.setdefault(collection, []).append(
                        {
                            "id": dataset_id,
                            "type": name,
                            "data_id": data_id,
                            "ingest_date_ns": dates.pop(dataset_id),
                        }
                    )
                elif self.kinds[collection] is kind.TAGGED:
                    tags.setdefault(collection, []).append(dataset_id)
                else:
                    calibrations.setdefault(collection, []).append(
                        {"id": dataset_id, "timespan": span_of(association.timespan)}
                    )
                    self.certified.append((collection, ref, association.timespan))
        return {
            "datasets": {c: sorted(v, key=by_json) for c, v in runs.items()},
            "tags": {c: sorted(v) for c, v in tags.items()},
            "calibrations": {c: sorted(v, key=by_json) for c, v in calibrations.items()},
            # Rows of the table that no run lists.
            "datasets_without_run": sorted(dates),
        }

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Return which types and governors each collection has, by the client."""
        result = {}
        for name in self.kinds:
            summary = self.registry.getCollectionSummary(name)
            governors = {getattr(k, "name", k): sorted(v) for k, v in summary.governors.items()}
            result[name] = {
                "dataset_types": names(summary.dataset_types),
                "governors": {k: v for k, v in governors.items() if v},
            }
        return result

    def datastore(self) -> dict[str, Any]:
        """Return the rows of the datastore's tables."""
        result: dict[str, Any] = {}
        for table in ("dataset_location", "dataset_location_trash"):
            result[table] = self.table(table, "dataset_id")
        opaque = [r["table_name"] for r in self.database.rows("table_name", "opaque_meta")]
        result["records"] = {t: self.table(t, "dataset_id") for t in sorted(opaque)}
        return result

    def table(self, name: str, id_column: str) -> list[dict[str, Any]]:
        """Return all rows of a table, with its dataset identifiers normalised."""
        rows = []
        for row in self.database.rows("*", name):
            item = {k: plain(v) for k, v in row.items()}
            item[id_column] = str(uuid.UUID(str(row[id_column])))
            rows.append(item)
        return sorted(rows, key=by_json)

    def obscore(self, attributes: dict[str, str]) -> list[dict[str, Any]] | None:
        """Return the rows of the ObsCore table, if the registry has one."""
        if "config:obscore.json" not in attributes:
            return None
        config = json.loads(attributes["config:obscore.json"])
        return self.table(config["table_name"], "registry_dataset_id")

    def files(self) -> dict[str, Any]:
        """Return the content of each stored dataset, read through the client."""
        stored = {r["dataset_id"] for r in self.table("dataset_location", "dataset_id")}
        # Until early 2023, get did not take a reference for granted.
        get = getattr(self.butler, "getDirect", None) or self.butler.get
        result = {}
        for dataset_id in sorted(stored):
            try:
                result[dataset_id] = json.loads(json.dumps(get(self.refs[dataset_id]), default=repr))
            except (FileNotFoundError, LookupError) as error:
                result[dataset_id] = f"{type(error).__name__}"
        return result

    def queries(self) -> dict[str, Any]:
        """Return the results of queries that join several tables."""
        result: dict[str, Any] = {}
        for dimensions in JOINS:
            # A set: older clients return a data ID once per shared htm7 pixel.
            rows = {tuple(plain(d[k]) for k in dimensions) for d in self.registry.queryDataIds(dimensions)}
            result[" ".join(dimensions)] = sorted(map(list, rows), key=by_json)
        for chain, kind in sorted(self.kinds.items()):
            if kind is self.api.CollectionType.CHAINED:
                result[f"find first in {chain}"] = self.find_first(chain)
        result["find certified"] = sorted(
            [collection, str(ref.id), self.find_certified(collection, ref, validity)]
            for collection, ref, validity in self.certified[:100]
        )
        return result

    def find_first(self, chain: str) -> dict[str, list[str]]:
        """Return, per type, the first dataset for each data ID in a chain."""
        result = {}
        for name, dataset_type in self.types.items():
            if dataset_type.isCalibration():
                # Not implemented by clients, for want of a time.
                continue
            found = self.registry.queryDatasets(name, collections=[chain], findFirst=True)
            if ids := sorted({str(ref.id) for ref in found}):
                result[name] = ids
        return result

    def find_certified(self, collection: str, ref: Any, validity: Any) -> str | None:
        """Look a calibration up by data ID and time."""
        found = self.registry.findDataset(ref.datasetType.name, ref.dataId, collections=[collection], timespan=validity)
        return None if found is None else str(found.id)


def managers(attributes: dict[str, str]) -> dict[str, dict[str, str | None]]:
    """Return class and version of each component, as the registry states them."""
    prefix = "config:registry.managers."
    return {
        key.removeprefix(prefix): {"class": value, "version": attributes.get(f"version:{value}")}
        for key, value in attributes.items()
        if key.startswith(prefix)
    }


def digest_long(attributes: dict[str, str]) -> dict[str, str]:
    """Replace configurations by a digest that ignores how the JSON is written."""
    result = {}
    for key, value in attributes.items():
        text = value
        if key.startswith("config:") and key.endswith(".json"):
            canonical = json.dumps(json.loads(value), sort_keys=True)
            text = f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
        result[key] = text
    return result


class ProbeError(RuntimeError):
    """The client could not write, or did not read what it wrote."""


def expect(value: Any, wanted: Any, what: str) -> None:
    """Raise if a value is not the wanted one."""
    if value != wanted:
        raise ProbeError(f"{what}: expected {wanted!r}, found {value!r}")


def write_probe(repo: str) -> None:
    """Write to the repository as an ordinary client does, and read back.

    Parameters
    ----------
    repo : `str`
        Folder of the repository. What is written stays there; the probe can
        be repeated.

    Raises
    ------
    ProbeError
        The client reads something else than it wrote.
    """
    api = importlib.import_module("lsst.daf.butler")
    butler = open_butler(repo, writeable=True)
    registry = butler.registry
    known = {t.name for t in registry.queryDatasetTypes(...)}
    # A level of htm per repetition, so that the dimension group is always new.
    number = next(n for n in itertools.count(1) if f"registrytool_probe_{n}" not in known)
    name = f"registrytool_probe_{number}"
    camera = f"Probe{number}"
    record_data = probe_records(camera)
    for element in static_elements(registry.dimensions):
        if element.name in record_data:
            fields = element.RecordClass.fields.names
            row = {k: v for k, v in record_data[element.name].items() if k in fields}
            registry.insertDimensionData(element.name, row)

    dataset_type = api.DatasetType(
        name,
        ("instrument", "detector", f"htm{number}"),
        "StructuredDataDict",
        universe=registry.dimensions,
        isCalibration=True,
    )
    expect(registry.registerDatasetType(dataset_type), True, "registering a new dataset type")
    run, calibration, tagged, chain = (f"{name}/{c}" for c in ("run", "calib", "tagged", "chain"))
    registry.registerRun(run, doc="probe's “run”")
    registry.registerCollection(calibration, api.CollectionType.CALIBRATION)
    registry.registerCollection(tagged, api.CollectionType.TAGGED)
    registry.registerCollection(chain, api.CollectionType.CHAINED)
    data_id = {"instrument": camera, "detector": 1, f"htm{number}": 8 * 4**number}
    content = {"probe": number}
    ref = butler.put(content, dataset_type, data_id, run=run)
    other = registry.insertDatasets(
        dataset_type, [data_id | {f"htm{number}": 8 * 4**number + i} for i in (1, 2)], run=run
    )
    validity = api.Timespan(None, None)
    registry.certify(calibration, [ref, *other], validity)
    registry.associate(tagged, [ref])
    runs = sorted(c for c in registry.queryCollections() if registry.getCollectionType(c) is api.CollectionType.RUN)
    registry.setCollectionChain(chain, [tagged, run, *[r for r in runs if r != run]])
    registry.removeDatasets(other[1:])

    butler = open_butler(repo, writeable=True)
    registry = butler.registry
    check_probe_records(registry, record_data)
    expect(butler.get(name, data_id, collections=chain), content, "content of a stored dataset")
    found = registry.findDataset(name, data_id, collections=[calibration], timespan=validity)
    expect(found and found.id, ref.id, "certified dataset")
    ids = sorted(str(r.id) for r in registry.queryDatasets(name, collections=[chain], findFirst=True))
    expect(ids, sorted(str(r.id) for r in (ref, other[0])), "datasets in the chain")
    expect(names(registry.getCollectionSummary(run).dataset_types), [name], "summary of the run")
    expect(registry.getCollectionDocumentation(run), "probe's “run”", "documentation")
    joined = {d["exposure"] for d in registry.queryDataIds(("exposure", "detector"), instrument=camera)}
    expect(joined, {record_data["exposure"]["id"]}, "joined exposures")
    butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    expect(registry.findDataset(name, data_id, collections=[run]), None, "removed dataset")
    # Leave something stored behind.
    butler.put(content, dataset_type, data_id, run=run)


def probe_records(camera: str) -> dict[str, dict[str, Any]]:
    """Return one record per observational element, with the fields of all universes."""
    common = {
        "instrument": camera,
        "physical_filter": "p1",
        "day_obs": 20260101,
        # Clients until 26.0.2 write an unbounded timespan where none is given.
        "timespan": importlib.import_module("lsst.daf.butler").Timespan(None, None),
    }
    return {
        "instrument": {"name": camera, "class_name": "no.such.Camera", "visit_system": 0},
        "physical_filter": {"instrument": camera, "name": "p1", "band": "p"},
        "detector": {"instrument": camera, "id": 1, "full_name": "one"},
        "group": {"instrument": camera, "name": "group's “1”"},
        "day_obs": {"instrument": camera, "id": 20260101},
        "visit_system": {"instrument": camera, "id": 0, "name": "one-to-one"},
        "exposure": common
        | {
            "id": 2026010100001,
            "obs_id": "P_1",
            "group": "group's “1”",
            "group_name": "group's “1”",
            "seq_num": 1,
            "observation_type": "science",
            "exposure_time": 30.5,
            "can_see_sky": True,
        },
        "visit": common | {"id": 2026010100001, "name": "V_1", "visit_system": 0, "seq_num": 1},
        "visit_definition": {
            "instrument": camera,
            "exposure": 2026010100001,
            "visit": 2026010100001,
            "visit_system": 0,
        },
        "visit_system_membership": {"instrument": camera, "visit_system": 0, "visit": 2026010100001},
    }


def check_probe_records(registry: Any, record_data: dict[str, dict[str, Any]]) -> None:
    """Read the probe's dimension records back and compare every field."""
    camera = record_data["instrument"]["name"]
    for element in static_elements(registry.dimensions):
        if element.name not in record_data:
            continue
        records = list(registry.queryDimensionRecords(element.name, instrument=camera))
        expect(len(records), 1, f"number of records of {element.name}")
        for field in element.RecordClass.fields.names:
            wanted = record_data[element.name].get(field)
            expect(getattr(records[0], field), wanted, f"{element.name}.{field}")


def write(content: Any, path: str | None) -> None:
    """Write JSON to a file, or to standard output."""
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if path is None:
        sys.stdout.write(text)
        return
    Path(path).write_text(text, encoding="utf-8")


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("repo", help="folder of the repository")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--write-probe", action="store_true", help="afterwards write, and read back")
    options = parser.parse_args(None if arguments is None else list(arguments))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    write(Reader(options.repo).content(), options.output)
    if options.write_probe:
        try:
            write_probe(options.repo)
        except ProbeError as error:
            sys.stderr.write(f"write probe: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
