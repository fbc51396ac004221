"""Say of plates who took them, and whether that took long.

plate.long follows from the exposure time.  Going back loses the observers, and what does not follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "toy", "2"

revision = "844b8b716e27"
down_revision = "5f9883672111"
branch_labels = None
depends_on = None

loses = "observers, and plate.long where it does not follow from the exposure time"

#: Exposures that take longer are long, in seconds.
LONG_S = 600.0


def _long(plate: sa.Table) -> sa.ColumnElement[bool | None]:
    time = plate.c.exposure_time
    return sa.case((time > LONG_S, sa.true()), (time <= LONG_S, sa.false()), else_=sa.null())


def upgrade(step: Step) -> None:
    step.reshape(fill={"plate": {"long": _long(step.old("plate"))}})


def downgrade(step: Step) -> None:
    plate = step.old("plate")
    derived = sa.cast(_long(plate), sa.Boolean())
    step.refuse_loss(
        sa.select(plate.c.instrument, plate.c.id).where(
            plate.c.observer.is_not(None) | plate.c.long.is_distinct_from(derived)
        ),
        "what {count} plates say of their observers and of being long, the first one is ({first})",
    )
    step.reshape()
