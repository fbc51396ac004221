"""Permit attributes of any length.

Both columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "attributes", "DefaultButlerAttributeManager", "1.0.0"

revision = "f22a777cf382"
down_revision = "8f2c2c31aac7"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
