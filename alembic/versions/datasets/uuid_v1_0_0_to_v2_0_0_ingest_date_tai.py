"""Keep ingest dates as TAI nanoseconds instead of UTC timestamps.

Every row of the table dataset is written again, with the leap seconds of its own date.  Going back cuts what is
finer than a microsecond, and dates within a leap second come out one second later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.timescale import tai_ns_to_utc, utc_to_tai_ns

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "2.0.0"

revision = "4e2d7a28475b"
down_revision = "2101fbf51ad3"
branch_labels = None
depends_on = None

#: The way down brings the timestamps back.
changes = {"dataset": ("ingest_date",)}
closed = "every row of the table dataset is written again, while nobody can read it"
loses = "what is finer than a microsecond in ingest dates"


def upgrade(step: Step) -> None:
    dialect = step.dialect
    step.reshape(fill={"dataset": {"ingest_date": utc_to_tai_ns(sa.column("ingest_date", sa.TIMESTAMP()), dialect)}})


def downgrade(step: Step) -> None:
    date = sa.column("ingest_date", sa.BigInteger())
    dataset = step.old("dataset")
    step.refuse_loss(
        sa.select(dataset.c.id).where(dataset.c.ingest_date % 1000 != 0),
        "the nanoseconds of the ingest dates of {count} datasets",
    )
    step.reshape(fill={"dataset": {"ingest_date": tai_ns_to_utc(date, step.dialect)}})
