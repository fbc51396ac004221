"""Say that there are collections of calibrations.

Nothing changes but the version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "5.0.0"

revision = "a1e0fefed6c7"
down_revision = "e45766f0daea"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
