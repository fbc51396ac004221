#!/usr/bin/env python3
"""Create a Butler repository with the installed client, and fill it.

Run by the Python of a client environment (``lsst-daf-butler`` 25.2023.600 to
30.2026.4300), never by the tests themselves: it needs nothing but the client.
The content follows from ``--seed`` and the dimension universe, so that two
runs, two databases or two clients can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import math
import random
import sqlite3
import sys
import uuid
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
EPOCH_JD = 2440587.5
"""Julian date of 1970-01-01 00:00, from which the Butler counts (TAI)."""

SIXTEEN = "SixteenCharCam-X"
"""As long as universes below 5 allow, which is what step 4 to 5 is about."""

SKY_TYPES = ("science", "object")
OTHER_TYPES = (
    "bias", "dark", "flat", "sky flat", "standard", "domeflat", "dome flat", "zero", "spot",
    "agexp", "focus", "focusing", "exp", "skyexp", "skyflat", "standard_star", "Science", None,
)  # fmt: skip
"""Every type of reference section 10.3 (6 to 7), and three that are in no list."""

SEES_SKY = {
    "science", "object", "standard", "sky flat", "standard_star", "skyflat", "focus", "focusing",
    "exp", "skyexp",
}  # fmt: skip
SEES_NO_SKY = {"dark", "bias", "agexp", "domeflat", "dome flat", "zero", "spot"}


@dataclass(frozen=True)
class Instrument:
    """What the records of one instrument are made of."""

    name: str
    class_name: str
    visit_system: int
    day_offset_s: int | None
    """Start of a day of observation after 00:00 TAI, in s; None if not known."""
    ra_deg: float
    dec_deg: float
    filters: tuple[tuple[str, str], ...]
    nights: tuple[int, ...]
    wide_ids: bool = False
    """Exposure identifiers that need more than 32 bits."""


INSTRUMENTS = (
    # The nights lie on both sides of the change of the day boundary in 2024-05,
    # and of the change to summer time in the United States.
    Instrument(
        "LSSTCam", "lsst.obs.lsst.LsstCam", 2, 43200, 53.0, -28.0,
        (("u_24", "u"), ("g_6", "g"), ("r_57", "r"), ("r_03", "r"), ("ph_5", "white")),
        (20240109, 20240427, 20250630), wide_ids=True,
    ),
    Instrument(
        "HSC", "lsst.obs.subaru.HyperSuprimeCam", 0, 0, 150.0, 2.0,
        (("HSC-G", "g"), ("HSC-R", "r"), ("HSC-R2", "r"), ("NB0387", "N387")),
        (20150630, 20161231, 20170101),
    ),
    Instrument(
        SIXTEEN, "obs.süd.O'Brien.\"Κάμερα\"", 0, None, 150.7, 2.2,
        (("it's r", "r"), ('"white"', "white")),
        (20210228, 20210301, 20240229),
    ),
)  # fmt: skip

DATASET_TYPES: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("task_config", (), False),
    ("camera", ("instrument",), True),
    ("bias", ("instrument", "detector"), True),
    ("flat", ("instrument", "detector", "physical_filter"), True),
    ("transmission", ("instrument", "physical_filter"), True),
    ("raw", ("instrument", "exposure", "detector"), False),
    ("visitSummary", ("instrument", "visit"), False),
    ("calexp", ("instrument", "visit", "detector"), False),
    ("calexpBackground", ("instrument", "visit", "detector"), False),
    ("skyMap", ("skymap",), False),
    ("deepCoadd", ("skymap", "tract", "patch", "band"), False),
    ("dcrCoadd", ("skymap", "tract", "patch", "subfilter"), False),
    ("deepCoadd_directWarp", ("instrument", "visit", "skymap", "tract", "patch"), False),
    ("objectTable_tract", ("skymap", "tract"), False),
    ("ref_cat", ("htm7",), False),
    ("obsolete_type", ("instrument", "visit_system"), False),
)
"""Name, dimensions, and whether a calibration."""

NEW_DATASET_TYPES: dict[int, tuple[tuple[str, tuple[str, ...], bool], ...]] = {
    6: (
        ("nightReport", ("instrument", "day_obs"), False),
        ("quickLook", ("instrument", "group", "detector"), False),
    ),
    8: (("sspResult", ("ssp_hypothesis_table", "ssp_hypothesis_bundle"), False),),
}
"""Those that need a universe of at least that version."""

RUN_ANN_1, RUN_ANN_2 = "u/ann/run/1", "u/ann/run/2"
RUN_COADD, RUN_EMPTY, RUN_SKYMAPS = "coadds/ü/“deep”", "u/ann/empty", "skymaps"
RUN_CALIB_A, RUN_CALIB_B = "calib/gen-A", "calib/gen-B"


def naming(instrument: Instrument) -> str:
    """Return the RUN of the raw data of an instrument."""
    return f"{instrument.name}/raw/all"


def seeded_uuids(seed: int) -> None:
    """Make the client take its random UUIDs from a seeded generator.

    Dataset identifiers come from `uuid.uuid4`, and since October 2025 from a
    function of the client that adds the time of the clock; neither takes a
    seed. Must be called before the client is imported.
    """
    # Two generators: clients name temporary tables by uuid4, more or fewer of
    # them as the database requires.
    rng, rng7 = random.Random(seed), random.Random(seed)  # noqa: S311 - content, not secrets

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=rng.getrandbits(128), version=4)

    uuid.uuid4 = uuid4
    try:
        source = importlib.import_module("lsst.daf.butler._uuid")
    except ImportError:
        return
    start_ms = 1_767_225_600_000  # 2026-01-01
    count = 0

    def uuid7() -> uuid.UUID:
        nonlocal count
        count += 1
        value = rng7.getrandbits(80) & ~(0xF << 76) | (7 << 76)
        value = value & ~(0x3 << 62) | (0x2 << 62)
        return uuid.UUID(int=(start_ms + count) << 80 | value)

    vars(source)["generate_uuidv7"] = uuid7
    for module in list(sys.modules.values()):
        if getattr(module, "generate_uuidv7", None) is not None:
            vars(module)["generate_uuidv7"] = uuid7


def time_at(tai_ns: int) -> Any:
    """Return an astropy time, exact to less than a nanosecond.

    Parameters
    ----------
    tai_ns : `int`
        Nanoseconds since 1970-01-01 00:00 TAI.

    Returns
    -------
    time : `astropy.time.Time`
        The same, in the TAI scale.
    """
    time = importlib.import_module("astropy.time")
    day, rest = divmod(tai_ns, NS_PER_DAY)
    return time.Time(EPOCH_JD + day, rest / NS_PER_DAY, format="jd", scale="tai")


def timespan(begin_ns: int | None, end_ns: int | None) -> Any:
    """Return a client timespan; None means unbounded."""
    butler = importlib.import_module("lsst.daf.butler")
    return butler.Timespan(
        None if begin_ns is None else time_at(begin_ns),
        None if end_ns is None else time_at(end_ns),
    )


def day_start_ns(day_obs: int) -> int:
    """Return 00:00 TAI of a day given as YYYYMMDD, in ns since 1970 TAI."""
    date = datetime.strptime(str(day_obs), "%Y%m%d").replace(tzinfo=UTC)
    return round(date.timestamp()) * NS_PER_S


def box(ra_deg: float, dec_deg: float, half_deg: float) -> Any:
    """Return a small quadrilateral on the sky around a position."""
    sphgeom = importlib.import_module("lsst.sphgeom")
    width = half_deg / math.cos(math.radians(dec_deg))
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return sphgeom.ConvexPolygon(
        [
            sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(ra_deg + x * width, dec_deg + y * half_deg))
            for x, y in corners
        ]
    )


@dataclass
class Records:
    """Dimension records with the fields of all universes, by element."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, element: str, **values: Any) -> dict[str, Any]:
        """Append one record and return it."""
        self.rows.setdefault(element, []).append(values)
        return values

    def of(self, element: str, instrument: str | None = None) -> list[dict[str, Any]]:
        """Return the records of an element, of one instrument if given."""
        rows = self.rows.get(element, [])
        return [r for r in rows if instrument is None or r["instrument"] == instrument]


def make_records(rng: random.Random, universe: int) -> Records:
    """Make all dimension records.

    Parameters
    ----------
    rng : `random.Random`
        Source of everything that varies.
    universe : `int`
        Version of the universe, for what is not just a field more or less.

    Returns
    -------
    records : `Records`
        More fields than any one universe has; see `insert_records`.
    """
    records = Records()
    for instrument in INSTRUMENTS:
        add_instrument(records, instrument)
        add_exposures(records, instrument, rng)
        add_visits(records, instrument, universe)
    add_skymaps(records)
    for table in ("ssp_dia", "ssp's “δ”"):
        records.add("ssp_hypothesis_table", name=table)
        for i in (1, 2**40):
            records.add("ssp_hypothesis_bundle", ssp_hypothesis_table=table, id=i)
            records.add("ssp_balanced_index", ssp_hypothesis_table=table, id=i + 5)
    return records


def add_instrument(records: Records, instrument: Instrument) -> None:
    """Add an instrument, its filters, detectors and visit systems."""
    name = instrument.name
    known = name != SIXTEEN
    records.add(
        "instrument",
        name=name,
        visit_max=2**62 if instrument.wide_ids else 10**7,
        exposure_max=2**62 if instrument.wide_ids else None,
        detector_max=4,
        visit_system=instrument.visit_system if known else None,
        class_name=instrument.class_name,
    )
    for filter_name, band in instrument.filters:
        records.add("physical_filter", instrument=name, name=filter_name, band=band)
    for i in range(4):
        records.add(
            "detector",
            instrument=name,
            id=i,
            full_name=f"R22_S{i // 2}{i % 2}" if known else f"déteçteur “{i}”",
            name_in_raft=f"S{i // 2}{i % 2}" if i < 3 else None,
            raft="R22" if known else None,
            purpose=("SCIENCE", "GUIDER", "x" * 32, None)[i],
        )
    for i, system in enumerate(("one-to-one", "by-group-metadata", "by-seq-start-end")):
        records.add("visit_system", instrument=name, id=i, name=system)


def add_exposures(records: Records, instrument: Instrument, rng: random.Random) -> None:
    """Add the exposures of all nights, with their groups and days."""
    name = instrument.name
    others = iter(OTHER_TYPES[6 * INSTRUMENTS.index(instrument) :])
    groups: set[str] = set()
    for number, night in enumerate(instrument.nights):
        start_ns = day_start_ns(night)
        add_day(records, instrument, night)
        for k in range(5):
            seq_num = 10 * k + 1
            exposure_id = night * 100_000 + seq_num if instrument.wide_ids else night % 10**6 * 100 + k
            begin_ns = start_ns + (50_000 + 40 * k) * NS_PER_S + rng.randrange(NS_PER_S)
            group = f"{night}T{k // 2:02d}#1"
            if k == 4:
                # One group of several nights, with what SQL must quote.
                group = "O'Brien's \"group\" — δ"
            if group not in groups:
                groups.add(group)
                records.add("group", instrument=name, name=group)
            kind = next(others) if k in (1, 4) else SKY_TYPES[k % 2]
            sees = True if kind in SEES_SKY else False if kind in SEES_NO_SKY else None
            full = k != 1
            records.add(
                "exposure",
                instrument=name,
                id=exposure_id,
                # The same for all exposures of a visit: clients join on it.
                physical_filter=instrument.filters[(number + k // 2) % len(instrument.filters)][0],
                obs_id=f"{name[:2]}_O_{night}_{seq_num:06d}",
                exposure_time=rng.choice((15.0, 30.0, 0.1)) if full else None,
                dark_time=rng.choice((15.25, 31.0)) if full else None,
                observation_type=kind,
                observation_reason=("science", None, "bias", "naïve “test”; it's 100%", None)[k],
                day_obs=night,
                group=group,
                group_name=group,
                group_id=night * 10 + k if full else None,
                seq_num=seq_num if k != 4 else None,
                seq_start=(10 * (k - k % 2) + 1) if full else None,
                seq_end=seq_num if full else None,
                target_name=rng.choice(("COSMOS", "ECDFS", "β Cen")) if full else None,
                science_program=rng.choice(("BLOCK-T17", "survey", "o'clock")) if full else None,
                tracking_ra=round(instrument.ra_deg + k * 0.3, 6) if full else None,
                tracking_dec=round(instrument.dec_deg, 6) if full else None,
                sky_angle=rng.uniform(0, 360) if full else None,
                azimuth=round(rng.uniform(0, 360), 3) if full else None,
                zenith_angle=round(rng.uniform(0, 90), 3) if full else None,
                has_simulated=k == 3 if full else None,
                # A value that the rule of step 6 to 7 would not give must stay.
                can_see_sky=False if k == 3 else sees,
                timespan=None if k == 1 and night % 2 else timespan(begin_ns, begin_ns + 31 * NS_PER_S),
            )


def add_day(records: Records, instrument: Instrument, day_obs: int) -> None:
    """Add a day of observation, as far as known with its timespan."""
    offset_s = instrument.day_offset_s
    if offset_s is None and day_obs % 2:
        offset_s = 3600
    elif instrument.name == "LSSTCam" and day_obs < 20240501:
        # Then the days began by Pacific time.
        offset_s = 25200 if day_obs > 20240310 else 28800
    span = None
    if offset_s is not None:
        begin_ns = day_start_ns(day_obs) + offset_s * NS_PER_S
        span = timespan(begin_ns, begin_ns + NS_PER_DAY)
    records.add("day_obs", instrument=instrument.name, id=day_obs, timespan=span)


def add_visits(records: Records, instrument: Instrument, universe: int) -> None:
    """Add visits of one exposure (system 0), of two (the instrument's own), and one of none."""
    name = instrument.name
    for night in instrument.nights:
        sky = [e for e in records.of("exposure", name) if e["day_obs"] == night and e["observation_type"] in SKY_TYPES]
        for k, exposure in enumerate(sky):
            visit_id = exposure["id"]
            add_visit(records, instrument, [exposure], visit_id, 0, number=k)
            if k == 0 and universe >= 2:
                # The same visit in a second system; before, a visit had only one.
                define_visit(records, name, [exposure], visit_id, 1)
        add_visit(records, instrument, sky[1:], sky[1]["id"] + 50, 2, number=5)
    # A day that no exposure has: the day_obs record must come from here.
    lonely = 20230228
    add_day(records, instrument, lonely)
    template = records.of("exposure", name)[1] | {"day_obs": lonely, "seq_num": None}
    visit = add_visit(records, instrument, [template], 7, 0, number=9, defined=False)
    visit["name"] = 'visit “7” of O\'Brien "only"'
    if universe >= 3:
        visit["observation_reason"] = "an observation reason that needs more than 32 characters: ∞"


def add_visit(
    records: Records,
    instrument: Instrument,
    exposures: Sequence[dict[str, Any]],
    visit_id: int,
    system: int,
    *,
    number: int,
    defined: bool = True,
) -> dict[str, Any]:
    """Add one visit with its regions; ``number`` decides what is NULL."""
    name = instrument.name
    first = exposures[0]
    numbers = [e["seq_num"] for e in exposures if e["seq_num"] is not None]
    ra_deg, dec_deg = instrument.ra_deg + 0.4 * (number % 3), instrument.dec_deg + 0.1 * (number % 2)
    has_region = number != 9
    spans = [e["timespan"] for e in exposures if e["timespan"] is not None]
    visit = records.add(
        "visit",
        instrument=name,
        id=visit_id,
        physical_filter=first["physical_filter"],
        visit_system=system,
        name=f"{name}-{visit_id}",
        day_obs=first["day_obs"],
        seq_num=min(numbers, default=None),
        exposure_time=float(30 * len(exposures)) if number else None,
        target_name=first["target_name"],
        observation_reason=first["observation_reason"],
        science_program=first["science_program"],
        seeing=None,
        azimuth=first["azimuth"],
        zenith_angle=first["zenith_angle"],
        region=box(ra_deg, dec_deg, 0.5) if has_region else None,
        timespan=spans[0] if spans else None,
    )
    if defined:
        define_visit(records, name, exposures, visit_id, system)
    if has_region:
        for detector in (0, 1):
            records.add(
                "visit_detector_region",
                instrument=name,
                visit=visit_id,
                detector=detector,
                region=box(ra_deg - 0.25 + 0.5 * detector, dec_deg, 0.23),
            )
    return visit


def define_visit(
    records: Records, instrument: str, exposures: Iterable[dict[str, Any]], visit_id: int, system: int
) -> None:
    """Say which exposures a visit is made of, in one visit system."""
    for exposure in exposures:
        records.add(
            "visit_definition",
            instrument=instrument,
            exposure=exposure["id"],
            visit_system=system,
            visit=visit_id,
        )
    records.add("visit_system_membership", instrument=instrument, visit_system=system, visit=visit_id)


def add_skymaps(records: Records) -> None:
    """Add sky maps that the visits overlap, and the subfilters of two bands."""
    for name, ra_deg, dec_deg in (("rings_v1", 150.4, 2.1), ("karta “ñ” o'sky", 53.2, -28.0)):
        records.add(
            "skymap",
            name=name,
            hash=hashlib.sha1(name.encode(), usedforsecurity=False).digest(),
            tract_max=3,
            patch_nx_max=2,
            patch_ny_max=2 if ra_deg > 100 else None,
        )
        for tract in range(2):
            center_deg = ra_deg + 0.8 * tract
            records.add("tract", skymap=name, id=tract, region=box(center_deg, dec_deg, 0.5))
            for patch in range(4):
                x, y = patch % 2, patch // 2
                region = box(center_deg - 0.25 + 0.5 * x, dec_deg - 0.25 + 0.5 * y, 0.26)
                records.add("patch", skymap=name, tract=tract, id=patch, cell_x=x, cell_y=y, region=region)
        records.add("tract", skymap=name, id=2, region=None)
    for band in ("g", "r"):
        for i in range(2):
            records.add("subfilter", band=band, id=i)


INSERT_ORDER = (
    "instrument", "physical_filter", "subfilter", "detector", "group", "day_obs", "visit_system",
    "exposure", "visit", "visit_definition", "visit_system_membership", "visit_detector_region",
    "skymap", "tract", "patch", "ssp_hypothesis_table", "ssp_hypothesis_bundle",
    "ssp_balanced_index",
)  # fmt: skip


def insert_records(registry: Any, records: Records) -> None:
    """Insert those records and fields that the universe has."""
    elements = {e.name: e for e in static_elements(registry.dimensions)}
    for name in INSERT_ORDER:
        if name not in elements:
            continue
        fields = set(elements[name].RecordClass.fields.names)
        rows: list[dict[str, Any]] = []
        for record in records.of(name):
            row = {k: v for k, v in record.items() if k in fields}
            # Without visit_system, one exposure can define a visit only once.
            if name != "visit_definition" or row not in rows:
                rows.append(row)
        registry.insertDimensionData(name, *rows)


def static_elements(universe: Any) -> list[Any]:
    """Return the elements of a universe, whatever its class offers."""
    get = getattr(universe, "getStaticElements", None)
    return list(get() if get is not None else universe.elements)


def make_repository(options: argparse.Namespace) -> None:
    """Create the empty repository that the options ask for."""
    butler = importlib.import_module("lsst.daf.butler")
    config = butler.Config()
    if options.db:
        config["registry", "db"] = options.db
    if options.namespace:
        config["registry", "namespace"] = options.namespace
    if options.datasets_version:
        config["registry", "managers", "datasets"] = {
            "cls": "lsst.daf.butler.registry.datasets.byDimensions.ByDimensionsDatasetRecordStorageManagerUUID",
            "schema_version": options.datasets_version,
        }
    if options.name_key:
        config["registry", "managers", "collections"] = (
            "lsst.daf.butler.registry.collections.nameKey.NameKeyCollectionManager"
        )
    if options.obscore:
        config["registry", "managers", "obscore"] = {
            "cls": "lsst.daf.butler.registry.obscore.ObsCoreLiveTableManager",
            "config": OBSCORE_CONFIG | ({"spatial_plugins": PGSPHERE} if options.pgsphere else {}),
        }
    # Without forceConfigRoot=False the client would overwrite registry.db.
    butler.Butler.makeRepo(options.repo, config=config, dimensionConfig=options.universe, forceConfigRoot=False)


OBSCORE_CONFIG: dict[str, Any] = {
    "namespace": "daf_butler_obscore",
    "version": 0,
    "table_name": "obscore_live",
    "collection_type": "RUN",
    "collections": ["u/ann/.*", ".*/raw/all"],
    "facility_name": "Rubin's “Süd”",
    "obs_collection": "TEST.LSST",
    "dataset_types": {
        "raw": {
            "dataproduct_type": "image",
            "calib_level": 1,
            "o_ucd": "phot.count",
            "access_format": "application/fits",
            "obs_id_fmt": "{records[exposure].obs_id}",
            "datalink_url_fmt": "https://example.org/datalink?ID={id}",
        },
        "calexp": {
            "dataproduct_type": "image",
            "dataproduct_subtype": "lsst.calexp",
            "calib_level": 2,
            "obs_id_fmt": "{records[visit].name}",
            "datalink_url_fmt": "https://example.org/datalink?ID={id}",
        },
    },
    "extra_columns": {
        "lsst_visit": {"template": "{visit}", "type": "int"},
        "lsst_exposure": {"template": "{exposure}", "type": "int"},
        "lsst_detector": {"template": "{detector}", "type": "int"},
        "lsst_filter": {"template": "{physical_filter}", "type": "string", "length": 32},
    },
    "indices": {"by_instrument": "instrument_name", "by_visit": ["lsst_visit", "lsst_detector"]},
    "spectral_ranges": {"g": [402.0e-9, 552.0e-9], "r": [552.0e-9, 691.0e-9], "u": [None, None]},
}

PGSPHERE = {
    "sphere": {
        "cls": "lsst.daf.butler.registry.obscore.pgsphere.PgSphereObsCorePlugin",
        "config": {"position_column": "on the sky"},
    }
}


class Filler:
    """Fills a new repository through a writeable client.

    Parameters
    ----------
    repo
        Folder of the repository.
    rng
        Source of everything that varies.
    """

    def __init__(self, repo: str, rng: random.Random) -> None:
        self.api = importlib.import_module("lsst.daf.butler")
        self.butler = open_butler(repo)
        self.registry = self.butler.registry
        self.universe = self.registry.dimensions
        self.rng = rng
        self.records = make_records(rng, self.universe.version)
        self.types: dict[str, Any] = {}

    def fill(self) -> None:
        """Write everything but volume and ingest dates."""
        self.register_types()
        insert_records(self.registry, self.records)
        self.register_collections()
        self.insert_datasets()
        self.store_datasets()
        self.tag()
        self.certify()
        self.remove()

    def register_types(self) -> None:
        """Register the dataset types, and remove one again."""
        wanted = list(DATASET_TYPES)
        for version, types in NEW_DATASET_TYPES.items():
            if self.universe.version >= version:
                wanted.extend(types)
        for name, dimensions, calibration in wanted:
            self.types[name] = self.api.DatasetType(
                name,
                dimensions,
                "StructuredDataDict",
                universe=self.universe,
                isCalibration=calibration,
            )
            self.registry.registerDatasetType(self.types[name])
        # Its dimension group and its tables stay behind.
        self.registry.removeDatasetType("obsolete_type")

    def register_collections(self) -> None:
        """Make collections of all kinds, with nested chains and all kinds of docs."""
        kind = self.api.CollectionType
        runs = {naming(i): f"Raw data of {i.name}" for i in INSTRUMENTS} | {
            RUN_ANN_1: None,
            RUN_ANN_2: 'Ann\'s "second" run — Größe 2 µm',
            RUN_COADD: "line one\nline two\t; DROP TABLE run; -- %s",
            RUN_EMPTY: " ",
            RUN_SKYMAPS: "",
            RUN_CALIB_A: None,
            RUN_CALIB_B: "second generation",
            "u/ann/removed": "to be removed",
        }
        for name, doc in runs.items():
            self.registry.registerRun(name, doc=doc)
        others = {
            "u/ann/best": (kind.TAGGED, "The best's “best”"),
            "u/ann/tagged-empty": (kind.TAGGED, None),
            "LSSTCam/calib": (kind.CALIBRATION, "certified"),
            "HSC/calib": (kind.CALIBRATION, None),
            "calib/empty": (kind.CALIBRATION, ""),
            "calib/defaults": (kind.CHAINED, "both instruments"),
            "u/ann/chain": (kind.CHAINED, None),
            "u/ann/chain/outer": (kind.CHAINED, "nested"),
            "u/ann/chain/empty": (kind.CHAINED, " "),
        }
        for name, (collection_type, doc) in others.items():
            self.registry.registerCollection(name, collection_type, doc=doc)
        self.registry.setCollectionChain("calib/defaults", ["LSSTCam/calib", "HSC/calib"])
        self.registry.setCollectionChain("u/ann/chain", [RUN_ANN_2, RUN_ANN_1, RUN_EMPTY])
        self.registry.setCollectionChain(
            "u/ann/chain/outer", ["u/ann/best", "u/ann/chain", "calib/defaults", RUN_SKYMAPS]
        )
        self.registry.removeCollection("u/ann/removed")

    def insert(self, name: str, run: str, data_ids: Iterable[dict[str, Any]]) -> list[Any]:
        """Register datasets without storing anything."""
        return list(self.registry.insertDatasets(self.types[name], list(data_ids), run=run))

    def insert_datasets(self) -> None:
        """Register the datasets that have no file."""
        for instrument in INSTRUMENTS:
            self.insert(
                "raw",
                naming(instrument),
                (
                    {"instrument": instrument.name, "exposure": e["id"], "detector": d}
                    for e in self.records.of("exposure", instrument.name)
                    for d in (0, 3)
                ),
            )
            for run in (RUN_CALIB_A, RUN_CALIB_B):
                self.insert(
                    "flat",
                    run,
                    (
                        {"instrument": instrument.name, "detector": d, "physical_filter": f}
                        for f, _ in instrument.filters[:2]
                        for d in range(2)
                    ),
                )
            self.insert(
                "transmission",
                RUN_CALIB_A,
                ({"instrument": instrument.name, "physical_filter": f} for f, _ in instrument.filters),
            )
        # Those with regions: the newest client cannot write a dataset into an
        # ObsCore table whose visit and detector have none (KeyError).
        visits = [
            {"instrument": v["instrument"], "visit": v["id"]}
            for v in self.records.of("visit")
            if v["region"] is not None
        ]
        self.insert("calexp", RUN_ANN_1, (v | {"detector": d} for v in visits for d in range(2)))
        self.insert("calexp", RUN_ANN_2, (v | {"detector": 0} for v in visits[::3]))
        self.insert("calexpBackground", RUN_ANN_2, (v | {"detector": 1} for v in visits[::4]))
        patches = [{"skymap": p["skymap"], "tract": p["tract"], "patch": p["id"]} for p in self.records.of("patch")]
        bands = ("g", "white")
        self.insert("deepCoadd", RUN_COADD, (p | {"band": b} for p in patches for b in bands))
        self.insert("dcrCoadd", RUN_COADD, (p | {"band": "r", "subfilter": i} for p in patches[:4] for i in (0, 1)))
        self.insert("deepCoadd_directWarp", RUN_COADD, (p | v for p in patches[:3] for v in visits[8:11]))
        self.insert(
            "objectTable_tract",
            RUN_COADD,
            ({"skymap": t["skymap"], "tract": t["id"]} for t in self.records.of("tract")),
        )
        # Smallest and largest index of level 7.
        self.insert("ref_cat", RUN_SKYMAPS, ({"htm7": i} for i in (8 * 4**7, 16 * 4**7 - 1)))
        if "nightReport" in self.types:
            days = [{"instrument": d["instrument"], "day_obs": d["id"]} for d in self.records.of("day_obs")]
            self.insert("nightReport", RUN_ANN_1, days)
            groups = [{"instrument": g["instrument"], "group": g["name"]} for g in self.records.of("group")]
            self.insert("quickLook", RUN_ANN_1, (g | {"detector": 2} for g in groups[:9]))
        if "sspResult" in self.types:
            bundles = self.records.of("ssp_hypothesis_bundle")
            self.insert(
                "sspResult",
                RUN_ANN_1,
                (
                    {"ssp_hypothesis_table": b["ssp_hypothesis_table"], "ssp_hypothesis_bundle": b["id"]}
                    for b in bundles
                ),
            )

    def put(self, name: str, run: str, data_id: dict[str, Any]) -> Any:
        """Store one small dataset."""
        content = {"type": name, "run": run, "data_id": data_id, "text": "naïve “value”"}
        return self.butler.put(content, self.types[name], data_id, run=run)

    def store_datasets(self) -> None:
        """Store the datasets that have a file."""
        for run in (RUN_ANN_1, RUN_ANN_2, RUN_COADD):
            self.put("task_config", run, {})
        for skymap in self.records.of("skymap"):
            self.put("skyMap", RUN_SKYMAPS, {"skymap": skymap["name"]})
        for instrument in INSTRUMENTS:
            name = instrument.name
            self.put("camera", RUN_CALIB_A, {"instrument": name})
            for run in (RUN_CALIB_A, RUN_CALIB_B):
                self.put("bias", run, {"instrument": name, "detector": 0})
            for visit in self.records.of("visit", name)[:3]:
                self.put("visitSummary", RUN_ANN_1, {"instrument": name, "visit": visit["id"]})

    def find(self, name: str, run: str) -> list[Any]:
        """Return the datasets of a type in a run, in the order of their data IDs."""
        found = self.registry.queryDatasets(name, collections=[run])
        return sorted(
            found,
            key=lambda ref: [str(ref.dataId[n]) for n in sorted(names(ref.datasetType.dimensions.required))],
        )

    def tag(self) -> None:
        """Tag datasets of several types, and take one away again."""
        chosen = self.find("calexp", RUN_ANN_1)[::5] + self.find("visitSummary", RUN_ANN_1)
        self.registry.associate("u/ann/best", chosen)
        self.registry.associate("u/ann/best", self.find("deepCoadd", RUN_COADD)[:3])
        self.registry.associate("u/ann/best", self.find("task_config", RUN_COADD))
        self.registry.disassociate("u/ann/best", chosen[:1])

    def certify(self) -> None:
        """Certify with all kinds of bounds, and split one validity range."""
        first_ns, second_ns = day_start_ns(20170101) + 37 * NS_PER_S, day_start_ns(20240501) + 1
        for collection, name in (("LSSTCam/calib", "LSSTCam"), ("HSC/calib", "HSC")):

            def own(type_name: str, run: str, instrument: str = name) -> list[Any]:
                return [r for r in self.find(type_name, run) if r.dataId["instrument"] == instrument]

            spans = (timespan(None, first_ns), timespan(first_ns, second_ns), timespan(second_ns, None))
            self.registry.certify(collection, own("bias", RUN_CALIB_A), spans[0])
            self.registry.certify(collection, own("bias", RUN_CALIB_B), spans[1])
            # The same dataset for two ranges.
            self.registry.certify(collection, own("bias", RUN_CALIB_A), spans[2])
            self.registry.certify(collection, own("camera", RUN_CALIB_A), timespan(None, None))
            self.registry.certify(collection, own("flat", RUN_CALIB_B), spans[1])
            self.registry.certify(collection, own("transmission", RUN_CALIB_A), timespan(None, None))
        self.registry.decertify("HSC/calib", "flat", timespan(first_ns + NS_PER_DAY, first_ns + 2 * NS_PER_DAY))

    def remove(self) -> None:
        """Remove datasets, and leave some files in the trash that nobody has emptied."""
        self.registry.removeDatasets(self.find("calexpBackground", RUN_ANN_2)[:2])
        summaries = self.find("visitSummary", RUN_ANN_1)
        self.butler.pruneDatasets(summaries[:1], disassociate=True, unstore=True, purge=True)
        datastore = getattr(self.butler, "_datastore", None) or self.butler.datastore
        for ref in summaries[1:3]:
            datastore.trash(ref)
        # Trash may outlive the dataset.
        self.registry.removeDatasets(summaries[1:2])

    def add_volume(self, count: int) -> None:
        """Register many more datasets, quickly.

        Parameters
        ----------
        count : `int`
            How many.
        """
        if not count:
            return
        camera, detectors, types = "BulkCam", 200, 5
        exposures = math.ceil(count / detectors / types)
        records = Records()
        records.add("instrument", name=camera, class_name=None, detector_max=detectors)
        records.add("physical_filter", instrument=camera, name="clear", band="white")
        for i in range(detectors):
            records.add("detector", instrument=camera, id=i, full_name=f"D{i:03d}")
        records.add("day_obs", instrument=camera, id=20250101, timespan=None)
        for i in range(exposures):
            records.add("group", instrument=camera, name=f"bulk {i}")
            records.add(
                "exposure",
                instrument=camera,
                id=i,
                physical_filter="clear",
                obs_id=f"bulk_{i}",
                day_obs=20250101,
                group=f"bulk {i}",
                group_name=f"bulk {i}",
                seq_num=i,
                observation_type="science",
            )
        with self.butler.transaction():
            insert_records(self.registry, Records({k: v for k, v in records.rows.items() if v}))
        self.registry.registerRun("bulk/run")
        data_ids = [
            {"instrument": camera, "exposure": e, "detector": d} for e in range(exposures) for d in range(detectors)
        ]
        for number in range(types):
            name = f"bulk_{number}"
            self.types[name] = self.api.DatasetType(
                name, ("instrument", "exposure", "detector"), "StructuredDataDict", universe=self.universe
            )
            self.registry.registerDatasetType(self.types[name])
            chunk = data_ids[: max(0, min(len(data_ids), count - number * len(data_ids)))]
            if chunk:
                # Expanding would ask the database for each data ID.
                self.registry.insertDatasets(self.types[name], chunk, run="bulk/run", expand=False)


def open_butler(repo: str) -> Any:
    """Return a writeable client of a repository."""
    api = importlib.import_module("lsst.daf.butler")
    make: Callable[..., Any] = getattr(api.Butler, "from_config", None) or api.Butler
    return make(repo, writeable=True)


def names(group: Any) -> list[str]:
    """Return the names in a set of dimensions, which may be objects or names."""
    return [getattr(d, "name", d) for d in group]


LEAP_DATES = tuple(
    datetime(year, month, day, tzinfo=UTC) + timedelta(microseconds=shift)
    for year, month, day in ((2017, 1, 1), (2015, 7, 1))
    for shift in (-86_400_000_000, -1_000_000, -1, 0, 1, 1_000_000, 86_400_000_000)
)
"""UTC instants around the two leap seconds; TAI - UTC is 35, 36 and 37 s."""


def ingest_dates(rng: random.Random) -> Iterator[datetime]:
    """Yield UTC instants: first the leap seconds, then all over 2016 to 2025."""
    yield from LEAP_DATES
    start = datetime(2016, 1, 1, tzinfo=UTC)
    while True:
        moment = start + timedelta(seconds=rng.randrange(10 * 365 * 86400))
        yield moment + timedelta(microseconds=rng.choice((0, rng.randrange(10**6))))


def set_ingest_dates(rng: random.Random, ids: Sequence[str], version: str) -> Iterator[tuple[Any, str]]:
    """Yield a value of ``dataset.ingest_date`` for each dataset.

    Parameters
    ----------
    rng : `random.Random`
        Source of the dates.
    ids : `~collections.abc.Sequence` [`str`]
        Dataset identifiers as the database gives them.
    version : `str`
        Version of the datasets schema: UTC timestamps in 1.0.0, TAI ns later.

    Yields
    ------
    value : `~datetime.datetime` or `int`
        The date.
    dataset_id : `str`
        To which it belongs.
    """
    for dataset_id, moment in zip(ids, ingest_dates(rng), strict=False):
        if version.startswith("1."):
            # The column knows no time zone.
            yield moment.replace(tzinfo=None), dataset_id
        else:
            # Any offset serves here: what matters is that no digit gets lost.
            microseconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
            yield (microseconds + 37_000_000) * 1000 + rng.randrange(1000), dataset_id


def write_by_sql(url: str, namespace: str | None, rng: random.Random) -> None:
    """Set what no client API can: ingest dates, and host and timespan of a run."""
    sql_version = "SELECT value FROM butler_attributes WHERE name LIKE 'version:%.ByDimensions%'"
    span = (day_start_ns(20240109), day_start_ns(20240110))
    # The identifiers are as deterministic as the rest: see seeded_uuids.
    if url.startswith("sqlite"):
        with sqlite3.connect(url.split(":///", 1)[1]) as connection:
            version = connection.execute(sql_version).fetchone()[0]
            ids = [r[0] for r in connection.execute("SELECT id FROM dataset ORDER BY id")]
            rows = ((str(v) if isinstance(v, datetime) else v, i) for v, i in set_ingest_dates(rng, ids, version))
            connection.executemany("UPDATE dataset SET ingest_date = ? WHERE id = ?", rows)
            where = key_of_run(connection.execute("SELECT * FROM run LIMIT 1").description)
            connection.execute(
                f"UPDATE run SET host = ?, timespan_begin = ?, timespan_end = ? WHERE {where} = ?",
                ("höst.example.org", *span, RUN_ANN_1),
            )
        connection.close()
        return
    psycopg2 = importlib.import_module("psycopg2")
    extras = importlib.import_module("psycopg2.extras")
    connection = psycopg2.connect(url.replace("postgresql+psycopg2:", "postgresql:"))
    with connection, connection.cursor() as cursor:
        if namespace:
            cursor.execute(f'SET search_path TO "{namespace}", public')
        cursor.execute(sql_version)
        version = cursor.fetchone()[0]
        cursor.execute("SELECT id::text FROM dataset ORDER BY id")
        ids = [r[0] for r in cursor.fetchall()]
        kind = "timestamp" if version.startswith("1.") else "bigint"
        extras.execute_values(
            cursor,
            f"UPDATE dataset SET ingest_date = v.d::{kind} FROM (VALUES %s) v (d, i) WHERE dataset.id = v.i::uuid",
            list(set_ingest_dates(rng, ids, version)),
            page_size=1000,
        )
        cursor.execute("SELECT * FROM run LIMIT 1")
        where = key_of_run(cursor.description)
        cursor.execute(
            f"UPDATE run SET host = %s, timespan = int8range(%s, %s) WHERE {where} = %s",
            ("höst.example.org", *span, RUN_ANN_1),
        )
    connection.close()


def key_of_run(description: Sequence[Any]) -> str:
    """Return an SQL expression for the name of a run."""
    if description[0][0] == "name":
        return "name"
    return "(SELECT name FROM collection c WHERE c.collection_id = run.collection_id)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("repo", help="folder to create")
    parser.add_argument("--existing", action="store_true", help="fill a repository that exists and is empty")
    parser.add_argument("--empty", action="store_true", help="only create the repository")
    parser.add_argument("--db", help="URL of the registry database; default: SQLite in the folder")
    parser.add_argument("--namespace", help="database schema, PostgreSQL only")
    parser.add_argument("--universe", help="YAML file of another dimension universe")
    parser.add_argument("--datasets-version", help="for example 1.0.0; default: the client's")
    parser.add_argument("--datasets", type=int, default=0, metavar="N", help="add N unstored datasets")
    parser.add_argument("--obscore", action="store_true", help="with a live ObsCore table")
    parser.add_argument("--pgsphere", action="store_true", help="the ObsCore table has columns of pgSphere")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name-key", action="store_true", help="collections keyed by name")
    options = parser.parse_args(arguments)
    folder = Path(options.repo).resolve()
    if "." in folder.name:
        # Config.dumpToUri of several clients takes such a folder for a file.
        parser.error("the name of the repository folder must not have a dot in it")

    rng = random.Random(options.seed)  # noqa: S311 - content, not secrets
    seeded_uuids(options.seed)
    warnings.simplefilter("ignore")
    if not options.existing:
        make_repository(options)
    if options.empty:
        return 0
    filler = Filler(options.repo, rng)
    filler.fill()
    filler.add_volume(options.datasets)
    database = options.db or f"sqlite:///{folder}/gen3.sqlite3"
    write_by_sql(database, options.namespace, rng)
    return 0


if __name__ == "__main__":
    sys.exit(main())
