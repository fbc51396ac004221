"""Permit names of dataset types of any length.

Columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManager", "0.2.0"

revision = "38a9414ea7a2"
down_revision = "eb5a3cc76666"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
