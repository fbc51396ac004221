"""Between TAI nanoseconds, as a registry stores times, and what people read and write; exact for every leap second."""

from __future__ import annotations

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


def from_mjd(days: Decimal, scale: str = "tai") -> int:
    """Return TAI nanoseconds for a Modified Julian Date."""
    total = int(((days - _MJD_EPOCH) * 86400 * _NS).to_integral_value())
    return utc_to_tai_ns(total) if scale == "utc" else total


def clipped(tai_ns: int) -> int:
    """Return the nearest time that the format can hold."""
    return min(max(tai_ns, MIN_NSEC), MAX_NSEC)
