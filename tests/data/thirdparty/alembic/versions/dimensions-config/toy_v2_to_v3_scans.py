"""Keep the scans of plates.

The table scan is new.  Going back drops it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "toy", "3"

revision = "18114554a6fa"
down_revision = "844b8b716e27"
branch_labels = None
depends_on = None

loses = "the scans"


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    scan = step.old("scan")
    step.refuse_loss(sa.select(*scan.primary_key.columns), "{count} scans, the first one is ({first})")
    step.reshape()
