"""Opaque 1."""

component, implementation, version = "opaque", "Plain", "1"

origin = True

revision = "010000000001"
down_revision = None
branch_labels = None
depends_on = None
