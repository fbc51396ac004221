"""Attributes 0.1.0, where registries begin."""

component, implementation, version = "attributes", "DefaultButlerAttributeManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "8f2c2c31aac7"
down_revision = "f0a3531f97ca"
branch_labels = ("attributes-DefaultButlerAttributeManager",)
depends_on = None
