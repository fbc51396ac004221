"""Let collections have documentation strings.

collection.doc is new and empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.0.0"

revision = "8c57494cabcc"
down_revision = "97a6aabd8998"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
