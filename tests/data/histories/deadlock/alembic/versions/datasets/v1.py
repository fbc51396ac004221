"""Datasets 1."""

component, implementation, version = "datasets", "Plain", "1"

origin = True

revision = "d20000000001"
down_revision = None
branch_labels = None
depends_on = None
