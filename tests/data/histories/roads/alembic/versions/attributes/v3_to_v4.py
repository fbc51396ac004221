"""Four."""

from typing import Any

component, implementation, version = "attributes", "Plain", "4"

revision = "a00000000004"
down_revision = "a00000000003"
branch_labels = None
depends_on = None

irreversible = "nobody knows the way back"


def upgrade(step: Any) -> None:
    step.reshape()
