"""Root of the tree of opaque tables.

It stands for no version.
"""

component = "opaque"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "c2c46f409743"
down_revision = None
branch_labels = ("opaque",)
depends_on = None
