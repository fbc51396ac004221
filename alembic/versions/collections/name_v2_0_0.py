"""Collections with names as keys 2.0.0, where registries begin."""

component, implementation, version = "collections", "NameKeyCollectionManager", "2.0.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "93341d68b814"
down_revision = "8d2e9de2f21f"
branch_labels = ("collections-NameKeyCollectionManager",)
depends_on = None
