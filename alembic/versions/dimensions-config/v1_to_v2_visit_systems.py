"""Let visits belong to several visit systems.

visit.visit_system and visit_definition.visit_system become the table visit_system_membership; exposures know the
sequence they belong to, instruments their visit system.  There is no way of knowing whether exposures have simulated
signal: the user says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "2"

revision = "bf6308af80aa"
down_revision = "380002bcbb26"
branch_labels = None
depends_on = None

#: What becomes visit_system_membership; definitions that differ in their visit system only become one.
drops = {"visit": ("visit_system",), "visit_definition": ("visit_system", "*")}
closed = "columns go that older clients read, and visit_definition gets another primary key"

OPTION = "has_simulated"
options = {OPTION: "Whether the exposures have simulated signal: 0 or 1"}
required_options = (OPTION,)
irreversible = "which of its visit systems defined a visit is not kept"

#: Instruments of which visits are defined by sequence.
BY_SEQUENCE = ("LSSTCam", "LATISS", "LSSTComCam")


def upgrade(step: Step) -> None:
    exposure, visit, definition = (step.old(n) for n in ("exposure", "visit", "visit_definition"))
    simulated = sa.true() if step.option(OPTION, ("0", "1")) == "1" else sa.false()
    step.refuse_if(
        sa.select(definition.c.instrument, definition.c.exposure).where(definition.c.visit.is_(None)),
        "{count} records of visit_definition have no visit, the first one is ({first}).",
        "Remove them and run the same command again.",
    )
    step.create_tables()
    members = sa.union(
        sa.select(definition.c.instrument, definition.c.visit_system, definition.c.visit),
        sa.select(visit.c.instrument, visit.c.visit_system, visit.c.id).where(visit.c.visit_system.is_not(None)),
    )
    names = ["instrument", "visit_system", "visit"]
    step.execute(sa.insert(step.new("visit_system_membership")).from_select(names, members))
    # One definition of an exposure and a visit is enough, whatever visit systems had it.
    other = definition.alias("other")
    step.execute(
        sa.delete(definition).where(
            sa.exists().where(
                other.c.instrument == definition.c.instrument,
                other.c.exposure == definition.c.exposure,
                other.c.visit == definition.c.visit,
                other.c.visit_system < definition.c.visit_system,
            )
        )
    )
    seq_num = (
        sa.select(sa.func.min(exposure.c.seq_num))
        .select_from(
            definition.join(
                exposure,
                sa.and_(definition.c.instrument == exposure.c.instrument, definition.c.exposure == exposure.c.id),
            )
        )
        .where(definition.c.instrument == visit.c.instrument, definition.c.visit == visit.c.id)
        .correlate(visit)
        .scalar_subquery()
    )
    instrument = step.old("instrument")
    step.reshape(
        fill={
            "instrument": {
                "visit_system": sa.case(
                    (instrument.c.name.in_(BY_SEQUENCE), sa.literal_column("2")), else_=sa.literal_column("0")
                )
            },
            "visit": {"seq_num": seq_num},
            "exposure": {
                "seq_start": exposure.c.seq_num,
                "seq_end": exposure.c.seq_num,
                "has_simulated": simulated,
            },
        }
    )
