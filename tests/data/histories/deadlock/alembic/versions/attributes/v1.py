"""Attributes 1."""

component, implementation, version = "attributes", "Plain", "1"

origin = True

revision = "a20000000001"
down_revision = None
branch_labels = None
depends_on = None
