"""Datasets 2."""

from typing import Any

component, implementation, version = "datasets", "Plain", "2"

revision = "d10000000002"
down_revision = "d10000000001"
branch_labels = None
depends_on = None


def upgrade(step: Any) -> None:
    step.reshape()


def downgrade(step: Any) -> None:
    step.reshape()
