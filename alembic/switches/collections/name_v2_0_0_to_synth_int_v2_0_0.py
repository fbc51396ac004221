"""Give collections integers as keys instead of their names.

Every table that refers to collections is written again.  The integers follow the order of the names.  Going back lets
the names be the keys again; nothing is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.collection_keys import to_integers, to_names

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.0.0"

revision = "ac2efd4b9e07"
down_revision = "93341d68b814"
branch_labels = None
depends_on = None

closed = "every table that refers to collections is written again, and clients must be told by butler.yaml"
new_keys = "collections have other keys on both sides"


def upgrade(step: Step) -> None:
    to_integers(step)


def downgrade(step: Step) -> None:
    to_names(step)
