"""Datasets with UUIDs 1.0.0, where registries begin."""

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "2101fbf51ad3"
down_revision = "059cc7b7ef13"
branch_labels = ("datasets-ByDimensionsDatasetRecordStorageManagerUUID",)
depends_on = None
