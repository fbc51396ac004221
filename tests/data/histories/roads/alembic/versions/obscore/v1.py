"""Make the table."""

from typing import Any

component, implementation, version = "obscore", "Live", "1"

revision = "b00000000001"
down_revision = "b00000000000"
branch_labels = None
depends_on = None


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
