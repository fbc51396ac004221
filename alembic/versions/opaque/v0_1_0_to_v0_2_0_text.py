"""Permit names of opaque tables, and strings of file records, of any length.

Columns become text; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "opaque", "ByNameOpaqueTableStorageManager", "0.2.0"

revision = "77e5b803ad3f"
down_revision = "61f6b63d296d"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
