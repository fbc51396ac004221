"""Validity ranges and the time that observations take: half-open, in TAI nanoseconds since 1970.

SQLite keeps a range in two columns, in which 0 and the year 2100 stand for "no bound"; PostgreSQL in one of type
``int8range``.  Here both are one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.catalog import MAX_NSEC, MIN_NSEC

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, order=True)
class Timespan:
    """A half-open range of time.

    Attributes
    ----------
    begin_ns, end_ns : `int`
        TAI nanoseconds since 1970-01-01 00:00:00 TAI; `MIN_NSEC` and `MAX_NSEC` stand for "no bound".  A range whose
        end is not after its begin is empty.
    """

    begin_ns: int = MIN_NSEC
    end_ns: int = MAX_NSEC

    @classmethod
    def of(cls, begin_ns: int | None, end_ns: int | None) -> Timespan:
        """Return the range between two times, either of which can be missing; times are cut to those of the format."""
        begin = MIN_NSEC if begin_ns is None else min(max(begin_ns, MIN_NSEC), MAX_NSEC)
        end = MAX_NSEC if end_ns is None else min(max(end_ns, MIN_NSEC), MAX_NSEC)
        return cls(begin, end) if begin < end else EMPTY

    @property
    def begin(self) -> int | None:
        """Begin in TAI nanoseconds, `None` if there is no bound."""
        return None if self.begin_ns <= MIN_NSEC else self.begin_ns

    @property
    def end(self) -> int | None:
        """End in TAI nanoseconds, `None` if there is no bound."""
        return None if self.end_ns >= MAX_NSEC else self.end_ns

    @property
    def empty(self) -> bool:
        """Whether no time is in it."""
        return self.begin_ns >= self.end_ns

    def overlaps(self, other: Timespan) -> bool:
        """Return whether some time is in both."""
        return self.begin_ns < other.end_ns and other.begin_ns < self.end_ns

    def without(self, other: Timespan) -> list[Timespan]:
        """Return what is left when the times of another range are taken away: none, one or two ranges."""
        if not self.overlaps(other):
            return [] if self.empty else [self]
        parts = [Timespan(self.begin_ns, other.begin_ns), Timespan(other.end_ns, self.end_ns)]
        return [part for part in parts if not part.empty]


#: The empty range, as the Butler writes it.
EMPTY = Timespan(MAX_NSEC, MIN_NSEC)
#: All of time.
ALWAYS = Timespan()


def columns(table: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    """Return the columns that hold the range of a table: one on PostgreSQL, two on SQLite."""
    return [c for c in table.c if c.name in ("timespan", "timespan_begin", "timespan_end")]


def values(timespan: Timespan | None, dialect: str) -> dict[str, Any]:
    """Return the values of the columns of a range, for an INSERT or an UPDATE; `None` is NULL."""
    if dialect == "sqlite":
        if timespan is None:
            return {"timespan_begin": None, "timespan_end": None}
        return {"timespan_begin": timespan.begin_ns, "timespan_end": timespan.end_ns}
    if timespan is None:
        return {"timespan": None}
    from sqlalchemy.dialects.postgresql import Range

    if timespan.empty:
        return {"timespan": Range(empty=True)}
    return {"timespan": Range(timespan.begin, timespan.end)}


def read(row: Mapping[str, Any]) -> Timespan | None:
    """Return the range in a row, given as a mapping of column names to values."""
    if "timespan" in row:
        found = row["timespan"]
        if found is None:
            return None
        return EMPTY if found.isempty else Timespan.of(found.lower, found.upper)
    if row["timespan_begin"] is None or row["timespan_end"] is None:
        return None
    return Timespan.of(row["timespan_begin"], row["timespan_end"])


def begin(table: sa.FromClause) -> sa.ColumnElement[Any]:
    """Return the expression for the begin of the range of a table; NULL where there is no range, or an empty one."""
    if "timespan" in table.c:
        span = table.c.timespan
        bound = sa.case((sa.func.lower_inf(span), sa.literal_column(str(MIN_NSEC))), else_=sa.func.lower(span))
        return sa.type_coerce(bound, sa.BigInteger())
    return sa.type_coerce(table.c.timespan_begin, sa.BigInteger())


def end(table: sa.FromClause) -> sa.ColumnElement[Any]:
    """Return the expression for the end of the range of a table; NULL where there is no range, or an empty one."""
    if "timespan" in table.c:
        span = table.c.timespan
        bound = sa.case((sa.func.upper_inf(span), sa.literal_column(str(MAX_NSEC))), else_=sa.func.upper(span))
        return sa.type_coerce(bound, sa.BigInteger())
    return sa.type_coerce(table.c.timespan_end, sa.BigInteger())


def overlaps(table: sa.FromClause, timespan: Timespan) -> sa.ColumnElement[bool]:
    """Return the condition that the range of a row and a given one have some time in common."""
    if "timespan" in table.c:
        from sqlalchemy.dialects.postgresql import INT8RANGE

        wanted = sa.literal(values(timespan, "postgresql")["timespan"], INT8RANGE())
        return table.c.timespan.op("&&", is_comparison=True)(wanted)
    return sa.and_(
        table.c.timespan_begin < timespan.end_ns,
        table.c.timespan_end > timespan.begin_ns,
        table.c.timespan_begin < table.c.timespan_end,
        sa.literal(not timespan.empty),
    )


def overlap(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that the ranges of two rows have some time in common."""
    if "timespan" in one.c:
        return one.c.timespan.op("&&", is_comparison=True)(other.c.timespan)
    return sa.and_(
        one.c.timespan_begin < other.c.timespan_end,
        other.c.timespan_begin < one.c.timespan_end,
        one.c.timespan_begin < one.c.timespan_end,
        other.c.timespan_begin < other.c.timespan_end,
    )
