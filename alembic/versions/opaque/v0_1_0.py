"""Opaque tables 0.1.0, where registries begin."""

component, implementation, version = "opaque", "ByNameOpaqueTableStorageManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "61f6b63d296d"
down_revision = "c2c46f409743"
branch_labels = ("opaque-ByNameOpaqueTableStorageManager",)
depends_on = None
