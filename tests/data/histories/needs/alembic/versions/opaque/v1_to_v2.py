"""Opaque 2."""

from typing import Any

component, implementation, version = "opaque", "Plain", "2"

revision = "010000000002"
down_revision = "010000000001"
branch_labels = None
depends_on = None

needs = {"attributes": "2", "datasets": "2"}


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
