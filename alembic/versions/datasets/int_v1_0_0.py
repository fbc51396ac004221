"""Datasets with integer identifiers 1.0.0, where registries begin."""

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "635083325f20"
down_revision = "059cc7b7ef13"
branch_labels = ("datasets-ByDimensionsDatasetRecordStorageManager",)
depends_on = None
