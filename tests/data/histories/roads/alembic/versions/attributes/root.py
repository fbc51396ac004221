"""Root."""

component = "attributes"

origin = True

revision = "a00000000000"
down_revision = None
branch_labels = ("attributes",)
depends_on = None
