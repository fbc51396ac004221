"""Root of the tree of dimension universes.

It stands for no version.
"""

component = "dimensions-config"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "3e2891b82110"
down_revision = None
branch_labels = ("dimensions-config",)
depends_on = None
