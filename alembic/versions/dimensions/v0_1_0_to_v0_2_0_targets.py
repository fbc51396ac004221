"""Let exposures and visits know their target, programme and angles.

The columns are new and empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "0.2.0"

revision = "4f4f243fea82"
down_revision = "c2671338a42f"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
