"""Permit observation reasons of 68 characters.

The columns observation_reason of exposure and visit become text.  Going back is refused while there are longer ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "3"

revision = "c5ae3a2cd7c2"
down_revision = "bf6308af80aa"
branch_labels = None
depends_on = None


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    for name in ("exposure", "visit"):
        table = step.old(name)
        step.refuse_if(
            sa.select(table.c.instrument, table.c.id).where(sa.func.length(table.c.observation_reason) > 32),
            f"{{count}} records of {name} have an observation reason of more than 32 characters, "
            "the first one is ({first}).",
            "Shorten them and run the same command again.",
        )
    step.reshape()
