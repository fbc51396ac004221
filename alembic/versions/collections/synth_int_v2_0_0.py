"""Collections with integer keys 2.0.0, where registries begin."""

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "8c57494cabcc"
down_revision = "8d2e9de2f21f"
branch_labels = ("collections-SynthIntKeyCollectionManager",)
depends_on = None
