"""Permit collections of calibrations.

Nothing changes but the version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "NameKeyCollectionManager", "0.3.0"

revision = "e866114194e1"
down_revision = "3ce2d3adf1f5"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
