"""Forget the digests of schemas, which nobody checks any more.

No table changes.  Going back computes the digests anew from the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "attributes", "DefaultButlerAttributeManager", "1.0.1"

revision = "c0e4f9ab4a5d"
down_revision = "f22a777cf382"
branch_labels = None
depends_on = None

changes = {"butler_attributes": ("*",)}


def upgrade(step: Step) -> None:
    step.remove_attributes("schema_digest:")


def downgrade(step: Step) -> None:
    for name, value in step.digests().items():
        step.set_attribute(name, value)
