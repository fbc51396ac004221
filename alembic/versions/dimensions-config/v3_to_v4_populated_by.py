"""Say which records come with a visit.

Only the configuration changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "4"

revision = "9888256c6a18"
down_revision = "c5ae3a2cd7c2"
branch_labels = None
depends_on = None


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
