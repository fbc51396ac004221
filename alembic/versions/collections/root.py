"""Root of the tree of collections.

It stands for no version.
"""

component = "collections"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "8d2e9de2f21f"
down_revision = None
branch_labels = ("collections",)
depends_on = None
