"""Permit names of collections of any length.

Columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "0.2.0"

revision = "1a93ca89bc27"
down_revision = "079a1bc77f25"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
