"""From names to numbers."""

from typing import Any

component, implementation, version = "collections", "Number", "1"

revision = "c00000000111"
down_revision = "c00000000001"
branch_labels = None
depends_on = None

irreversible = "names are gone"


def upgrade(step: Any) -> None:
    step.reshape()
