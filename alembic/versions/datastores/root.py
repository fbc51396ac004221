"""Root of the tree of datastores.

It stands for no version.
"""

component = "datastores"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "6e7967ca2f9c"
down_revision = None
branch_labels = ("datastores",)
depends_on = None
