"""Call abstract filters bands.

The column abstract_filter becomes band, in tables of datasets too; no value changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.models import DynamicContent
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "3.2.0"

revision = "3859eac451aa"
down_revision = "36d66ca4d7a3"
branch_labels = None
depends_on = None

closed = "columns get other names"
irreversible = "nothing older than the registries of week 2020.46 can be had again"

OLD, NEW = "abstract_filter", "band"


def content(dynamic: DynamicContent, _up: bool, _catalog: Catalog) -> DynamicContent:  # noqa: FBT001
    """Return the dataset tables that there are after the step: with the new name of the dimension."""
    tables = (
        replace(table, dimensions=tuple(NEW if d == OLD else d for d in table.dimensions))
        for table in dynamic.dataset_tables
    )
    return replace(dynamic, dataset_tables=tuple(tables))


def upgrade(step: Step) -> None:
    tables = [name for name, table in step.before.structure.tables.items() if OLD in table.columns]
    step.reshape(renames={name: {OLD: NEW} for name in tables})
