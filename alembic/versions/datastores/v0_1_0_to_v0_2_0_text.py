"""Permit names of datastores of any length.

Two columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.0"

revision = "a07b3b60e369"
down_revision = "bb8b5df7ff80"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
