"""Give the universe its name and HEALPix pixels.

Only the configuration changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "1"

revision = "380002bcbb26"
down_revision = "f3bcee34f344"
branch_labels = None
depends_on = None


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
