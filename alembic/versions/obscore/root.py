"""Root of the tree of the ObsCore table.

It stands for no version.
"""

component = "obscore"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "8b8e030aba2b"
down_revision = None
branch_labels = ("obscore",)
depends_on = None
