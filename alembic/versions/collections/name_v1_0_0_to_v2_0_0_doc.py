"""Let collections have documentation strings.

collection.doc is new and empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "NameKeyCollectionManager", "2.0.0"

revision = "93341d68b814"
down_revision = "5e75e5391603"
branch_labels = None
depends_on = None

irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    step.reshape()
