"""Permit strings of any length, and do without labels of calibrations.

Columns become text; observation_reason of exposures and visits is new and empty.  The table calibration_label goes:
datasets 0.3.0 made validity ranges of the labels that any dataset had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "4.0.0"

revision = "e45766f0daea"
down_revision = "3859eac451aa"
branch_labels = None
depends_on = None

needs = {"datasets": "0.3.0"}
#: What its rows said is in the validity ranges of datasets.
drops = {"calibration_label": ("*",)}
closed = "a table goes that older clients read"
irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
