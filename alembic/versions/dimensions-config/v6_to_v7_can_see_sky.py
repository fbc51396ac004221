"""Say of exposures whether they can see the sky.

exposure.can_see_sky is filled from the type of the observation.  Going back loses what does not follow from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "7"

revision = "352c30854bb0"
down_revision = "1fae088c80b6"
branch_labels = None
depends_on = None

loses = "exposure.can_see_sky where it does not follow from the observation type"


#: Observation types that decide it; of others it is not known.
SEE = ("science", "object", "standard", "sky flat", "standard_star", "skyflat", "focus", "focusing", "exp", "skyexp")
SEE_NOT = ("dark", "bias", "agexp", "domeflat", "dome flat", "zero", "spot")


def _can_see_sky(exposure: sa.Table) -> sa.ColumnElement[bool | None]:
    kind = exposure.c.observation_type
    return sa.case((kind.in_(SEE), sa.true()), (kind.in_(SEE_NOT), sa.false()), else_=sa.null())


def upgrade(step: Step) -> None:
    step.reshape(fill={"exposure": {"can_see_sky": _can_see_sky(step.old("exposure"))}})


def downgrade(step: Step) -> None:
    exposure = step.old("exposure")
    derived = sa.cast(_can_see_sky(exposure), sa.Boolean())
    step.refuse_loss(
        sa.select(exposure.c.instrument, exposure.c.id).where(exposure.c.can_see_sky.is_distinct_from(derived)),
        "what {count} exposures say of can_see_sky, the first one is ({first})",
    )
    step.reshape()
