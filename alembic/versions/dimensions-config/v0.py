"""Universe 0, where registries begin."""

component, implementation, version = "dimensions-config", "daf_butler", "0"

#: Registries begin here: no step leads to this version.
origin = True

revision = "f3bcee34f344"
down_revision = "3e2891b82110"
branch_labels = ("dimensions-config-daf_butler",)
depends_on = None
