"""Records of each bundled camera are what astro_metadata_translator made of its headers, to the last digit.

HSC, DECam and MegaPrime have translators in that package, so their headers are files; those of HSC and DECam have the
values of raw files of which lsst/images has the headers.  Translators of the other cameras come with their software:
what they say is in an index, for LSSTCam with the values that lsst/images has of an exposure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from astro_metadata_translator import ObservationInfo
from astropy import units as u
from astropy.coordinates import AltAz, Angle, EarthLocation, SkyCoord
from astropy.io import fits
from astropy.time import Time, TimeDelta
from lsst.sphgeom import LonLat, Region, UnitVector3d

from registrytool.create import CreateOptions, create_repository
from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.library import bundled_definitions, load_definition, universe_file
from registrytool.instruments.placement import Transfer
from registrytool.instruments.register import register_instruments
from registrytool.instruments.visit_groups import visit_regions
from registrytool.instruments.visits import define_visits
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import reading
from registrytool.repository import open_repository
from tests.integration.test_ingest import records_of
from tests.support import raws
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.instruments.definition import InstrumentDefinition
    from tests.support.places import Place

DIRECT = Transfer.DIRECT
#: What the header of HSCA90333426 says.
HSC = {
    "EXP-ID": "HSCE00903334", "FRAMEID": "HSCA90333426", "DET-ID": 23, "T_CCDSN": "076", "UT-STR": "13:28:36.039",
    "UT-END": "13:29:08.495", "UT": "13:28:36.107", "MJD": 56460.5615290124, "MJD-STR": 56460.56152822683,
    "MJD-END": 56460.56190387812, "FILTER01": "HSC-r", "RA": "21:20:59.984", "RA2000": "21:20:59.984",
    "DEC": "+00:00:00.07", "DEC2000": "+00:00:00.07", "ALTITUDE": 68.80710558, "AZIMUTH": 157.95888945,
    "AIRMASS": 1.072389930512202, "INR-STR": -20.645009, "INST-PA": "0.000", "OUT-TMP": 273.75,
}  # fmt: skip
#: What that of c4d_150218_052850_ori says.
DECAM = {
    "OBSID": "ct4m20150218t052637", "DATE-OBS": "2015-02-18T05:26:37.433035", "MJD-OBS": 57071.22682214,
    "EXPTIME": 86.0, "DARKTIME": 87.1173, "FILTER": "g DECam SDSS c0001 4720.0 1520.0", "OBJECT": "Blind15A_42",
    "PROPID": "2015A-0608", "DTCALDAT": "2015-02-17", "RA": "10:21:52.800", "DEC": "-04:57:00.000",
    "TELRA": "10:21:52.870", "TELDEC": "-04:57:00.198", "HA": "00:12:13.350", "ZD": 25.29, "AZ": 353.1027,
    "AIRMASS": 1.11, "OUTTEMP": 14.2, "PRESSURE": 778.0, "HUMIDITY": 45.0,
}  # fmt: skip
#: What obs_lsst makes of MC_O_20250501_000292_R21_S11.
LSSTCAM: dict[str, Any] = {
    "exposure_id": 2025050100292, "visit_id": 3260771398100000, "physical_filter": "i_39", "detector_num": 85,
    "datetime_begin": Time(2460798.0, -0.45881626894697547, format="jd", scale="tai"),
    "datetime_end": Time(2460798.0, -0.4584581134259259, format="jd", scale="tai"),
    "exposure_time": 30.001066207885742 * u.s, "dark_time": 30.9444 * u.s,
    "boresight_rotation_angle": Angle(124.03552216889216 * u.deg), "object": "M49", "science_program": "BLOCK-365",
    "observation_type": "science", "observation_id": "MC_O_20250501_000292", "observing_day": 20250501,
    "observation_reason": "field_survey_science", "exposure_group": "2025-05-02T00:58:59.810",
    "observation_counter": 292, "group_counter_start": 292, "group_counter_end": 292,
    "tracking_radec": SkyCoord(186.8470826394098 * u.deg, 7.0179165676165285 * u.deg, frame="icrs"),
}  # fmt: skip


def made_up(number: int, definition: InstrumentDefinition) -> ObservationInfo:
    """Return an observation of a camera."""
    begin = Time(2460310.5 + number, 0.123456789012345 / 3, format="jd", scale="tai")
    place = EarthLocation.from_geodetic(-70.7, -30.2, 2663.0)
    values: dict[str, Any] = {
        "exposure_id": 1000 + number, "visit_id": 77 + number, "observation_id": f"o {number}",
        "detector_num": definition.detectors[len(definition.detectors) // 2].id,
        "physical_filter": definition.filters[-1].physical_filter, "exposure_group": f"g{number}",
        "datetime_begin": begin, "datetime_end": begin + TimeDelta(15.3, format="sec"), "exposure_time": 15.0 * u.s,
        "dark_time": 15.1 * u.s, "boresight_rotation_angle": Angle((33.3 + number) * u.deg),
        "observing_day": 20240101 + number, "object": f"field {number}", "science_program": "p",
        "observation_type": "science", "observation_reason": "why", "observation_counter": number,
        "group_counter_start": number, "group_counter_end": number + 1,
        "tracking_radec": SkyCoord((12.3 * number) * u.deg, (-10.1 * number) * u.deg, frame="fk5"),
    }  # fmt: skip
    values |= LSSTCAM if definition.name == "LSSTCam" else {}
    horizon = AltAz(alt=45.6789 * u.deg, az=123.4 * u.deg, obstime=values["datetime_begin"], location=place)
    altaz = SkyCoord(horizon).altaz
    return ObservationInfo.makeObservationInfo(
        instrument=definition.name, telescope="t", location=place, boresight_rotation_coord="sky", can_see_sky=True,
        has_simulated_content=False, altaz_begin=altaz, observing_day_offset=TimeDelta(43200, format="sec"),
        **values,
    )  # fmt: skip


def cards(values: dict[str, Any]) -> dict[str, Any]:
    """Return names of parameters, with two underscores for a minus."""
    return {name.replace("-", "__"): value for name, value in values.items()}


def tai_ns(time: Time) -> int:
    """Return TAI nanoseconds since 1970, by another way than the program."""
    parts = (np.longdouble(time.tai.jd1) - np.longdouble(2440587.5), np.longdouble(time.tai.jd2))
    return int(np.rint(sum(parts) * np.longdouble(86_400_000_000_000)))


def expected(info: Any) -> dict[str, Any]:
    """Return the record of an exposure."""
    icrs = info.tracking_radec.icrs
    return {
        "instrument": info.instrument, "id": info.exposure_id, "day_obs": info.observing_day,
        "group": info.exposure_group, "physical_filter": info.physical_filter, "obs_id": info.observation_id,
        "exposure_time": info.exposure_time.to_value("s"), "dark_time": info.dark_time.to_value("s"),
        "observation_type": info.observation_type, "observation_reason": info.observation_reason,
        "seq_num": info.observation_counter, "seq_start": info.group_counter_start,
        "seq_end": info.group_counter_end, "target_name": info.object, "science_program": info.science_program,
        "tracking_ra": icrs.ra.deg, "tracking_dec": icrs.dec.deg,
        "sky_angle": info.boresight_rotation_angle.deg if info.boresight_rotation_coord == "sky" else None,
        "azimuth": info.altaz_begin.az.deg, "zenith_angle": info.altaz_begin.zen.deg,
        "has_simulated": info.has_simulated_content, "can_see_sky": info.can_see_sky,
    }  # fmt: skip


def index(folder: Path, infos: dict[str, ObservationInfo], **more: Any) -> Path:
    """Write an index with what translators said, and the files that it names."""
    content: dict[str, Any] = {"__COMMON__": {}, "__CONTENT__": "translated"}
    for name, info in infos.items():
        (folder / f"{name}.fits").write_bytes(b"raw")
        content[f"{name}.fits"] = {**info.to_simple(), **more}
    file = folder / "_index.json"
    file.write_text(json.dumps(content))
    return file


def test_records_of_each_camera_are_what_its_translator_says(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    definitions = {n: d for n in bundled_definitions() if (d := load_definition(n)).namespace == "daf_butler"}
    register_instruments(repository, list(definitions.values()))
    files = {
        "HSC": raws.hsc(tmp_path / "h.fits", 903334, 23, **cards(HSC)),
        "DECam": raws.decam(tmp_path / "d.fits", 411371, (56,), **cards(DECAM)),
        "MegaPrime": raws.megaprime(tmp_path / "m.fits"),
    }
    infos: dict[str, Any] = {}
    for name, path in files.items():
        with fits.open(path) as hdus:
            header = hdus[0].header.copy()
            header.update(hdus[-1].header)
        infos[name] = ObservationInfo(header, filename=str(path), quiet=True)
    others = {n: made_up(i, d) for i, (n, d) in enumerate(definitions.items(), 1) if n not in files}
    given = [str(p) for p in (*files.values(), index(tmp_path, others))]
    report = ingest_raws(repository, given, IngestOptions(transfer=DIRECT))
    assert (report.bad, report.datasets, report.exposures) == ((), 8, 8)
    infos |= others
    for definition in definitions.values():
        assert define_visits(repository, definition).conflicts == ()
    with reading(repository) as session:
        records = {r["instrument"]: r for r in load_records(session, "exposure")}
        days = {(r["instrument"], r["id"]): r for r in load_records(session, "day_obs")}
        groups = {(r["instrument"], r["name"]) for r in load_records(session, "group")}
        visits = {r["instrument"]: r for r in load_records(session, "visit")}
        regions = {
            (r["instrument"], r["visit"], r["detector"]): r["region"]
            for r in load_records(session, "visit_detector_region")
        }
    assert records.keys() == definitions.keys()
    located = []
    for name, info in infos.items():
        definition, record = definitions[name], records[name]
        wanted = expected(info) | {"physical_filter": definition.find_filter(info.physical_filter).physical_filter}
        assert {k: v for k, v in record.items() if k != "timespan"} == wanted
        span = record["timespan"]
        assert (span.begin_ns, span.end_ns) == (tai_ns(info.datetime_begin), tai_ns(info.datetime_end))
        assert (name, info.exposure_group) in groups
        day = days[name, info.observing_day]["timespan"]
        # Where the definition has no rule, the translator has.
        offset_s = definition.day_obs_offset_s(info.observing_day)
        offset_s = info.observing_day_offset.to_value("s") if offset_s is None else offset_s
        text = str(info.observing_day)
        midnight = tai_ns(Time(f"{text[:4]}-{text[4:6]}-{text[6:]}T00:00:00", scale="tai"))
        assert (day.begin_ns - midnight, day.end_ns - day.begin_ns) == (offset_s * 10**9, 86_400 * 10**9)
        if record["sky_angle"] is None:
            # It does not say how the camera is turned, so that it makes no visit.
            assert name not in visits
            continue
        whole, parts = visit_regions(definition, record)
        visit = visits[name]
        assert visit["region"] == whole
        assert {d: r for (i, v, d), r in regions.items() if (i, v) == (name, visit["id"])} == parts
        if whole is not None:
            located.append(name)
            axis = UnitVector3d(LonLat.fromDegrees(record["tracking_ra"], record["tracking_dec"]))
            assert Region.decode(whole).contains(axis)
    assert {"HSC", "LSSTCam", "LATISS", "LSSTComCam", "LSSTCam-imSim"} <= set(located)
    assert len(records_of(repository)) == 8
    assert_clean(repository)


def test_a_visit_of_pfs_has_the_columns_of_its_universe(place: Place, tmp_path: Path) -> None:
    create_repository(place.folder, CreateOptions(place.url, place.namespace, ("27.0",), universe_file("pfs")))
    repository = open_repository(str(place.folder), db=place.url, namespace=place.namespace)
    definition = load_definition("PFS")
    register_instruments(repository, [definition])
    info = made_up(3, definition)
    own = {"pfs_design_id": 2**55 + 1, "dither": -0.01234, "shift": 0.5, "focus": -1.5, "lamps": "Ne,Ar"}
    file = index(tmp_path, {"PFS": info}, _translator="PFS", ext_arm="r", **{f"ext_{n}": v for n, v in own.items()})
    report = ingest_raws(repository, [str(file)], IngestOptions(transfer=DIRECT))
    assert (report.bad, report.datasets, report.exposures) == ((), 1, 1)
    again = ingest_raws(repository, [str(file)], IngestOptions(transfer=DIRECT))
    number = definition.detectors[len(definition.detectors) // 2].id
    assert [b.reason for b in again.bad] == [f"It is ingested already (visit 1003, detector {number} of PFS)."]
    with reading(repository) as session:
        (record,) = load_records(session, "visit")
        assert [r["value"] for r in load_records(session, "dither")] == [-123]
        assert [r["value"] for r in load_records(session, "pfs_design_id")] == [2**55 + 1]
    wanted = {n: v for n, v in expected(info).items() if n in record} | own | {"dither": -123}
    wanted |= {"group_name": info.exposure_group, "group_id": info.visit_id}
    assert {k: v for k, v in record.items() if k not in ("timespan", "region")} == wanted
    assert_clean(repository)
