"""Root of the tree of attributes.

It stands for no version.
"""

component = "attributes"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "f0a3531f97ca"
down_revision = None
branch_labels = ("attributes",)
depends_on = None
