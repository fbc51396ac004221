"""Add dimensions of solar system processing.

Three tables are new.  Going back drops them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "8"

revision = "aa7a2f893cba"
down_revision = "352c30854bb0"
branch_labels = None
depends_on = None

loses = "records of the three dimensions"


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    names = ("ssp_hypothesis_table", "ssp_hypothesis_bundle", "ssp_balanced_index")
    for name in names:
        table = step.old(name)
        step.refuse_loss(sa.select(*table.primary_key.columns), f"{{count}} records of {name}")
    step.reshape()
