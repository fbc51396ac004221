"""Root."""

component = "collections"

origin = True

revision = "c00000000000"
down_revision = None
branch_labels = ("collections",)
depends_on = None
