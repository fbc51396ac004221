"""Leap seconds in SQL on PostgreSQL."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.timescale import tai_ns_to_utc, utc_to_tai_ns
from tests.support.instants import INSTANTS, tai_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer


@pytest.fixture
def connection(postgres: PostgresServer) -> Iterator[sa.Connection]:
    url = postgres.new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TIME ZONE 'Australia/Lord_Howe'")
        yield connection
    postgres.drop_database(url)


def test_postgresql_converts_utc_to_tai_and_back_exactly(connection: sa.Connection) -> None:
    instants = {datetime.datetime.fromisoformat(utc): tai_ns(utc) for utc in INSTANTS}
    connection.exec_driver_sql("CREATE TABLE t (utc timestamp, tai bigint)")
    table = sa.table("t", sa.column("utc", sa.TIMESTAMP()), sa.column("tai", sa.BigInteger()))
    connection.execute(sa.insert(table), [{"utc": utc, "tai": tai} for utc, tai in instants.items()])

    forth = utc_to_tai_ns(table.c.utc, "postgresql")
    back = tai_ns_to_utc(table.c.tai, "postgresql")
    rows = connection.execute(sa.select(table.c.utc, forth, back)).all()

    assert [(utc, tai, again) for utc, tai, again in rows if (tai, again) != (instants[utc], utc)] == []
    assert len(rows) == len(instants)


def test_the_first_seconds_of_tai_are_still_1969_in_utc_on_postgresql(connection: sa.Connection) -> None:
    value = connection.scalar(sa.select(tai_ns_to_utc(sa.literal_column("0", sa.BigInteger()), "postgresql")))
    assert value == datetime.datetime(1969, 12, 31, 23, 59, 51, 999918)  # noqa: DTZ001 (as the column)
