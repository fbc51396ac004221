"""Attributes 1.0.0, where registries begin."""

component, implementation, version = "attributes", "DefaultButlerAttributeManager", "1.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "f22a777cf382"
down_revision = "f0a3531f97ca"
branch_labels = ("attributes-DefaultButlerAttributeManager",)
depends_on = None
