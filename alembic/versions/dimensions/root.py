"""Root of the tree of dimensions.

It stands for no version.
"""

component = "dimensions"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "6166dfbb5324"
down_revision = None
branch_labels = ("dimensions",)
depends_on = None
