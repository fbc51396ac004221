"""Raw files of several cameras, with headers such as theirs and values that are made up; instruments for them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from registrytool.instruments.definition import Detector, Filter, InstrumentDefinition, RawDatasets
from registrytool.instruments.library import load_definition
from registrytool.maintain.records import insert_records
from registrytool.maintain.session import change

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.maintain.session import Session
    from registrytool.repository import Repository


def camera(name: str, filters: dict[str, str], detectors: tuple[int, ...], **more: Any) -> InstrumentDefinition:
    """Return a definition without corners of detectors; filters are bands by name."""
    raw = RawDatasets("raw", ("instrument", "detector", "exposure"), "Exposure", f"lsst.obs.{name}.Formatter")
    defined = InstrumentDefinition(
        name=name, class_name=f"lsst.obs.{name}", visit_max=10**8, detector_max=200, exposure_max=10**8,
        visit_systems=("one-to-one",), default_visit_system="one-to-one", raw=raw, runs={"raw": f"{name}/raw/all"},
        filters=tuple(Filter(name, f, band) for f, band in filters.items()),
        detectors=tuple(Detector(name, n, f"d{n}", purpose="SCIENCE") for n in detectors),
    )  # fmt: skip
    return dataclasses.replace(defined, **more)


def cameras() -> tuple[InstrumentDefinition, ...]:
    """Return the definitions of the cameras that this module has files of."""
    return (
        load_definition("HSC"),
        camera("MegaPrime", {"i.MP9702": "i", "r.MP9601": "r"}, (23,)),
        camera("DECam", {"z DECam SDSS c0004 9260.0 1520.0": "z", "r DECam SDSS c0002 6415.0 1480.0": "r"}, (1, 25)),
    )


def register(repository: Repository, *definitions: InstrumentDefinition) -> None:
    """Put instruments with filters and detectors into a registry."""

    def work(session: Session) -> None:
        for definition in definitions:
            known = session.table("instrument").c
            record = {k: v for k, v in definition.record().items() if k in known}
            insert_records(session, "instrument", [record])
            insert_records(session, "physical_filter", [f.record() for f in definition.filters])
            insert_records(session, "detector", [d.record() for d in definition.detectors])

    change(repository, "register instruments", work)


def _write(path: Path, cards: dict[str, Any], extensions: list[dict[str, Any]] | None = None) -> Path:
    import numpy as np
    from astropy.io import fits

    header = fits.Header({k: v for k, v in cards.items() if v is not None})
    data = np.arange(16, dtype=np.int16).reshape(4, 4)
    hdus: list[Any] = [fits.PrimaryHDU(None if extensions else data, header)]
    hdus += [fits.ImageHDU(data, fits.Header(more)) for more in extensions or ()]
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def hsc(path: Path, exposure: int = 2, detector: int = 0, **changes: Any) -> Path:
    """Write a file of Hyper Suprime-Cam; None takes a card away."""
    cards = {
        "TELESCOP": "Subaru", "INSTRUME": "Hyper Suprime-Cam", "OBS-ALOC": "Observation",
        "EXP-ID": f"HSCE{exposure:08d}", "FRAMEID": f"HSCA{exposure:06d}{detector:02d}", "DET-ID": detector,
        "T_CCDSN": f"{detector:03d}", "DATE-OBS": "2013-06-17", "UT-STR": "13:34:10.7", "UT-END": "13:34:42.9",
        "UT": "13:34:10.7", "MJD": 56460.5654, "MJD-STR": 56460.5654, "MJD-END": 56460.56577, "EXPTIME": 30.0,
        "FILTER01": "HSC-R", "DATA-TYP": "OBJECT", "OBJECT": "STRIPE82L", "PROP-ID": "o13015",
        "RA2000": "21:21:00.0", "DEC2000": "+00:15:00.0", "RA": "21:21:00.0", "DEC": "+00:15:00.0",
        "EQUINOX": 2000.0, "RADESYS": "FK5", "ALTITUDE": 69.5, "AZIMUTH": 341.4, "INR-STR": -15.0, "INST-PA": 90.0,
        "AIRMASS": 1.07, "OUT-TMP": 280.0, "OUT-HUM": 20.0, "OUT-PRS": 620.0, "FOC-VAL": 3.4,
    }  # fmt: skip
    return _write(path, cards | _named(changes))


def megaprime(path: Path, exposure: int = 1038843, **changes: Any) -> Path:
    """Write a file of MegaPrime with two detectors' worth of cards, of which one is translated."""
    cards = {
        "TELESCOP": "CFHT 3.6m", "INSTRUME": "MegaPrime", "DETECTOR": "MegaCam", "OBSID": exposure,
        "EXPNUM": exposure,
        "RUNID": "08BL05", "DATE-OBS": "2008-11-05", "UTC-OBS": "09:37:09.65", "UTIME": "09:37:09.65",
        "UTCEND": "09:41:11.0", "UTC-END": "09:41:11.0", "MJD-OBS": 54775.40080614, "EXPTIME": 240.0,
        "DARKTIME": 240.0,
        "FILTER": "i.MP9702", "OBSTYPE": "OBJECT", "OBJECT": "w2.+2+2", "RA_DEG": 135.409875, "DEC_DEG": -2.454028,
        "RADECSYS": "FK5", "OBJRADEC": "FK5", "OBJEQN": 2000.0, "EQUINOX": 2000.0, "RADESYS": "FK5",
        "RA": "9:01:38.37", "DEC": "-2:27:14.5",
        "OBJRA": "9:01:38.37", "OBJDEC": "-2:27:14.5", "TELALT": 60.55, "TELAZ": 121.2, "AIRMASS": 1.14,
        "LATITUDE": 19.8252, "LONGITUD": -155.4689,
        "TEMPERAT": 0.9, "PRESSURE": 617.65, "RELHUMID": 39.77, "EXTNAME": "ccd23", "EXTVER": 23,
        "CCDNAME": "8434-13-5",
    }  # fmt: skip
    return _write(path, cards | _named(changes))


def decam(path: Path, exposure: int = 229388, detectors: tuple[int, ...] = (1, 25), **changes: Any) -> Path:
    """Write a file of DECam, which holds several detectors."""
    cards = {
        "TELESCOP": "CTIO 4.0-m telescope", "INSTRUME": "DECam", "OBSERVAT": "CTIO", "EXPNUM": exposure,
        "OBSID": "ct4m20130901t060255", "DATE-OBS": "2013-09-01T06:02:55.754419", "MJD-OBS": 56536.25203419,
        "TIMESYS": "UTC", "EXPTIME": 200.0, "DARKTIME": 201.1596727, "FILTER": "z DECam SDSS c0004 9260.0 1520.0",
        "OBSTYPE": "object", "PROCTYPE": "raw", "PRODTYPE": "image", "OBJECT": "DECaPS_East",
        "PROPID": "2012B-0001", "DTCALDAT": "2013-08-31",
        "RA": "02:51:37.2", "DEC": "-00:00:00.1", "TELRA": "02:51:37.2", "TELDEC": "-00:00:00.1",
        "TELEQUIN": 2000.0, "RADESYS": "FK5", "EQUINOX": 2000.0, "ZD": 30.25, "HA": "-00:05:00.0",
        "AZ": 0.0, "AIRMASS": 1.16, "OBS-LAT": -30.16606, "OBS-LONG": 70.81489, "OBS-ELEV": 2215.0,
        "OUTTEMP": 9.0, "PRESSURE": 779.0, "HUMIDITY": 23.0, "PHOTFLAG": False,
        "TELFOCUS": "1645,-1232,1992,-1,1,0",
    }  # fmt: skip
    extensions = [{"EXTNAME": f"S{n}", "CCDNUM": n, "DETSEC": "[1:4,1:4]", "DETPOS": f"S{n}"} for n in detectors]
    return _write(path, cards | _named(changes), extensions)


def _named(changes: dict[str, Any]) -> dict[str, Any]:
    """Return cards from names of parameters, in which a minus is two underscores."""
    return {name.replace("__", "-"): value for name, value in changes.items()}
