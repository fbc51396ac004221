"""Toy universe 1, where registries begin."""

component, implementation, version = "dimensions-config", "toy", "1"

#: Registries begin here: no step leads to this version.
origin = True

revision = "5f9883672111"
down_revision = "3e2891b82110"  # the root of all universes
branch_labels = ("dimensions-config-toy",)
depends_on = None
