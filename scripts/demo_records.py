#!/usr/bin/env python3
"""Put a few records into the demonstration repository, or show what became of them.

    scripts/demo_records.py fill FILE      FILE is the SQLite database of a repository with universe 4
    scripts/demo_records.py show FILE      of any universe

Uses SQLite alone: the records are those of a client, but no client is needed.
"""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

INSTRUMENT = "LATISS"
FILTER = "SDSSr_65mm~empty"

#: Nanoseconds since 1970 (TAI): 2023-08-08 23:00, and how long one exposure takes.
FIRST_NIGHT_NS = 1_691_535_600 * 10**9
EXPOSURE_NS = 30 * 10**9
DAY_NS = 86400 * 10**9

#: Day, number in the sequence of the day, type.
EXPOSURES = ((20230808, 1, "bias"), (20230808, 2, "science"), (20230808, 3, "science"), (20230809, 1, "dark"),
             (20230809, 2, "science"))  # fmt: skip
#: Visit and its exposures, by day and number in the sequence.
VISITS = {2023080800002: ((20230808, 2), (20230808, 3)), 2023080900002: ((20230809, 2),)}


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("fill", "show"))
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    if not arguments.file.is_file():
        parser.error(f"there is no file {arguments.file}")
    with closing(sqlite3.connect(arguments.file)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        if arguments.action == "fill":
            fill(connection)
        show(connection)


def fill(connection: sqlite3.Connection) -> None:
    """Write the records."""
    insert(
        connection,
        "instrument",
        name=INSTRUMENT,
        visit_max=6_050_123_199_999,
        visit_system=2,
        exposure_max=6_050_123_199_999,
        detector_max=1000,
        class_name="lsst.obs.lsst.Latiss",
    )
    insert(
        connection,
        "detector",
        instrument=INSTRUMENT,
        id=0,
        full_name="RXX_S00",
        name_in_raft="RXX_S00",
        purpose="SCIENCE",
    )
    insert(connection, "physical_filter", instrument=INSTRUMENT, name=FILTER, band="r")
    insert(connection, "visit_system", instrument=INSTRUMENT, id=2, name="by-seq-start-end")
    for day, number, kind in EXPOSURES:
        begin, end = timespan(day, number)
        insert(
            connection,
            "exposure",
            instrument=INSTRUMENT,
            id=exposure_id(day, number),
            physical_filter=FILTER,
            obs_id=f"AT_O_{day}_{number:06d}",
            exposure_time=30.0,
            observation_type=kind,
            day_obs=day,
            seq_num=number,
            seq_start=number,
            seq_end=number,
            group_name=f"{day}-{number}",
            group_id=number,
            timespan_begin=begin,
            timespan_end=end,
        )
    for visit, members in VISITS.items():
        insert(
            connection,
            "visit",
            instrument=INSTRUMENT,
            id=visit,
            physical_filter=FILTER,
            name=f"visit-{visit}",
            day_obs=members[0][0],
            seq_num=members[0][1],
            exposure_time=30.0 * len(members),
            timespan_begin=timespan(*members[0])[0],
            timespan_end=timespan(*members[-1])[1],
        )
        insert(connection, "visit_system_membership", instrument=INSTRUMENT, visit_system=2, visit=visit)
        for member in members:
            insert(connection, "visit_definition", instrument=INSTRUMENT, exposure=exposure_id(*member), visit=visit)


def exposure_id(day: int, number: int) -> int:
    """Return the identifier of an exposure."""
    return day * 100_000 + number


def timespan(day: int, number: int) -> tuple[int, int]:
    """Return begin and end of an exposure, in nanoseconds since 1970 (TAI)."""
    begin = FIRST_NIGHT_NS + (day - EXPOSURES[0][0]) * DAY_NS + number * EXPOSURE_NS
    return begin, begin + EXPOSURE_NS


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    """Insert one row."""
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


def show(connection: sqlite3.Connection) -> None:
    """Print the exposures with their days and groups, and the observing days if they have a table."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(exposure)")]
    wanted = [c for c in ("id", "day_obs", "group_name", "group", "observation_type", "can_see_sky") if c in columns]
    names = ", ".join(f'"{c}"' for c in wanted)
    visits = connection.execute("SELECT count(*) FROM visit").fetchone()[0]
    rows = connection.execute(f"SELECT {names} FROM exposure ORDER BY id").fetchall()
    print(f"  {visits} visits, {len(rows)} exposures: {', '.join(wanted)}")
    for row in rows:
        print("   ", *("-" if value is None else value for value in row))
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'day_obs'").fetchone():
        days = connection.execute("SELECT id, timespan_begin, timespan_end FROM day_obs ORDER BY id").fetchall()
        print(f"  {len(days)} observing days: id, begin and end in ns (TAI)")
        for day in days:
            print("   ", *day)


if __name__ == "__main__":
    main()
