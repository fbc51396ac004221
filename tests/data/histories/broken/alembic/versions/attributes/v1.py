"""One."""

component, implementation, version = "attributes", "Plain", "1"

origin = True

revision = "a30000000001"
down_revision = None
branch_labels = None
depends_on = None
