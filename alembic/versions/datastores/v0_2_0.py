"""Datastore bridge 0.2.0, where registries begin."""

component, implementation, version = "datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "a07b3b60e369"
down_revision = "6e7967ca2f9c"
branch_labels = ("datastores-MonolithicDatastoreRegistryBridgeManager",)
depends_on = None
