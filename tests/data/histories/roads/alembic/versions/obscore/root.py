"""Root."""

component = "obscore"

origin = True

revision = "b00000000000"
down_revision = None
branch_labels = ("obscore",)
depends_on = None
