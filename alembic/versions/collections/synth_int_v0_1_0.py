"""Collections with integer keys 0.1.0, where registries begin."""

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "079a1bc77f25"
down_revision = "8d2e9de2f21f"
branch_labels = ("collections-SynthIntKeyCollectionManager",)
depends_on = None
