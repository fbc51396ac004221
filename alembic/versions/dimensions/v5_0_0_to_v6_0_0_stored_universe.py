"""Store the dimension universe in the registry.

Overlaps with the common pixels move to tables that can hold overlaps with pixels of any level.  exposure.name is
called obs_id; exposures and visits have observing days, which follow from when exposures began, for instruments of
which it is known when their days begin.  visit.seeing goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.dimension_data import DAY_OBS_HELP, DAY_OBS_OPTION, day_obs_offsets, day_of_begin
from registrytool.universe import Universe

if TYPE_CHECKING:
    from registrytool.step import Step
    from registrytool.universe import Element

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "6.0.0"

revision = "87a30df8c8c5"
down_revision = "a1e0fefed6c7"
branch_labels = None
depends_on = None

needs = {"attributes": "1.0.0", "datasets": "0.3.0"}
brings = (("dimensions-config", "daf_butler", "0"),)
options = {DAY_OBS_OPTION: DAY_OBS_HELP}
changes = {"exposure": ("day_obs",), "*_htm7_overlap": ("*",)}
drops = {"visit": ("seeing",)}
closed = "columns go or get other names that older clients read"
irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    visit = step.old("visit")
    step.refuse_loss(
        sa.select(visit.c.instrument, visit.c.id).where(visit.c.seeing.is_not(None)),
        "the seeing of {count} visits, the first one is ({first})",
    )
    step.create_tables()
    universe = Universe(step.after.universe)
    for element in universe:
        if element.has_table and element.spatial:
            _move_overlaps(step, element, universe.governor(element))
    offsets = day_obs_offsets(step.catalog, step.options)
    exposure = step.old("exposure")
    day = day_of_begin(exposure, offsets, step.dialect) if offsets else sa.null()
    step.reshape(fill={"exposure": {"day_obs": day}}, renames={"exposure": {"name": "obs_id"}})


def _move_overlaps(step: Step, element: Element, governor: str) -> None:
    """Take over the overlaps of an element; each governor has a row in its summary, overlaps or not."""
    old = step.old(f"{element.name}_htm7_overlap")
    pixels: list[sa.ColumnElement[Any]] = [sa.literal_column("'htm'"), sa.literal_column("7")]
    head = ["skypix_system", "skypix_level"]
    records = step.old(governor)
    step.execute(
        sa.insert(step.new(f"{element.name}_skypix_overlap_summary")).from_select(
            [*head, governor], sa.select(*pixels, next(iter(records.primary_key.columns)))
        )
    )
    step.execute(
        sa.insert(step.new(f"{element.name}_skypix_overlap")).from_select(
            [*head, *element.required, "skypix_index"],
            sa.select(*pixels, *(old.c[name] for name in element.required), old.c.htm7),
        )
    )
