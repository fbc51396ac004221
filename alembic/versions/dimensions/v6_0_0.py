"""Dimensions 6.0.0, where registries begin."""

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "6.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "87a30df8c8c5"
down_revision = "6166dfbb5324"
branch_labels = ("dimensions-StaticDimensionRecordStorageManager",)
depends_on = None
