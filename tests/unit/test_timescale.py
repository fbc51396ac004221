"""Leap seconds in SQL; the same claims hold on PostgreSQL, in ``tests/integration/test_timescale.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.timescale import leap_seconds, tai_ns_to_utc, utc_to_tai_ns
from tests.support.instants import BOUNDARIES, INSTANTS, tai_ns

if TYPE_CHECKING:
    from collections.abc import Sequence


def on_sqlite(expression: sa.ColumnElement[object], values: Sequence[object]) -> list[object]:
    """Evaluate an expression of the column ``v`` for each value."""
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (v)")
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(value,) for value in values])
        return list(connection.scalars(sa.select(expression).select_from(sa.table("t", sa.column("v")))))


TO_TAI = utc_to_tai_ns(sa.column("v"), "sqlite")
TO_UTC = tai_ns_to_utc(sa.column("v"), "sqlite")


def test_there_are_27_leap_seconds_since_1972() -> None:
    steps = [leap.tai_minus_utc_s for leap in leap_seconds()]
    assert steps[:28] == list(range(10, 38))


def test_the_instants_are_around_every_leap_second() -> None:
    assert len(BOUNDARIES) == len(leap_seconds())


def test_sqlite_converts_utc_to_tai_exactly() -> None:
    assert dict(zip(INSTANTS, on_sqlite(TO_TAI, INSTANTS), strict=True)) == {utc: tai_ns(utc) for utc in INSTANTS}


def test_sqlite_converts_tai_to_utc_exactly() -> None:
    assert on_sqlite(TO_UTC, [tai_ns(utc) for utc in INSTANTS]) == INSTANTS


def test_known_times_are_right() -> None:
    # By hand: TAI - UTC was 37 s in 2020 and 10 s at the beginning of 1972.
    known = {"2020-01-01 00:00:00": 1_577_836_837_000_000_000, "1972-01-01 00:00:00": 63_072_010_000_000_000}
    assert {utc: tai_ns(utc) for utc in known} == known
    assert on_sqlite(TO_TAI, list(known)) == list(known.values())


def test_sqlite_takes_any_number_of_digits_of_a_second() -> None:
    found = on_sqlite(TO_TAI, ["2020-01-01 00:00:00.5", "2020-01-01 00:00:00.123456789"])
    assert found == [1_577_836_837_500_000_000, 1_577_836_837_123_456_000]


def test_sqlite_gives_null_for_what_is_no_timestamp() -> None:
    found = on_sqlite(TO_TAI, [None, "yesterday", "2020-01-01 00:00:00+01:00", "2020-13-01 00:00:00"])
    assert found == [None, None, None, None]


def test_the_first_seconds_of_tai_are_still_1969_in_utc() -> None:
    assert on_sqlite(TO_UTC, [0]) == ["1969-12-31 23:59:51.999918"]


def test_a_time_within_a_leap_second_counts_as_after_it() -> None:
    within = tai_ns("2017-01-01 00:00:00") - 500_000_000
    assert on_sqlite(TO_UTC, [within]) == ["2017-01-01 00:00:00.500000"]
