"""Between TAI nanoseconds, as a registry stores times, and what people read and write; exact for every leap second."""

from __future__ import annotations

import calendar
import datetime
import re
import time
from decimal import Decimal
from typing import Literal

from registrytool.catalog import MAX_NSEC, MIN_NSEC
from registrytool.errors import ConfigurationError
from registrytool.timescale import leap_seconds

Scale = Literal["utc", "tai"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NS = 1_000_000_000
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
#: Modified Julian Date of 1970-01-01.
_MJD_EPOCH = 40587


def utc_to_tai_ns(utc_ns: int) -> int:
    """Return TAI nanoseconds for UTC nanoseconds since 1970, which do not count leap seconds.

    Before 1972, when UTC ran at another rate, the difference is taken as that of 1972.
    """
    leaps = leap_seconds()
    found = next((leap for leap in reversed(leaps) if utc_ns >= leap.utc_s * _NS), leaps[0])
    return utc_ns + found.tai_minus_utc_s * _NS


def tai_to_utc_ns(tai_ns: int) -> int:
    """Return UTC nanoseconds since 1970 for TAI nanoseconds; a time within a leap second counts as after it."""
    leaps = leap_seconds()
    found = next(
        (leap for leap in reversed(leaps) if tai_ns >= (leap.utc_s + leap.tai_minus_utc_s) * _NS),
        leaps[0],
    )
    return tai_ns - found.tai_minus_utc_s * _NS


def now_ns() -> int:
    """Return the present in TAI nanoseconds."""
    return utc_to_tai_ns(time.time_ns())


def format_time(tai_ns: int | None, scale: Scale = "utc") -> str | None:
    """Return a time in ISO 8601, with as many digits as it needs.

    Parameters
    ----------
    tai_ns : `int` or `None`
        TAI nanoseconds since 1970; `None` stays `None`.
    scale : `str`, optional
        ``utc``, which ends with ``Z``, or ``tai``, which ends with nothing.
    """
    if tai_ns is None:
        return None
    total = tai_to_utc_ns(tai_ns) if scale == "utc" else tai_ns
    seconds, rest = divmod(total, _NS)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    digits = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{digits}{'Z' if scale == 'utc' else ''}"


def parse_time(text: str, scale: Scale = "utc") -> int:
    """Read a time in ISO 8601, or a Modified Julian Date.

    Parameters
    ----------
    text : `str`
        Such as ``2024-05-01``, ``2024-05-01T12:00:00.5``, ``2024-05-01T12:00:00Z`` or ``60431.5``.  A zone at its end
        makes it UTC, ``/utc`` or ``/tai`` name the scale.
    scale : `str`, optional
        Scale of a time that does not say.

    Returns
    -------
    tai_ns : `int`
        TAI nanoseconds since 1970, not cut to the times that the format can hold.

    Raises
    ------
    ConfigurationError
        It is not a time.
    """
    found = text.strip()
    for name in ("utc", "tai"):
        if found.lower().endswith(f"/{name}"):
            found, scale = found[: -len(name) - 1].strip(), name
    if re.fullmatch(r"\d{1,6}(\.\d+)?", found):
        return from_mjd(Decimal(found), scale)
    match = _ISO.fullmatch(found)
    hint = "A time looks like 2024-05-01T12:00:00Z, 2024-05-01T12:00:37/tai or, as an MJD, 60431.5."
    if match is None:
        message = f"{text!r} is not a time."
        raise ConfigurationError(message, hint=hint)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    leap = second == "60"
    try:
        moment = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), 59 if leap else int(second or 0),
            tzinfo=datetime.UTC,
        )  # fmt: skip
    except ValueError as error:
        message = f"{text!r} is not a time: {error}."
        raise ConfigurationError(message, hint=hint) from None
    total = ((moment - _EPOCH) // datetime.timedelta(seconds=1)) * _NS
    rest = int((fraction or "0").ljust(9, "0"))
    if zone is not None:
        scale = "utc"
        if zone.upper() != "Z":
            sign = -1 if zone[0] == "-" else 1
            total -= sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60) * _NS
    return (utc_to_tai_ns(total) if scale == "utc" else total) + rest + (_NS if leap else 0)


#: A day of the year, and the time of that day: 2024:121:12:00:00.
_DAY_OF_YEAR = re.compile(r"(\d{4}):(\d{3})(?::(\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?")
#: TAI nanoseconds are those of TT less this.
_TT_NS = 32_184_000_000
#: Forms of times in expressions, and the scale of each where none is given.
_FORMS: dict[str, Literal["utc", "tai"]] = {
    "iso": "utc", "isot": "utc", "fits": "utc", "yday": "utc", "unix": "utc", "mjd": "tai", "jd": "tai",
}  # fmt: skip


def parse_literal(text: str) -> int:
    """Read a time as the Butler's expressions have it: ``FORM/TIME/SCALE``, of which form and scale can be missing.

    Parameters
    ----------
    text : `str`
        Such as ``2024-05-01``, ``60431.5``, ``2024:122:12:00:00``, ``iso/2024-05-01 12:00/tai`` or ``unix/1714564800``.
        Without a scale, numbers of days are TAI and all else is UTC.

    Returns
    -------
    tai_ns : `int`
        TAI nanoseconds since 1970.

    Raises
    ------
    ConfigurationError
        It is not a time.
    """
    parts = [part.strip() for part in text.split("/")]
    form = parts.pop(0).lower() if len(parts) > 1 and parts[0].lower() in _FORMS else ""
    value, scale, *more = *parts, "", ""
    scale = scale.lower()
    if scale not in ("", "utc", "tai", "tt"):
        message = f"{text!r} is not a time: there is no time scale {scale}."
        raise ConfigurationError(message, hint="The scale is utc, tai or tt.")
    number = re.fullmatch(r"-?(\d{1,15}\.?\d*|\.\d+)", value)
    if any(more) or (number is not None) is not (form in ("mjd", "jd", "unix") or (not form and number is not None)):
        message = f"{text!r} is not a time."
        raise ConfigurationError(message)
    form = form or ("mjd" if number is not None else "iso")
    # UNIX counts the seconds of UTC, whatever scale the time is said to be of.
    known = "utc" if form == "unix" else scale or _FORMS[form]
    read: Scale = "utc" if known == "utc" else "tai"
    if form == "unix":
        found = utc_to_tai_ns(int((Decimal(value) * _NS).to_integral_value()))
    elif number is not None:
        found = from_mjd(Decimal(value) - (Decimal("2400000.5") if form == "jd" else 0), read)
    else:
        found = parse_time(_calendar(value), read)
    return found - (_TT_NS if known == "tt" else 0)


def _calendar(text: str) -> str:
    """Return a date with a month for one with the day of the year, or with the sign that FITS gives long years."""
    match = _DAY_OF_YEAR.fullmatch(text)
    if match is None:
        return re.sub(r"^\+0*(?=\d{4}-)", "", text)
    year, day, rest = int(match[1]), int(match[2]), match[3]
    if not year or not 1 <= day <= (366 if calendar.isleap(year) else 365):
        message = f"{text!r} is not a time: the year {year} has no day {day}."
        raise ConfigurationError(message)
    date = datetime.date(year, 1, 1) + datetime.timedelta(days=day - 1)
    return f"{date}T{rest}" if rest else str(date)


def from_mjd(days: Decimal, scale: str = "tai") -> int:
    """Return TAI nanoseconds for a Modified Julian Date."""
    total = int(((days - _MJD_EPOCH) * 86400 * _NS).to_integral_value())
    return utc_to_tai_ns(total) if scale == "utc" else total


def clipped(tai_ns: int) -> int:
    """Return the nearest time that the format can hold."""
    return min(max(tai_ns, MIN_NSEC), MAX_NSEC)
