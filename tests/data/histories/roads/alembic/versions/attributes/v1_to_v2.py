"""Two."""

from typing import Any

component, implementation, version = "attributes", "Plain", "2"

revision = "a00000000002"
down_revision = "a00000000001"
branch_labels = None
depends_on = None

options = {"colour": "Any colour"}
loses = "colours"


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
