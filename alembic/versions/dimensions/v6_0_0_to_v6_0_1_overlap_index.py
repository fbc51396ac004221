"""Index the overlaps with the sky by pixel.

Every table of overlaps of the universe gets an index; no row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "6.0.1"

revision = "1601d5973bf8"
down_revision = "87a30df8c8c5"
branch_labels = None
depends_on = None

closed = "nobody can write to the tables of overlaps while their indexes are built"


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
