"""Number groups of dimensions, note ingest dates, and summarise collections.

Dataset types refer to a group of dimensions in dimension_graph_key instead of holding bits; tables are called after
the number of the group. When a dataset was ingested was not known: it counts as ingested on 2020-11-04, when ingest
dates came. The summaries of collections follow from what is in them.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.naming import shrink
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registrytool.catalog import Catalog
    from registrytool.models import DatasetTables, DynamicContent
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0"

revision = "635083325f20"
down_revision = "576045cb7831"
branch_labels = None
depends_on = None

needs = {"dimensions": "6.0.0"}
changes = {
    "dataset_type": ("tag_association_table", "calibration_association_table"),
    "dimension_graph_*": ("*",),
    "dataset_tags_*": ("*",),
    "dataset_calibs_*": ("*",),
}
drops = {"dataset_type": ("dimensions_encoded",)}
closed = "tables of datasets get other names"
irreversible = "nothing older than the registries of week 2020.46 can be had again"


#: The day on which ingest dates came into the code; when datasets were ingested before is not known.
INGEST_DATE = datetime.datetime(2020, 11, 4)  # noqa: DTZ001 (as the column: UTC without saying so)


def _groups(dynamic: DynamicContent) -> Mapping[tuple[str, ...], int]:
    """Number the groups of dimensions; the empty one is 0."""
    groups = sorted({tuple(sorted(t.dimensions)) for t in dynamic.dataset_tables} - {()}, key=lambda g: (len(g), g))
    return {(): 0, **{group: number for number, group in enumerate(groups, start=1)}}


def _names(dynamic: DynamicContent) -> Iterator[tuple[DatasetTables, DatasetTables]]:
    groups = _groups(dynamic)
    for table in dynamic.dataset_tables:
        number = groups[tuple(sorted(table.dimensions))]
        yield table, replace(table, name=f"dataset_{table.kind}_{number:08}")


def content(dynamic: DynamicContent, _up: bool, _catalog: Catalog) -> DynamicContent:  # noqa: FBT001
    """Return the dataset tables that there are after the step."""
    return replace(dynamic, dataset_tables=tuple(new for _, new in _names(dynamic)))


def upgrade(step: Step) -> None:
    step.create_tables()
    dynamic = step.before.dynamic
    _add_groups(step, _groups(dynamic))
    _summarise(step)
    for old, new in _names(dynamic):
        source, target = step.old(old.name), step.new(new.name)
        columns: list[sa.ColumnElement[Any]] = list(source.columns)
        if old.kind == "calibs" and step.dialect == "postgresql":
            following = sa.Sequence(shrink(f"{new.name}_seq_id", "postgresql"), schema=target.schema).next_value()
            columns = [following if c.name == "id" else c for c in source.columns]
        rows = sa.select(*columns)
        step.execute(sa.insert(target).from_select([c.name for c in source.columns], rows))
    groups, renamed = _groups(dynamic), {old.name: new.name for old, new in _names(dynamic)}
    numbers = {t.name: str(groups[tuple(sorted(t.dimensions))]) for t in dynamic.dataset_tables}
    tags, calibs = (sa.column(f"{kind}_association_table", sa.Text()) for kind in ("tag", "calibration"))
    step.reshape(
        fill={
            "dataset": {"ingest_date": sa.literal(INGEST_DATE, sa.TIMESTAMP())},
            "dataset_type": {
                "dimensions_key": sa.cast(_case(tags, numbers), sa.BigInteger()),
                tags.name: _case(tags, renamed),
                calibs.name: _case(calibs, renamed),
            },
        }
    )


def _case(column: sa.ColumnElement[Any], values: Mapping[str, str]) -> sa.ColumnElement[Any]:
    if not values:
        return sa.cast(sa.null(), sa.Text())
    return sa.case(*((column == old, sa.literal(new, sa.Text())) for old, new in values.items()), else_=sa.null())


def _add_groups(step: Step, groups: Mapping[tuple[str, ...], int]) -> None:
    key, definition = step.new("dimension_graph_key"), step.new("dimension_graph_definition")
    for group, number in groups.items():
        if not group:
            continue
        # The sequence is new, and gives the same numbers.
        following = sa.Sequence("dimension_graph_key_seq_id", schema=key.schema).next_value()
        step.execute(sa.insert(key).values(id=following if step.dialect == "postgresql" else number))
        for name in group:
            step.execute(sa.insert(definition).values(dimension_graph_id=number, dimension_name=name))


def _summarise(step: Step) -> None:
    """Say of each collection which dataset types and which values of governors are in it."""
    universe = Universe(step.after.universe)
    tables = [(t, step.old(t.name)) for t in step.before.dynamic.dataset_tables]
    for column, target in (
        ("dataset_type_id", "collection_summary_dataset_type"),
        *((g.name, f"collection_summary_{g.name}") for g in universe.governors),
    ):
        summary = step.new(target)
        collection = next(iter(summary.columns)).name
        queries = [
            sa.select(old.c[collection], old.c[column]).distinct()
            for table, old in tables
            if column == "dataset_type_id" or column in table.dimensions
        ]
        if queries:
            step.execute(sa.insert(summary).from_select([collection, column], sa.union(*queries)))
