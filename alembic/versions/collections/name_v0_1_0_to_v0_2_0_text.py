"""Permit names of collections of any length.

Columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "NameKeyCollectionManager", "0.2.0"

revision = "3ce2d3adf1f5"
down_revision = "a56af31bd899"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
