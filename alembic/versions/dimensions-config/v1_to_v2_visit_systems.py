"""Let visits belong to several visit systems.

visit.visit_system and visit_definition.visit_system become the table visit_system_membership; exposures know the
sequence they belong to, instruments their visit system.  There is no way of knowing whether exposures have simulated
signal: the user says so.  Going back, visits are defined by the system that their instrument uses if they belong to
several, and what universe 1 has no column for goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable, DropTable

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
loses = (
    "what universe 1 cannot say: several visit systems of a visit, sequences, azimuths, which exposures are simulated"
)

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
    instrument = step.old("instrument")
    step.reshape(
        fill={
            "instrument": {"visit_system": _visit_system(instrument.c.name)},
            "visit": {"seq_num": _seq_num(step)},
            "exposure": {
                "seq_start": exposure.c.seq_num,
                "seq_end": exposure.c.seq_num,
                "has_simulated": simulated,
            },
        }
    )


def _visit_system(instrument: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return the visit system that an instrument uses, by its name."""
    known = instrument.in_(BY_SEQUENCE)
    return sa.case((known, sa.literal_column("2", sa.BigInteger())), else_=sa.literal_column("0", sa.BigInteger()))


def _seq_num(step: Step) -> sa.ColumnElement[int | None]:
    """Return the lowest sequence number of the exposures of a visit."""
    exposure, visit, definition = (step.old(n) for n in ("exposure", "visit", "visit_definition"))
    same = sa.and_(definition.c.instrument == exposure.c.instrument, definition.c.exposure == exposure.c.id)
    return (
        sa.select(sa.func.min(exposure.c.seq_num))
        .select_from(definition.join(exposure, same))
        .where(definition.c.instrument == visit.c.instrument, definition.c.visit == visit.c.id)
        .correlate(visit)
        .scalar_subquery()
    )


def downgrade(step: Step) -> None:
    instrument, visit, exposure, member, system = (
        step.old(n) for n in ("instrument", "visit", "exposure", "visit_system_membership", "visit_system")
    )
    of_visit = sa.and_(member.c.instrument == visit.c.instrument, member.c.visit == visit.c.id)
    systems = sa.select(sa.func.count()).select_from(member).where(of_visit).correlate(visit).scalar_subquery()
    visits = sa.select(visit.c.instrument, visit.c.id)
    step.refuse_loss(
        visits.where(systems > 1), "to which visit systems {count} visits belong besides one, such as ({first})"
    )
    step.refuse_loss(
        visits.where(systems == 0),
        "that {count} visits belong to no visit system, the first one is ({first}): they get one of their instrument",
    )
    lowest = sa.select(sa.func.min(member.c.visit_system)).where(of_visit).correlate(visit).scalar_subquery()
    # The system by which an instrument defines its visits comes first.
    usual = (
        sa.select(member.c.visit_system)
        .where(of_visit, member.c.visit_system == _visit_system(member.c.instrument))
        .correlate(visit)
        .scalar_subquery()
    )
    any_system = (
        sa.select(sa.func.min(system.c.id))
        .where(system.c.instrument == visit.c.instrument)
        .correlate(visit)
        .scalar_subquery()
    )
    needed = not step.new("visit").c.visit_system.nullable
    if needed:
        step.refuse_if(
            visits.where(systems == 0, any_system.is_(None)),
            "{count} visits are of an instrument that has no visit system, the first one is ({first}).",
            "Add a record of visit_system for the instrument and run the same command again.",
        )
    _refuse_new_columns(step, instrument, visit, exposure)
    definitions = _keep_definitions(step)
    step.reshape(fill={"visit": {"visit_system": sa.func.coalesce(usual, lowest, *([any_system] if needed else []))}})
    names = [c.name for c in definitions.columns]
    step.execute(sa.insert(step.new("visit_definition")).from_select(names, sa.select(*definitions.columns)))
    step.execute(DropTable(definitions))


def _refuse_new_columns(step: Step, instrument: sa.Table, visit: sa.Table, exposure: sa.Table) -> None:
    """Refuse to lose what columns of universe 2 say, unless it follows from what universe 1 has."""
    for table, wrong, what in (
        (
            instrument,
            instrument.c.visit_system.is_distinct_from(_visit_system(instrument.c.name)),
            "visit systems of {count} instruments",
        ),
        (visit, visit.c.seq_num.is_distinct_from(_seq_num(step)), "sequence numbers of {count} visits"),
        (visit, visit.c.azimuth.is_not(None), "azimuths of {count} visits"),
        (exposure, exposure.c.azimuth.is_not(None), "azimuths of {count} exposures"),
        (
            exposure,
            sa.or_(*(exposure.c[n].is_distinct_from(exposure.c.seq_num) for n in ("seq_start", "seq_end"))),
            "sequences of {count} exposures",
        ),
        (
            exposure,
            exposure.c.has_simulated.is_(None),
            "that it is not known of {count} exposures whether they have simulated signal",
        ),
    ):
        step.refuse_loss(
            sa.select(*table.primary_key.columns).where(wrong), f"the {what}, the first one is ({{first}})"
        )
    other = exposure.alias("other")
    step.refuse_loss(
        sa.select(exposure.c.instrument, exposure.c.id).where(
            exposure.c.has_simulated, sa.exists().where(sa.not_(other.c.has_simulated))
        ),
        "which exposures have simulated signal ({count} of them, the first one is ({first}))",
    )


def _keep_definitions(step: Step) -> sa.Table:
    """Take the definitions of visits away, each as often as the visit has systems, into a table of this session."""
    definition, member = step.old("visit_definition"), step.old("visit_system_membership")
    same = sa.and_(member.c.instrument == definition.c.instrument, member.c.visit == definition.c.visit)
    keys = [definition.c.instrument, definition.c.exposure, member.c.visit_system]
    found = sa.select(*keys, sa.func.min(definition.c.visit).label("visit")).join(member, same).group_by(*keys)
    step.refuse_loss(
        found.having(sa.func.count() > 1),
        "all but one visit of {count} exposures that belong to several visits of a visit system, such as ({first})",
    )
    step.refuse_loss(
        sa.select(definition.c.instrument, definition.c.exposure, definition.c.visit).where(
            ~sa.exists(sa.select(member.c.visit).where(same).correlate(definition))
        ),
        "{count} definitions of visits that belong to no visit system, the first one is ({first})",
    )
    kept = sa.Table(
        "registrytool_definitions",
        sa.MetaData(),
        *(sa.Column(c.name, c.type) for c in found.selected_columns),
        prefixes=["TEMPORARY"],
    )
    step.execute(CreateTable(kept))
    step.execute(sa.insert(kept).from_select([c.name for c in kept.columns], found))
    step.execute(sa.delete(definition))
    return kept
