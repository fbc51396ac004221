"""Instants around every leap second, and what they are in TAI, by pyerfa and exact arithmetic."""

from __future__ import annotations

import datetime
from fractions import Fraction

import erfa

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 (UTC throughout, as the timestamps of the database)
_FORMAT = "%Y-%m-%d %H:%M:%S"

BOUNDARIES = [
    datetime.datetime(int(row["year"]), int(row["month"]), 1)  # noqa: DTZ001
    for row in erfa.leap_seconds.get()
    if row["year"] >= 1972
]
"""When TAI - UTC changed, in UTC."""


def _around(moment: datetime.datetime) -> list[str]:
    offsets = ("-86400", "-1.000001", "-1", "-0.999999", "-0.5", "-0.000001", "0", "0.000001", "0.999999", "1", "86400")
    moments = [moment + datetime.timedelta(microseconds=int(Fraction(o) * 1_000_000)) for o in offsets]
    return [text(m) for m in moments]


def text(moment: datetime.datetime) -> str:
    """Write an instant as SQLite has it, without a fraction if there is none."""
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return moment.strftime(_FORMAT) + fraction


INSTANTS = sorted(
    {
        *(text_ for moment in BOUNDARIES for text_ in _around(moment)),
        *_around(datetime.datetime(1971, 1, 1)),  # noqa: DTZ001
        "1970-01-01 00:00:00",
        "1970-01-01 00:00:00.000001",
        "1970-07-02 12:34:56.789012",
        "1971-12-31 23:59:59.999999",
        "2021-05-04 12:00:00",
        "2024-02-29 23:59:59.999999",
        "2027-12-31 23:59:59.000001",
    }
)


def tai_ns(utc: str) -> int:
    """Return the TAI nanoseconds of a UTC instant, cut to whole ones."""
    moment = datetime.datetime.fromisoformat(utc)
    utc_ns = (moment - _EPOCH) // datetime.timedelta(microseconds=1) * 1000
    if moment.year < 1972:
        # The difference grew all day: exact from its values at the beginning of two days, which pyerfa gives.
        start, end = (Fraction(round(float(erfa.dat(1970, 1, day, 0.0)) * 10**9)) for day in (1, 2))
        return utc_ns + (start + (end - start) * utc_ns / 86_400_000_000_000).__floor__()
    return utc_ns + round(float(erfa.dat(moment.year, moment.month, moment.day, 0.0))) * 10**9
