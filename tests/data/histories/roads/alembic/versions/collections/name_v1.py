"""Names, where registries begin."""

component, implementation, version = "collections", "Name", "1"

origin = True

revision = "c00000000001"
down_revision = "c00000000000"
branch_labels = None
depends_on = None
