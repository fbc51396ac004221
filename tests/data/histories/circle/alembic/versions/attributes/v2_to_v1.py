"""One."""

from typing import Any

component, implementation, version = "attributes", "Plain", "1"

revision = "a40000000001"
down_revision = "a40000000002"
branch_labels = None
depends_on = None


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
