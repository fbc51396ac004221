"""Opaque tables 0.2.0, where registries begin."""

component, implementation, version = "opaque", "ByNameOpaqueTableStorageManager", "0.2.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "77e5b803ad3f"
down_revision = "c2c46f409743"
branch_labels = ("opaque-ByNameOpaqueTableStorageManager",)
depends_on = None
