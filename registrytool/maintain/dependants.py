"""What hangs on dimension records, and the removal of records with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import to_plain

from .datasets import remove_datasets
from .idlist import IdList
from .obscore_live import StaleRows
from .record_values import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.universe import Element

    from .obscore_live import Chosen
    from .session import Session

#: Tables of which the rows belong to a record itself, or say nothing that would be lost.
_DERIVED = re.compile(r".*_overlap(_summary)?|collection_summary_.*")


@dataclass(frozen=True, slots=True)
class DeletePlan:
    """Dimension records that are going to be deleted, and what hangs on them.

    Attributes
    ----------
    element : `str`
        The element.
    records : `int`
        Number of records that are deleted.
    dependants : `dict` [`str`, `int`]
        Number of records, by element, and of ``dataset``, that refer to them, however indirectly; nothing for an
        element without any.
    dataset_types : `dict` [`str`, `int`]
        The datasets among them by type.
    derived : `dict` [`str`, `int`]
        Number of rows, by table, that belong to the records and go with them.
    """

    element: str
    records: int
    dependants: Mapping[str, int]
    dataset_types: Mapping[str, int]
    derived: Mapping[str, int]

    @property
    def changed(self) -> bool:
        """Whether anything is different afterwards."""
        return self.records > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


def _are_among(keys: sa.Select[Any], columns: Sequence[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[bool]]:
    return [sa.tuple_(*columns).in_(keys)]


class _Tree:
    """All rows that refer to some rows of a table, as common table expressions with the primary keys of each table.

    Each foreign key is followed; a table comes after those to which it refers, so that one pass finds everything.
    """

    def __init__(self, session: Session, table: sa.Table, condition: sa.ColumnElement[bool]) -> None:
        self.session = session
        self.doomed: dict[str, sa.CTE] = {}
        self.tables: list[sa.Table] = []
        # Stable: overlaps, to which nothing refers, come after the records to which they belong without a foreign key.
        for other in sorted(session.metadata.sorted_tables, key=lambda t: t.name.endswith("_overlap")):
            conditions = [condition] if other is table else []
            conditions += [self._among(*link) for link in self._links(other) if link[1].name in self.doomed]
            if conditions:
                # All columns: foreign keys can refer to others than the primary key.
                query = sa.select(other).where(sa.or_(*conditions))
                self.doomed[other.name] = query.cte(f"doomed_{len(self.tables)}")
                self.tables.append(other)

    def _links(self, other: sa.Table) -> Iterator[tuple[list[sa.Column[Any]], sa.Table, list[str]]]:
        """Return what rows of a table refer to: their columns, the other table, and its columns."""
        for key in other.foreign_key_constraints:
            if key.referred_table is not other:
                yield [e.parent for e in key.elements], key.referred_table, [e.column.name for e in key.elements]
        for element in self.session.universe:
            # Overlaps have foreign keys to dimensions only.
            pattern = rf"{re.escape(element.name)}_[^_]+_overlap"
            if element.spatial and not element.is_dimension and re.fullmatch(pattern, other.name):
                yield [other.c[n] for n in element.required], self.session.table(element.name), [*element.required]

    def _among(self, here: list[sa.Column[Any]], table: sa.Table, there: list[str]) -> sa.ColumnElement[bool]:
        query = sa.select(*(self.doomed[table.name].c[n] for n in there))
        return here[0].in_(query) if len(here) == 1 else sa.tuple_(*here).in_(query)

    def counts(self) -> dict[str, int]:
        """Return how many rows of each table there are."""
        query = sa.select(
            *(
                sa.select(sa.func.count()).select_from(self.doomed[t.name]).scalar_subquery().label(t.name)
                for t in self.tables
            )
        )
        row = self.session.connection.execute(query).one()
        return {t.name: number for t, number in zip(self.tables, row, strict=True) if number}

    def combinations(self) -> Iterator[tuple[Element, Chosen]]:
        """Return the elements whose records datasets can outlive, since these have only dimensions of them."""
        for table in self.tables:
            if table.name in self.session.universe and not self.session.universe[table.name].is_dimension:
                element = self.session.universe[table.name]
                keys = sa.select(*(self.doomed[table.name].c[n] for n in element.required))
                yield element, partial(_are_among, keys)

    def delete(self, table: sa.Table) -> int:
        """Delete the rows of one table."""
        doomed = self.doomed[table.name]
        columns = list(table.primary_key.columns)
        keys = sa.select(*(doomed.c[c.name] for c in columns))
        if len(columns) == 1:
            return self.session.execute(sa.delete(table).where(columns[0].in_(keys)))
        return self.session.execute(sa.delete(table).where(sa.tuple_(*columns).in_(keys)))

    def dataset_query(self) -> sa.Select[Any] | None:
        """Return the query for the identifiers of all datasets that have one of the records in their data ID."""
        parts = [
            sa.select(self.doomed[t.name].c.dataset_id)
            for t in self.tables
            if t.name.startswith(("dataset_tags_", "dataset_calibs_"))
        ]
        if not parts:
            return None
        return sa.select(sa.union(*parts).subquery().c.dataset_id)


def where_of(
    session: Session, element: str, where: Mapping[str, Any] | sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Return the condition on the table of an element that some fields have the given values, or a condition itself.

    Raises
    ------
    RegistryStateError
        There is no such element or field; or there is no condition at all.
    """
    if isinstance(where, sa.ColumnElement):
        return where
    shape, table = Shape.of(session.universe, element), session.table(element)
    checked = shape.check(where, f"find records of {element}", session.dialect)
    if not checked:
        message = f"Nothing says which records of {element} are meant."
        raise RegistryStateError(message, hint="Give the values of their keys, or a condition.")
    return sa.and_(*(table.c[n] == v for n, v in shape.to_columns(checked, session.dialect).items()))


def plan_delete(
    session: Session, element: str, where: Mapping[str, Any] | sa.ColumnElement[bool], *, cascade: bool = False
) -> DeletePlan:
    """Say which dimension records are going to be deleted, and what hangs on them.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    where : `~collections.abc.Mapping` or `sqlalchemy.ColumnElement`
        Values that fields must have, or a condition on ``session.table(element)``.
    cascade : `bool`, optional
        Whether what hangs on the records is deleted too, datasets included.

    Returns
    -------
    plan : `DeletePlan`
        What is to be done.

    Raises
    ------
    RegistryStateError
        There is no such element or field; or something hangs on the records, and ``cascade`` is not set.
    """
    plan = preview_delete(session, element, where)
    if plan.dependants and not cascade:
        listed = ", ".join(f"{number} of {name}" for name, number in plan.dependants.items())
        what = f"{plan.records} record{'' if plan.records == 1 else 's'} of {element}"
        message = f"Cannot delete {what}: others refer to them ({listed})."
        raise RegistryStateError(message, hint="Delete those first, or all together with --cascade.")
    return plan


def preview_delete(session: Session, element: str, where: Mapping[str, Any] | sa.ColumnElement[bool]) -> DeletePlan:
    """Return what `plan_delete` does, and refuse nothing because something hangs on the records."""
    Shape.of(session.universe, element)
    tree = _Tree(session, session.table(element), where_of(session, element, where))
    counts = tree.counts()
    records = counts.pop(element, 0)
    derived = {name: n for name, n in counts.items() if _DERIVED.fullmatch(name)}
    datasets = _datasets(session, tree)
    dependants = {name: n for name, n in counts.items() if name not in derived and not name.startswith("dataset_")}
    if datasets:
        dependants["dataset"] = sum(datasets.values())
    return DeletePlan(element, records, dependants, datasets, derived)


def _datasets(session: Session, tree: _Tree) -> dict[str, int]:
    query = tree.dataset_query()
    if query is None:
        return {}
    dataset, kind = session.table("dataset"), session.table("dataset_type")
    counted = (
        sa.select(kind.c.name, sa.func.count())
        .select_from(dataset.join(kind, dataset.c.dataset_type_id == kind.c.id))
        .where(dataset.c.id.in_(query))
        .group_by(kind.c.name)
        .order_by(kind.c.name)
    )
    found: list[Any] = list(session.rows(counted))
    return {str(name): int(number) for name, number in found}


def delete_records(
    session: Session, element: str, where: Mapping[str, Any] | sa.ColumnElement[bool], *, cascade: bool = False
) -> DeletePlan:
    """Delete dimension records; see `plan_delete` for parameters and refusals.

    Returns
    -------
    plan : `DeletePlan`
        What was deleted.
    """
    plan = plan_delete(session, element, where, cascade=cascade)
    tree = _Tree(session, session.table(element), where_of(session, element, where))
    stale = StaleRows(session, list(tree.combinations()))
    if plan.dataset_types:
        _remove_datasets(session, tree)
    # What refers goes first: the others find the rows through those that are still there.
    for table in reversed(tree.tables):
        if table.name in plan.derived or table.name in plan.dependants or table.name == element:
            tree.delete(table)
    stale.renew()
    return plan


def _remove_datasets(session: Session, tree: _Tree) -> None:
    """Remove the datasets that have one of the records in their data ID; their files go to the trash."""
    query = tree.dataset_query()
    if query is not None:
        remove_datasets(session, IdList(sorted(session.connection.scalars(query))))
