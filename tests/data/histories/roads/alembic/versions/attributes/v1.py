"""Attributes 1, where registries begin."""

component, implementation, version = "attributes", "Plain", "1"

origin = True

revision = "a00000000001"
down_revision = "a00000000000"
branch_labels = None
depends_on = None
