"""Let chains hold all dataset types of their children.

A child that stood in a chain several times, for one dataset type each, stays where it came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "1.0.0"

revision = "97a6aabd8998"
down_revision = "b4073b638219"
branch_labels = None
depends_on = None

#: Which dataset types of a child a chain searches; whole rows go where a child comes again.
drops = {"collection_chain": ("dataset_type_name", "*")}
closed = "a column goes that older clients read"
loses = "to which dataset types chains restrict their children"
irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    chain = step.old("collection_chain")
    step.refuse_loss(
        sa.select(chain.c.parent, chain.c.position).where(chain.c.dataset_type_name.is_not(None)),
        "which dataset types {count} links of chains are restricted to, the first one is ({first})",
    )
    first = chain.alias("first")
    step.execute(
        sa.delete(chain).where(
            sa.exists().where(
                first.c.parent == chain.c.parent,
                first.c.child == chain.c.child,
                first.c.position < chain.c.position,
            )
        )
    )
    step.reshape()
