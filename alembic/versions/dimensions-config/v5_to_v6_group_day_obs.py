"""Make groups and observing days dimensions.

The tables group and day_obs are filled from what exposures and visits have; exposure.group_name becomes group, and
exposures and visits refer to their groups and days.  The timespans of observing days come from the offsets of the
instruments; where none is known they stay undefined.  Universe 6 has no place for group_id: it goes, unless the user
wants a table beside the registry to keep it; then going back brings it to exposures that are still of the same group.
Going back loses the timespans, groups and days that no exposure or visit has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import DropTable

from registrytool.dimension_data import (
    DAY_OBS_HELP,
    DAY_OBS_OPTION,
    add_day_obs,
    complete_visits,
    day_obs_offsets,
    day_obs_rows,
)

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions-config", "daf_butler", "6"

revision = "1fae088c80b6"
down_revision = "2a8a32e1bec3"
branch_labels = None
depends_on = None

#: Group numbers have no place in universe 6; the way down brings them back where they were kept.
drops = {"exposure": ("group_id",)}
#: The table that keeps them.
NUMBERS = "migration_group_id"
closed = "columns go or get other names that older clients read, and exposures and visits are searched for NULL"

KEEP = "keep_group_id"
options = {
    DAY_OBS_OPTION: DAY_OBS_HELP,
    KEEP: f"whether to keep exposure.group_id, which goes, in the table {NUMBERS}: yes or no (default: no)",
}
loses = "groups and observing days without exposures, and timespans of observing days that were set by hand"


def upgrade(step: Step) -> None:
    exposure, visit = step.old("exposure"), step.old("visit")
    offsets = day_obs_offsets(step.catalog, step.options)
    complete_visits(step.execute, step.old, offsets, step.dialect)
    for column in (exposure.c.group_name, exposure.c.day_obs, visit.c.day_obs):
        step.refuse_if(
            sa.select(column.table.c.instrument, column.table.c.id).where(column.is_(None)),
            f"{{count}} records of {column.table.name} have no {column.name}, the first one is ({{first}}).",
            f"Set {column.table.name}.{column.name} of these records and run the same command again.",
        )
    step.create_tables()
    group = step.new("group")
    groups = sa.select(exposure.c.instrument, exposure.c.group_name).distinct()
    step.execute(sa.insert(group).from_select(["instrument", "name"], groups))
    days = sa.union(*(sa.select(t.c.instrument, t.c.day_obs) for t in (exposure, visit)))
    add_day_obs(step.execute, step.new("day_obs"), days, offsets, step.dialect)
    if step.option(KEEP, ("yes", "no")) == "yes":
        kept = (exposure.c.instrument, exposure.c.id, exposure.c.group_name, exposure.c.group_id)
        step.keep(sa.select(*kept).where(exposure.c.group_id.is_not(None)), _numbers(step))
    step.reshape(renames={"exposure": {"group_name": "group"}})


def downgrade(step: Step) -> None:
    group, day_obs, exposure, visit = (step.old(n) for n in ("group", "day_obs", "exposure", "visit"))
    step.refuse_loss(
        sa.select(group.c.instrument, group.c.name).where(
            ~sa.exists().where(exposure.c.instrument == group.c.instrument, exposure.c.group == group.c.name)
        ),
        "{count} groups that have no exposure, the first one is ({first})",
    )
    used = [
        ~sa.exists().where(t.c.instrument == day_obs.c.instrument, t.c.day_obs == day_obs.c.id)
        for t in (exposure, visit)
    ]
    step.refuse_loss(
        sa.select(day_obs.c.instrument, day_obs.c.id).where(*used),
        "{count} observing days without exposures and visits, the first one is ({first})",
    )
    derived = day_obs_rows(
        sa.select(day_obs.c.instrument, day_obs.c.id.label("day_obs")).subquery("days"),
        day_obs,
        day_obs_offsets(step.catalog, step.options),
        step.dialect,
    ).subquery("derived")
    keys = list(day_obs.columns)
    same_key = sa.and_(*(a == b for a, b in zip(keys[:2], list(derived.columns)[:2], strict=True)))
    different = sa.or_(*(a.is_distinct_from(b) for a, b in zip(keys[2:], list(derived.columns)[2:], strict=True)))
    step.refuse_loss(
        sa.select(day_obs.c.instrument, day_obs.c.id).join(derived, same_key).where(different),
        "the timespans of {count} observing days, which do not follow from the offset of their instrument, "
        "the first one is ({first})",
    )
    kept = _numbers(step)
    if not step.has_table(NUMBERS):
        step.reshape(renames={"exposure": {"group": "group_name"}})
        return
    number = (
        sa.select(kept.c.group_id)
        .where(kept.c.instrument == exposure.c.instrument, kept.c.id == exposure.c.id, kept.c.group == exposure.c.group)
        .correlate(exposure)
        .scalar_subquery()
    )
    step.reshape(renames={"exposure": {"group": "group_name"}}, fill={"exposure": {"group_id": number}})
    step.execute(DropTable(kept))


def _numbers(step: Step) -> sa.Table:
    """Return the table that keeps the numbers of groups, by exposure."""
    return sa.Table(
        NUMBERS,
        sa.MetaData(schema=step.before.metadata.schema),
        sa.Column("instrument", sa.Text(), primary_key=True),
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
    )
