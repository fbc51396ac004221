"""Dimensions 0.1.0, where registries begin."""

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "c2671338a42f"
down_revision = "6166dfbb5324"
branch_labels = ("dimensions-StaticDimensionRecordStorageManager",)
depends_on = None
