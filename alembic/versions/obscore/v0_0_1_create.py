"""Make the live ObsCore table.

The configuration is stored in the registry and decides the columns of the table, which stays empty: clients fill it
as they store datasets.  Going back drops the table and its configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.obscore import CONFIG_HELP, CONFIG_OPTION, require_free

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "obscore", "ObsCoreLiveTableManager", "0.0.1"

revision = "a0d766f99876"
down_revision = "8b8e030aba2b"
branch_labels = ("obscore-ObsCoreLiveTableManager",)
depends_on = None

#: The key of the table is a UUID.
needs = {"datasets": "1.0.0"}
options = {CONFIG_OPTION: CONFIG_HELP}
required_options = (CONFIG_OPTION,)
loses = "the rows of the ObsCore table and its configuration"


def upgrade(step: Step) -> None:
    for name in sorted(step.after.structure.tables.keys() - step.before.structure.tables.keys()):
        require_free(step, name)
    step.reshape()


def downgrade(step: Step) -> None:
    for name in sorted(step.before.structure.tables.keys() - step.after.structure.tables.keys()):
        table = step.old(name)
        step.refuse_loss(sa.select(*table.primary_key.columns), f"{{count}} rows of {name}")
    step.reshape()
