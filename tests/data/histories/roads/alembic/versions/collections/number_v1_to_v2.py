"""Numbers 2."""

from typing import Any

component, implementation, version = "collections", "Number", "2"

revision = "c00000000012"
down_revision = "c00000000011"
branch_labels = None
depends_on = None


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
