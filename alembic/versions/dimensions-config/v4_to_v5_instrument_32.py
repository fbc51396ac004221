"""Permit names of instruments of 32 characters.

Every column that holds the name of an instrument changes, those of dataset and overlap tables included.  Going back
is refused while there is a longer name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "5"

revision = "2a8a32e1bec3"
down_revision = "9888256c6a18"
branch_labels = None
depends_on = None


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    instrument = step.old("instrument")
    step.refuse_if(
        sa.select(instrument.c.name).where(sa.func.length(instrument.c.name) > 16),
        "{count} instruments have names of more than 16 characters, the first one is {first}.",
        "Universe 4 cannot hold them: stay at universe 5, or remove these instruments.",
    )
    step.reshape()
