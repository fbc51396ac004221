"""Key the trash by dataset first.

The table dataset_location_trash gets another primary key; its rows stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.1"

revision = "a81dddabd837"
down_revision = "a07b3b60e369"
branch_labels = None
depends_on = None

closed = "the table dataset_location_trash gets another primary key, and nobody can use it while its index is built"


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
