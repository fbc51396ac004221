"""Three."""

from typing import Any

component, implementation, version = "attributes", "Plain", "3"

revision = "a00000000003"
down_revision = "a00000000002"
branch_labels = None
depends_on = None


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
