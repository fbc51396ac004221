"""Between UTC timestamps and TAI nanoseconds, in SQL and exact for every leap second.

TAI - UTC comes from pyerfa: whole seconds since 1972-01-01.  From 1968-02-01 to then UTC ran at another rate, so that
the difference grew; the format begins in 1970, so that this one piece is all that is needed of the earlier time.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fractions import Fraction
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
def _rubber() -> tuple[int, Fraction]:
    """Return TAI - UTC at 1970-01-01 in ns, and how fast it grew with UTC until the end of 1971."""
    import erfa

    first, second = (round(float(erfa.dat(1970, 1, day, 0.0)) * 1_000_000_000) for day in (1, 2))
    # Lowest terms, so that nothing overflows: 3 ns in 0.1 s.
    return first, Fraction(second - first, 86_400_000_000_000)


def tai_minus_utc(utc_ns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression for TAI - UTC in nanoseconds.

    Parameters
    ----------
    utc_ns : `sqlalchemy.ColumnElement`
        Nanoseconds since 1970 in UTC, an integer that does not count leap seconds.
    """
    start, rate = _rubber()
    # Newest first: nearly all dates are decided by the first comparison.
    whens = [
        (utc_ns >= _int(leap.utc_s * 1_000_000_000), _int(leap.tai_minus_utc_s * 1_000_000_000))
        for leap in reversed(leap_seconds())
    ]
    growing = _int(start) + utc_ns * _int(rate.numerator) // _int(rate.denominator)
    return sa.case(*whens, else_=growing)


def tai_ns_to_utc_offset(tai_ns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression for TAI - UTC in nanoseconds at a TAI time.

    A time within a leap second counts as after it, since a timestamp cannot say 23:59:60.

    Parameters
    ----------
    tai_ns : `sqlalchemy.ColumnElement`
        Nanoseconds since 1970-01-01 00:00 TAI.
    """
    start, rate = _rubber()
    whens = [
        (
            tai_ns >= _int((leap.utc_s + leap.tai_minus_utc_s) * 1_000_000_000),
            _int(leap.tai_minus_utc_s * 1_000_000_000),
        )
        for leap in reversed(leap_seconds())
    ]
    # The rate is per UTC, and a TAI time holds what has grown already.
    growing = _int(start) + (tai_ns - _int(start)) * _int(rate.numerator) // _int(rate.denominator + rate.numerator)
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
        utc_ns = micro * _int(1000)
        return utc_ns + tai_minus_utc(utc_ns)
    # Rounding: SQLite takes a fraction of 0.9995 and more for the next second.
    seconds = sa.cast(sa.func.strftime("%s", sa.func.substr(column, 1, 19)), sa.BigInteger)
    digits = sa.func.substr(sa.func.substr(column, 21).concat("000000"), 1, 6)
    fraction = sa.case(
        (sa.func.length(column) == 19, _int(0)),
        (sa.func.substr(column, 20, 1) == ".", sa.cast(digits, sa.BigInteger)),
    )
    utc_ns = seconds * _int(1000000000) + fraction * _int(1000)
    return utc_ns + tai_minus_utc(utc_ns)


def tai_ns_to_utc(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Return the expression that turns TAI nanoseconds into a UTC timestamp, cut to microseconds.

    Parameters
    ----------
    column : `sqlalchemy.ColumnElement`
        Nanoseconds since 1970-01-01 00:00 TAI.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    """
    # Counted from a day earlier: the first seconds of 1970 TAI are still 1969 in UTC, and division cuts towards zero.
    micro = (column - tai_ns_to_utc_offset(column) + _int(86_400_000_000_000)) // _int(1000)
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        microsecond = sa.cast(sa.literal_column("'1 microsecond'"), postgresql.INTERVAL())
        epoch = sa.cast(sa.literal_column("'1969-12-31'"), postgresql.TIMESTAMP())
        # The operator is named, since SQLAlchemy does not know that intervals can be multiplied.
        # The cast keeps the division in parentheses: dividing the interval instead would round.
        return epoch + microsecond.op("*", return_type=postgresql.INTERVAL())(sa.cast(micro, sa.BigInteger))
    text = sa.func.strftime("%Y-%m-%d %H:%M:%S", micro // _int(1000000) - _int(86400), "unixepoch")
    fraction = micro % _int(1000000)
    return sa.case((fraction == 0, text), else_=text.concat(sa.func.printf(".%06d", fraction)))
