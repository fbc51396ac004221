"""Between UTC timestamps and TAI nanoseconds, in SQL and exact for every leap second.

TAI - UTC comes from pyerfa: whole seconds since 1972-01-01.  From 1968-02-01 to then UTC ran at another rate, so that
the difference grew; the format begins in 1970, so that this one piece is all that is needed of the earlier time.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_RUBBER_END = datetime.datetime(1972, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Leap:
    """From ``utc_s`` (seconds since 1970 in UTC) on, TAI is ``tai_minus_utc_s`` seconds ahead."""

    utc_s: int
    tai_minus_utc_s: int


def _int(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.BigInteger())


@cache
def leap_seconds() -> tuple[Leap, ...]:
    """Return the steps of TAI - UTC since 1972, oldest first."""
    import erfa

    return tuple(
        Leap(
            int((datetime.datetime(row["year"], row["month"], 1, tzinfo=datetime.UTC) - _EPOCH).total_seconds()),
            round(float(row["tai_utc"])),
        )
        for row in erfa.leap_seconds.get()
        if row["year"] >= 1972
    )


@cache
def _rubber() -> tuple[int, int]:
    """Return TAI - UTC at 1970-01-01 in ns, and how much it grew in a day, in ns, until the end of 1971."""
    import erfa

    first, second = (round(float(erfa.dat(1970, 1, day, 0.0)) * 1_000_000_000) for day in (1, 2))
    return first, second - first


def tai_minus_utc(utc_s: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression for TAI - UTC in nanoseconds.

    Parameters
    ----------
    utc_s : `sqlalchemy.ColumnElement`
        Seconds since 1970 in UTC, an integer.
    """
    start, per_day = _rubber()
    # Newest first: nearly all dates are decided by the first comparison.
    whens = [
        (utc_s >= _int(leap.utc_s), _int(leap.tai_minus_utc_s * 1_000_000_000)) for leap in reversed(leap_seconds())
    ]
    growing = _int(start) + utc_s * _int(per_day) // _int(86400)
    return sa.case(*whens, else_=growing)


def tai_ns_to_utc_offset(tai_ns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression for TAI - UTC in nanoseconds at a TAI time.

    A time within a leap second counts as after it, since a timestamp cannot say 23:59:60.

    Parameters
    ----------
    tai_ns : `sqlalchemy.ColumnElement`
        Nanoseconds since 1970-01-01 00:00 TAI.
    """
    start, per_day = _rubber()
    whens = [
        (
            tai_ns >= _int((leap.utc_s + leap.tai_minus_utc_s) * 1_000_000_000),
            _int(leap.tai_minus_utc_s * 1_000_000_000),
        )
        for leap in reversed(leap_seconds())
    ]
    # Within the rubber seconds the rate is so near to one that the TAI time does as well as the UTC time.
    day = _int(86400000000000)
    growing = _int(start) + (tai_ns - _int(start)) / day * sa.literal_column(str(per_day))
    return sa.case(*whens, else_=growing)


def utc_to_tai_ns(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Return the expression that turns a UTC timestamp into TAI nanoseconds.

    Parameters
    ----------
    column : `sqlalchemy.ColumnElement`
        A ``timestamp`` on PostgreSQL; text such as ``2021-05-04 12:00:00.123456`` on SQLite.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    expression : `sqlalchemy.ColumnElement`
        Nanoseconds; NULL for text that is not such a timestamp.
    """
    if dialect == "postgresql":
        # A double holds microseconds since 1970 exactly until the year 2255; numeric arithmetic takes longer.
        micro = sa.cast(sa.func.round(sa.func.date_part("epoch", column) * sa.literal_column("1e6")), sa.BigInteger)
        seconds = sa.cast(sa.func.floor(sa.func.date_part("epoch", column)), sa.BigInteger)
        return micro * _int(1000) + tai_minus_utc(seconds)
    # Rounding: SQLite takes a fraction of 0.9995 and more for the next second.
    seconds = sa.cast(sa.func.strftime("%s", sa.func.substr(column, 1, 19)), sa.BigInteger)
    digits = sa.func.substr(sa.func.substr(column, 21).concat("000000"), 1, 6)
    fraction = sa.case(
        (sa.func.length(column) == 19, _int(0)),
        (sa.func.substr(column, 20, 1) == ".", sa.cast(digits, sa.BigInteger)),
    )
    return seconds * _int(1000000000) + fraction * _int(1000) + tai_minus_utc(seconds)


def tai_ns_to_utc(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Return the expression that turns TAI nanoseconds into a UTC timestamp, cut to microseconds.

    Parameters
    ----------
    column : `sqlalchemy.ColumnElement`
        Nanoseconds since 1970-01-01 00:00 TAI.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    """
    utc_ns = column - tai_ns_to_utc_offset(column)
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        epoch = sa.cast(sa.literal_column("'1970-01-01'"), postgresql.TIMESTAMP())
        microsecond = sa.cast(sa.literal_column("'1 microsecond'"), postgresql.INTERVAL())
        return epoch + microsecond * (utc_ns // _int(1000))
    seconds = utc_ns // _int(1000000000)
    micro = utc_ns % _int(1000000000) // _int(1000)
    text = sa.func.strftime("%Y-%m-%d %H:%M:%S", seconds, "unixepoch")
    return sa.case((micro == 0, text), else_=text.concat(sa.func.printf(".%06d", micro)))
