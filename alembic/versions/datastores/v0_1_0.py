"""Datastore bridge 0.1.0, where registries begin."""

component, implementation, version = "datastores", "MonolithicDatastoreRegistryBridgeManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "bb8b5df7ff80"
down_revision = "6e7967ca2f9c"
branch_labels = ("datastores-MonolithicDatastoreRegistryBridgeManager",)
depends_on = None
