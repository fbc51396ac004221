"""Datasets with integer identifiers 0.1.0, where registries begin."""

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "eb5a3cc76666"
down_revision = "059cc7b7ef13"
branch_labels = ("datasets-ByDimensionsDatasetRecordStorageManager",)
depends_on = None
