"""Collections with names as keys 0.1.0, where registries begin."""

component, implementation, version = "collections", "NameKeyCollectionManager", "0.1.0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "a56af31bd899"
down_revision = "8d2e9de2f21f"
branch_labels = ("collections-NameKeyCollectionManager",)
depends_on = None
