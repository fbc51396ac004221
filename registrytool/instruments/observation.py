"""Observations: what the header of a raw file says, as values, from what astro_metadata_translator made of it.

How a translated header becomes an exposure record follows what lsst/obs_base does (python/lsst/obs/base/_instrument.py
and ingest.py): positions are ICRS, the angle on the sky counts only where the translator says that it is one, and an
observation that ends before it begins ends where it begins.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.maintain.timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sources import Source

#: What a header must say.
REQUIRED = frozenset(
    {
        "datetime_begin", "datetime_end", "detector_num", "exposure_group", "exposure_id", "exposure_time",
        "instrument", "observation_id", "observing_day", "physical_filter",
    }
)  # fmt: skip
#: What else records hold.
OPTIONAL = frozenset(
    {
        "altaz_begin", "boresight_rotation_angle", "boresight_rotation_coord", "can_see_sky", "dark_time",
        "group_counter_end", "group_counter_start", "has_simulated_content", "object", "observation_counter",
        "observation_reason", "observation_type", "observing_day_offset", "science_program", "tracking_radec",
        "visit_id",
    }
)  # fmt: skip
_JD_1970 = 2440587.5
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Observation:
    """What the header of one detector says.

    Attributes
    ----------
    file : `str`
        The file.
    size : `int`
        How many bytes it has.
    instrument : `str`
        Name of the instrument.
    exposure, detector : `int`
        Numbers.
    obs_id, physical_filter, group : `str`
        As the header has them.
    visit_id : `int` or `None`
        Number of the group.
    day_obs : `int`
        Day of observation, YYYYMMDD.
    day_obs_offset_s : `int` or `None`
        When that day begins, in seconds after 0 h TAI.
    timespan : `Timespan`
        When it was taken.
    fields : `tuple` [`tuple` [`str`, object], ...]
        All other fields of the exposure record that universes know: names and values.
    extensions : `tuple` [`tuple` [`str`, object], ...]
        What else the translator of this camera says, for the columns of a universe of its own.
    """

    file: str
    size: int
    instrument: str
    exposure: int
    detector: int
    obs_id: str
    physical_filter: str
    group: str
    visit_id: int | None
    day_obs: int
    day_obs_offset_s: int | None
    timespan: Timespan
    fields: tuple[tuple[str, Any], ...]
    extensions: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be ingested.

    Attributes
    ----------
    file : `str`
        The file.
    reason : `str`
        Why, as a sentence.
    """

    file: str
    reason: str


class MissingPropertyError(Exception):
    """A header does not give a property; the text is its name, and the cause says why."""


def translate(source: Source, size: int, header: Any, translator: Any) -> Observation:
    """Return what a header says.

    Parameters
    ----------
    source : `Source`
        The file.
    size : `int`
        How many bytes it has.
    header : `~collections.abc.MutableMapping`
        Values by keyword; corrections are put into it.
    translator : `type` or `None`
        Class that translates it; `None` leaves the choice to the header.

    Raises
    ------
    KeyError, ValueError
        Something is missing.
    """
    from astro_metadata_translator import ObservationInfo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            info = ObservationInfo(
                header,
                filename=source.uri,
                translator_class=translator,
                pedantic=False,
                required=set(REQUIRED),
                subset=set(REQUIRED | OPTIONAL) | {f"ext_{name}" for name in getattr(translator, "extensions", ())},
                quiet=True,
            )
        except KeyError:
            _refuse(header, source, translator)
            raise
        return from_info(source, size, info)


def _refuse(header: Any, source: Source, translator: Any) -> None:
    """Raise for the first property that a header does not give; the package takes any one of them."""
    if translator is None:
        return
    translation = translator(header, filename=source.uri)
    # Times come last, since they follow from other properties.
    for name in sorted(REQUIRED, key=lambda n: (n.startswith("datetime"), n)):
        try:
            getattr(translation, f"to_{name}")()
        except Exception as error:
            raise MissingPropertyError(name) from error


def from_info(source: Source, size: int, info: Any, extensions: Mapping[str, Any] | None = None) -> Observation:
    """Return what a translated header says, as `translate` does."""
    missing = sorted(name for name in REQUIRED if getattr(info, name) is None)
    if missing:
        message = f"it says nothing about {', '.join(missing)}"
        raise ValueError(message)
    begin, end = to_tai_ns(info.datetime_begin), to_tai_ns(info.datetime_end)
    ra = dec = sky_angle = None
    if info.tracking_radec is not None:
        icrs = info.tracking_radec.icrs
        ra, dec = float(icrs.ra.deg), float(icrs.dec.deg)
        if info.boresight_rotation_coord == "sky" and info.boresight_rotation_angle is not None:
            sky_angle = float(info.boresight_rotation_angle.deg)
    altaz = info.altaz_begin
    fields = {
        "exposure_time": float(info.exposure_time.to_value("s")),
        "dark_time": None if info.dark_time is None else float(info.dark_time.to_value("s")),
        "observation_type": info.observation_type,
        "observation_reason": info.observation_reason,
        "seq_num": info.observation_counter,
        "seq_start": info.group_counter_start,
        "seq_end": info.group_counter_end,
        "target_name": info.object,
        "science_program": info.science_program,
        "tracking_ra": ra,
        "tracking_dec": dec,
        "sky_angle": sky_angle,
        "azimuth": None if altaz is None else float(altaz.az.deg),
        "zenith_angle": None if altaz is None else float(altaz.zen.deg),
        "has_simulated": info.has_simulated_content,
        "can_see_sky": info.can_see_sky,
    }
    if extensions is None:
        extensions = {name: getattr(info, f"ext_{name}", None) for name in info.extensions}
    offset = info.observing_day_offset
    return Observation(
        file=source.name,
        size=size,
        instrument=info.instrument,
        exposure=info.exposure_id,
        detector=info.detector_num,
        obs_id=info.observation_id,
        physical_filter=info.physical_filter,
        group=info.exposure_group,
        visit_id=info.visit_id,
        day_obs=info.observing_day,
        day_obs_offset_s=None if offset is None else round(offset.to_value("s")),
        timespan=Timespan.of(begin, max(begin, end)),
        fields=tuple(fields.items()),
        extensions=tuple(sorted((n, v) for n, v in extensions.items() if isinstance(v, (str, int, float)))),
    )


def to_tai_ns(time: Any) -> int:
    """Return TAI nanoseconds since 1970 for an `astropy.time.Time`, exact as its two parts are."""
    tai = time.tai
    days, rest = divmod(float(tai.jd1) - _JD_1970, 1.0)
    return int(days) * _DAY_NS + round((rest + float(tai.jd2)) * _DAY_NS)
