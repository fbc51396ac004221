"""Root of the tree of datasets.

It stands for no version.
"""

component = "datasets"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "059cc7b7ef13"
down_revision = None
branch_labels = ("datasets",)
depends_on = None
