"""Records of observing days, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.database import Database
from registrytool.dimension_data import add_day_obs
from tests.support.content_states import CATALOG
from tests.support.registries import make

if TYPE_CHECKING:
    from tests.support.places import Place

DAY_NS = 86_400_000_000_000
OFFSETS = {"known": [(0, 3600), (20200101, 7200)]}
SECONDS = {20191231: 1_577_750_400 + 3600, 20200101: 1_577_836_800 + 7200, 20240229: 1_709_164_800 + 7200}


def timespans(place: Place, days: list[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int] | None]:
    """Add records of observing days and return their timespans."""
    repository = make(place)
    database = Database.of(repository)
    metadata = CATALOG.metadata(CATALOG.newest_state(), place.dialect, namespace=place.namespace)
    tables = {t.name: t for t in metadata.tables.values()}
    with database.write("test") as connection:
        connection.execute(sa.insert(tables["instrument"]), [{"name": name} for name in sorted({d[0] for d in days})])
        wanted = sa.union_all(
            *(
                sa.select(
                    sa.literal(name, sa.Text()).label("instrument"), sa.literal(day, sa.BigInteger()).label("day_obs")
                )
                for name, day in days
            )
        )
        for _ in range(2):  # what is there already stays
            add_day_obs(connection.execute, tables["day_obs"], wanted, OFFSETS, place.dialect)
        day_obs = tables["day_obs"]
        bounds: list[sa.ColumnElement[int]]
        if place.dialect == "sqlite":
            bounds = [day_obs.c.timespan_begin, day_obs.c.timespan_end]
        else:
            bounds = [sa.func.lower(day_obs.c.timespan), sa.func.upper(day_obs.c.timespan)]
        rows = connection.execute(sa.select(day_obs.c.instrument, day_obs.c.id, *bounds)).all()
    return {(name, day): None if begin is None else (begin, end) for name, day, begin, end in rows}


def test_a_day_begins_at_the_offset_that_held_then(place: Place) -> None:
    found = timespans(place, [("known", day) for day in SECONDS])
    assert found == {("known", d): (s * 10**9, s * 10**9 + DAY_NS) for d, s in SECONDS.items()}


def test_a_day_of_an_unknown_instrument_has_no_timespan(place: Place) -> None:
    assert timespans(place, [("stranger", 20240229)]) == {("stranger", 20240229): None}


def test_a_number_that_is_no_day_has_no_timespan(place: Place) -> None:
    numbers = [0, 1, 20240230, 20241301, 20240100, 19691231, 21000101, 99991231, 2**63 - 1, -20240101]
    assert timespans(place, [("known", n) for n in numbers]) == {("known", n): None for n in numbers}
