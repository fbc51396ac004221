"""Turn labels of calibrations into validity ranges.

A dataset that had a calibration_label as one of its dimensions is now certified, in a calibration collection called
after the collection that it was in and /calibs, for the validity range of its label.  The new collection stands
behind the old one in all chains.  A run that holds several datasets of one type that differ in their labels only
becomes several runs, called after it and the labels, since it cannot hold them all any more; they follow it in all
chains as well.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.encoded import encode, encoded_text
from registrytool.models import DatasetTables
from registrytool.naming import shrink
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.catalog import Catalog
    from registrytool.models import DynamicContent
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManager", "0.3.0"

revision = "576045cb7831"
down_revision = "38a9414ea7a2"
branch_labels = None
depends_on = None

needs = {"collections": "0.3.0", "dimensions": "3.2.0"}
changes = {
    "dataset_type": ("dimensions_encoded",),
    "dataset": ("*",),
    "collection": ("*",),
    "run": ("*",),
    "collection_chain": ("*",),
    "dataset_collection_*": ("*",),
}
closed = "tables of datasets get other names"
irreversible = "nothing older than the registries of week 2020.46 can be had again"

LABEL = "calibration_label"
CALIBRATION = 4


def _encoded(dimensions: tuple[str, ...], catalog: Catalog) -> bytes:
    """Encode dimensions as the universe of week 2020.39 does, in which there are no labels."""
    newer = catalog.version("dimensions", "StaticDimensionRecordStorageManager", "5.0.0")
    return encode(Universe(newer.universe(catalog)), dimensions)


def _tables(table: DatasetTables, catalog: Catalog) -> Iterator[DatasetTables]:
    """Return the tables that take the rows of an old one."""
    dimensions = tuple(d for d in table.dimensions if d != LABEL)
    digits = _encoded(dimensions, catalog).hex()
    yield DatasetTables(f"dataset_tags_{digits}", "tags", dimensions)
    if LABEL in table.dimensions:
        yield DatasetTables(f"dataset_calibs_{digits}", "calibs", dimensions)


def content(dynamic: DynamicContent, _up: bool, catalog: Catalog) -> DynamicContent:  # noqa: FBT001
    """Return the dataset tables that there are after the step."""
    found = {new.name: new for old in dynamic.dataset_tables for new in _tables(old, catalog)}
    return replace(dynamic, dataset_tables=tuple(found[name] for name in sorted(found)))


def upgrade(step: Step) -> None:
    step.create_tables()
    labelled = [t for t in step.before.dynamic.dataset_tables if LABEL in t.dimensions]
    if labelled:
        _Labels(step, labelled).convert()
    for table in step.before.dynamic.dataset_tables:
        if table not in labelled:
            old, new = step.old(table.name), step.new(next(_tables(table, step.catalog)).name)
            names = [c.name for c in old.columns]
            step.execute(sa.insert(new).from_select(names, sa.select(*old.columns)))
    kept = sa.column("dimensions_encoded", sa.Text())
    values: dict[str, list[tuple[str, str | None]]] = {name: [] for name in _TYPE_COLUMNS}
    for table in step.before.dynamic.dataset_tables:
        before = base64.b64encode(bytes.fromhex(table.name.rpartition("_")[2])).decode("ascii")
        tags, *calibs = _tables(table, step.catalog)
        text = encoded_text(_encoded(tags.dimensions, step.catalog))
        for name, value in zip(_TYPE_COLUMNS, (text, tags.name, calibs[0].name if calibs else None), strict=True):
            values[name].append((before, value))
    step.reshape(fill={"dataset_type": {name: _by_old_code(kept, pairs) for name, pairs in values.items()}})


_TYPE_COLUMNS = ("dimensions_encoded", "tag_association_table", "calibration_association_table")


def _by_old_code(column: sa.ColumnElement[Any], pairs: list[tuple[str, str | None]]) -> sa.ColumnElement[Any]:
    found = [(column == old, sa.literal(new, sa.Text())) for old, new in pairs if new is not None]
    return sa.case(*found, else_=sa.null()) if found else sa.cast(sa.null(), sa.Text())


class _Labels:
    """What becomes of datasets with labels.

    Parameters
    ----------
    step : `Step`
        The step.
    tables : `list` [`DatasetTables`]
        Old tables with labels.
    """

    def __init__(self, step: Step, tables: list[DatasetTables]) -> None:
        self.step = step
        self.tables = [(t, step.old(t.name)) for t in tables]
        self.collection, self.run, self.dataset = (step.old(n) for n in ("collection", "run", "dataset"))
        # Collections are known by their names or by numbers.
        self.key = next(iter(self.collection.primary_key.columns)).name
        self.by_name = self.key == "name"

    def reference(self, table: sa.Table) -> sa.Column[Any]:
        """Return the column of a dataset table that refers to the collection."""
        return table.c.collection_name if self.by_name else table.c.collection_id

    @property
    def run_of_dataset(self) -> sa.Column[Any]:
        """The column of a dataset that refers to its run."""
        return self.dataset.c.run_name if self.by_name else self.dataset.c.run_id

    def holders(self) -> sa.CompoundSelect[Any]:
        """Return a query for the collections that hold datasets with labels."""
        return sa.union(*(sa.select(self.reference(t)).distinct() for _, t in self.tables))

    def split(self) -> sa.CompoundSelect[Any]:
        """Return a query for the runs that cannot hold all that they held."""
        queries = []
        for table, old in self.tables:
            reference = self.reference(old)
            same = [old.c.dataset_type_id, reference, *(old.c[d] for d in table.dimensions if d != LABEL)]
            key = self.run.c[self.key]
            own = sa.select(reference).join(self.run, key == reference)
            queries.append(own.group_by(*same).having(sa.func.count() > 1))
        return sa.union(*queries)

    def parts(self) -> sa.Subquery:
        """Return the runs that are split with their labels and the names of the new runs."""
        queries = []
        for _, old in self.tables:
            key = self.collection.c[self.key]
            queries.append(
                sa.select(
                    key.label("old"),
                    old.c[LABEL].label("label"),
                    self.collection.c.name.concat("/").concat(old.c[LABEL]).label("name"),
                )
                .select_from(self.collection.join(old, self.reference(old) == key))
                .where(key.in_(self.split()))
                .distinct()
            )
        return sa.union(*queries).subquery("parts")

    def calibs(self) -> sa.Subquery:
        """Return the collections that hold labels with the names of the new calibration collections."""
        key = self.collection.c[self.key]
        name = self.collection.c.name.concat("/calibs").label("name")
        return sa.select(key.label("old"), name).where(key.in_(self.holders())).subquery("calibs")

    def convert(self) -> None:
        """Make the collections, and put the datasets into them."""
        for found, what in ((self.parts(), "runs"), (self.calibs(), "calibration collections")):
            self.step.refuse_if(
                sa.select(self.collection.c.name).where(self.collection.c.name.in_(sa.select(found.c.name))),
                f"{{count}} collections have the names that new {what} would get, the first one is {{first}}.",
                "Give them other names and run the same command again.",
            )
        # Both are looked up again in the tables as they were, which nothing changes before the end of the step.
        self._add_collections(self.parts(), 1)
        self._add_collections(self.calibs(), CALIBRATION)
        self._add_runs()
        for table, old in self.tables:
            self._add_datasets(table, old)
        self._add_to_chains()
        self._move_datasets()

    def _add_collections(self, found: sa.Subquery, kind: int) -> None:
        names = sa.select(found.c.name).distinct().subquery("names")
        columns = ["name", "type"]
        values: list[sa.ColumnElement[Any]] = [names.c.name, sa.literal_column(str(kind))]
        if not self.by_name and self.step.dialect == "postgresql":
            columns.append(self.key)
            values.append(_next_value("collection_seq_collection_id", self.collection.schema))
        self.step.execute(sa.insert(self.collection).from_select(columns, sa.select(*values)))

    def _new_key(self, name: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return the key of a collection of a name."""
        if self.by_name:
            return name
        other = self.collection.alias("named")
        return sa.select(other.c[self.key]).where(other.c.name == name).scalar_subquery()

    def _add_runs(self) -> None:
        parts = self.parts()
        names = [c.name for c in self.run.columns]
        rest = [self.run.c[n] for n in names if n != self.key]
        new = sa.select(parts.c.old, parts.c.name).distinct().subquery("new")
        rows = sa.select(self._new_key(new.c.name), *rest).select_from(
            new.join(self.run, self.run.c[self.key] == new.c.old)
        )
        self.step.execute(sa.insert(self.run).from_select([self.key, *(c.name for c in rest)], rows))

    def _add_datasets(self, table: DatasetTables, old: sa.Table) -> None:
        tags, calibs = (self.step.new(t.name) for t in _tables(table, self.step.catalog))
        reference, name = self.reference(old), self.reference(old).name
        dimensions = [old.c[d] for d in table.dimensions if d != LABEL]
        parts, known = self.parts(), self.calibs()
        moved = (
            sa.select(self._new_key(parts.c.name))
            .where(parts.c.old == reference, parts.c.label == old.c[LABEL])
            .correlate(old)
            .scalar_subquery()
        )
        columns = ["dataset_type_id", "dataset_id", name, *(c.name for c in dimensions)]
        # A dataset stays in its run, or goes into the run of its label; what tagged it certifies it from now on.
        rows = (
            sa.select(old.c.dataset_type_id, old.c.dataset_id, sa.func.coalesce(moved, reference), *dimensions)
            .select_from(old.join(self.dataset, self.dataset.c.id == old.c.dataset_id))
            .where(self.run_of_dataset == reference)
        )
        self.step.execute(sa.insert(tags).from_select(columns, rows))
        label = self.step.old(LABEL)
        spans = [c for c in label.columns if c.name.startswith("timespan")]
        values: list[sa.ColumnElement[Any]] = [
            old.c.dataset_type_id,
            old.c.dataset_id,
            self._new_key(known.c.name),
            *dimensions,
            *(sa.func.coalesce(span, calibs.c[span.name].server_default.arg) for span in spans),  # type: ignore[union-attr]
        ]
        columns += [span.name for span in spans]
        if self.step.dialect == "postgresql":
            columns.append("id")
            values.append(_next_value(shrink(f"{calibs.name}_seq_id", "postgresql"), calibs.schema))
        same = sa.and_(label.c.instrument == old.c.instrument, label.c.name == old.c[LABEL])
        found = old.join(label, same).join(known, known.c.old == reference)
        self.step.execute(sa.insert(calibs).from_select(columns, sa.select(*values).select_from(found)))

    def _move_datasets(self) -> None:
        """Let datasets refer to the runs of their labels."""
        parts = self.parts()
        for _, old in self.tables:
            reference = self.reference(old)
            new = (
                sa.select(self._new_key(parts.c.name))
                .select_from(old.join(parts, sa.and_(parts.c.old == reference, parts.c.label == old.c[LABEL])))
                .where(old.c.dataset_id == self.dataset.c.id, reference == self.run_of_dataset)
                .correlate(self.dataset)
            )
            self.step.execute(
                sa.update(self.dataset)
                .where(sa.exists(new.with_only_columns(sa.literal_column("1"))))
                .values({self.run_of_dataset: new.scalar_subquery()})
            )

    def _add_to_chains(self) -> None:
        """Let the new collections follow the old ones: first the runs, by label, then the calibrations."""
        chain = self.step.old("collection_chain")
        link = chain.alias("link")
        parts, known = self.parts(), self.calibs()
        new = sa.union_all(
            sa.select(parts.c.old, parts.c.name, sa.literal_column("0").label("rank")),
            sa.select(known.c.old, known.c.name, sa.literal_column("1").label("rank")),
        ).subquery("new")
        longer = sa.select(chain.c.parent).where(chain.c.child.in_(sa.select(new.c.old))).distinct()
        # Everything in such a chain gets a number anew; negative ones stand in nobody's way.
        every = sa.union_all(
            sa.select(
                link.c.parent,
                link.c.position.label("at"),
                sa.literal_column("-1").label("rank"),
                sa.literal("").label("name"),
                link.c.child,
                link.c.dataset_type_name if "dataset_type_name" in link.c else sa.null().label("dataset_type_name"),
            ),
            sa.select(
                link.c.parent,
                link.c.position,
                new.c.rank,
                new.c.name,
                self._new_key(new.c.name),
                sa.null(),
            ).select_from(link.join(new, new.c.old == link.c.child)),
        ).subquery("every")
        number = sa.func.row_number().over(
            partition_by=every.c.parent, order_by=(every.c.at, every.c.rank, every.c.name)
        )
        names = ["parent", "position", "child"]
        values = [every.c.parent, -number, every.c.child]
        if "dataset_type_name" in chain.c:
            names.append("dataset_type_name")
            values.append(sa.cast(every.c.dataset_type_name, sa.Text()))
        self.step.execute(sa.insert(chain).from_select(names, sa.select(*values).where(every.c.parent.in_(longer))))
        renumbered = sa.select(chain.c.parent).where(chain.c.position < 0)
        self.step.execute(sa.delete(chain).where(chain.c.position >= 0, chain.c.parent.in_(renumbered)))
        self.step.execute(
            sa.update(chain).where(chain.c.position < 0).values(position=-chain.c.position - sa.literal_column("1"))
        )


def _next_value(name: str, schema: str | None) -> sa.ColumnElement[Any]:
    return sa.Sequence(name, schema=schema).next_value()
