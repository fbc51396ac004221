"""Call the columns of validity ranges timespan_begin and timespan_end.

Labels of calibrations, exposures, visits and runs have them; no value changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "1.2.0"

revision = "2dea9d903dde"
down_revision = "4f4f243fea82"
branch_labels = None
depends_on = None

closed = "columns get other names"
irreversible = "nothing older than the registries of week 2020.46 can be had again"


def upgrade(step: Step) -> None:
    names = {"datetime_begin": "timespan_begin", "datetime_end": "timespan_end"}
    tables = [name for name, table in step.before.structure.tables.items() if "datetime_begin" in table.columns]
    step.reshape(renames=dict.fromkeys(tables, names))
