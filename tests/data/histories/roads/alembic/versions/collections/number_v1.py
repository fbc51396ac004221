"""Numbers, where registries begin."""

component, implementation, version = "collections", "Number", "1"

origin = True

revision = "c00000000011"
down_revision = "c00000000000"
branch_labels = None
depends_on = None
