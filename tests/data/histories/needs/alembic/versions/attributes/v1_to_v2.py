"""Attributes 2."""

from typing import Any

component, implementation, version = "attributes", "Plain", "2"

revision = "a10000000002"
down_revision = "a10000000001"
branch_labels = None
depends_on = None

needs = {"datasets": "2"}


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
