"""Keep validity ranges as ranges, on PostgreSQL.

A bound at the beginning or the end of time, or a missing one, becomes an open bound; where both are missing the range
stays NULL.  On SQLite a missing bound becomes the beginning or the end of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "2.2.0"

revision = "36d66ca4d7a3"
down_revision = "2dea9d903dde"
branch_labels = None
depends_on = None

closed = "exposures, visits and labels of calibrations are written again"
changes = dict.fromkeys(("calibration_label", "exposure", "run", "visit"), ("timespan_begin", "timespan_end"))
irreversible = "nothing older than the registries of week 2020.46 can be had again"


#: The beginning and the end of time: TAI nanoseconds since 1970.
MIN_NSEC, MAX_NSEC = 0, 4102444800000000000


def upgrade(step: Step) -> None:
    # Here, since every command reads the scripts, and few need PostgreSQL.
    from sqlalchemy.dialects.postgresql import INT8RANGE

    tables = [name for name, table in step.before.structure.tables.items() if "timespan_begin" in table.columns]
    begin, end = (sa.column(f"timespan_{which}", sa.BigInteger()) for which in ("begin", "end"))
    unknown = sa.and_(begin.is_(None), end.is_(None))
    first, last = _number(MIN_NSEC), _number(MAX_NSEC)
    values: dict[str, sa.ColumnElement[Any]]
    if step.dialect == "sqlite":
        values = {
            "timespan_begin": sa.case((unknown, sa.null()), else_=sa.func.coalesce(begin, first)),
            "timespan_end": sa.case((unknown, sa.null()), else_=sa.func.coalesce(end, last)),
        }
    else:
        low, high = (sa.func.coalesce(column, bound) for column, bound in ((begin, first), (end, last)))
        empty = sa.cast(sa.literal_column("'empty'"), INT8RANGE())
        some = sa.func.int8range(sa.func.nullif(low, first), sa.func.nullif(high, last))
        values = {"timespan": sa.case((unknown, sa.null()), (low >= high, empty), else_=some)}
    step.reshape(fill=dict.fromkeys(tables, values))


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.BigInteger())
