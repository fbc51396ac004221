"""Find datasets: by dataset type, collection and data ID, all of them or the first of each data ID."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError

from . import expressions, timespans
from .collections import Collection, Collections, CollectionType, is_glob, load_collections
from .conditions import Operand, Scope, condition
from .dataset_types import DatasetType, load_dataset_types, require_dataset_type
from .datasets import DatasetId, parse_ids
from .expressions import ExpressionError
from .idlist import among
from .pieces import chunks
from .summaries import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .session import Session

#: Rows that are fetched from the database at once.
FETCH = 10_000


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset.

    Attributes
    ----------
    id : `uuid.UUID` or `int`
        Its identifier.
    dataset_type : `str`
        Its dataset type.
    run : `str`
        Its run.
    data_id : `~collections.abc.Mapping`
        Values of its required dimensions.
    """

    id: DatasetId
    dataset_type: str
    run: str
    data_id: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        identifier = self.id if isinstance(self.id, int) else str(self.id)
        return {"id": identifier, "dataset_type": self.dataset_type, "run": self.run, "data_id": dict(self.data_id)}


@dataclass(frozen=True, slots=True)
class Query:
    """Which datasets are wanted.

    Attributes
    ----------
    dataset_types : `tuple` [`str`, ...]
        Names or patterns; none stands for all.
    collections : `tuple` [`str`, ...]
        Names or patterns, in the order in which they are searched; chains are followed.  None stands for all.
    where : `str` or `None`
        Expression that data IDs must fulfil.
    find_first : `bool`
        Whether to take of each data ID what the first collection has that has it.
    at : `Timespan` or `None`
        Time for which datasets of calibration collections must be valid, at least in part.
    ids : `tuple` [`str`, ...] or `None`
        Identifiers; other datasets are left out.
    """

    dataset_types: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    where: str | None = None
    find_first: bool = False
    at: timespans.Timespan | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a search has to look into for one dataset type.

    Attributes
    ----------
    dataset_type : `DatasetType`
        The dataset type.
    collections : `tuple` [`Collection`, ...]
        Collections that can have such datasets, in the order of the search.
    """

    dataset_type: DatasetType
    collections: tuple[Collection, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A query that has been looked up in a registry.

    Attributes
    ----------
    parts : `tuple` [`Part`, ...]
        By dataset type.
    skipped : `tuple` [`str`, ...]
        Dataset types that match a pattern, but do not have the dimensions of the expression.
    """

    query: Query
    expression: expressions.Expression | None
    parts: tuple[Part, ...]
    skipped: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    ids: tuple[DatasetId, ...] | None = None
    names: Mapping[int | str, str] = field(default_factory=dict)


def plan_search(session: Session, query: Query, *, order_by: Sequence[str] = ()) -> Search:
    """Look up what a query means.

    Parameters
    ----------
    session : `Session`
        The open registry.
    query : `Query`
        The query.
    order_by : sequence of `str`, optional
        Names of dimensions or of their fields, with a minus in front for the other direction.

    Returns
    -------
    search : `Search`
        Where to look.

    Raises
    ------
    RegistryStateError
        There is no such dataset type or collection.
    ExpressionError
        The expression is malformed, or does not fit a dataset type that was named.
    """
    expression = expressions.parse(query.where) if query.where else None
    types = load_dataset_types(session)
    collections = load_collections(session)
    named = [name for name in query.dataset_types if name in types or not is_glob(name)]
    wanted = {name: require_dataset_type(types, name, where=session.repository.name) for name in named}
    patterns = [re.compile(fnmatch.translate(pattern)) for pattern in query.dataset_types or ("*",)]
    wanted |= {name: found for name, found in types.items() if any(p.match(name) for p in patterns)}
    places = search_order(collections, query.collections)
    if not query.collections and not query.find_first:
        # Each dataset is in one run.
        places = tuple(c for c in places if c.type is CollectionType.RUN)
    ids = tuple(dict.fromkeys(parse_ids(session, query.ids))) if query.ids is not None else None
    if ids is not None:
        _require_ids(session, ids)
    summary = _summary(session, places)
    parts, skipped = [], []
    for name in sorted(wanted):
        dataset_type = wanted[name]
        try:
            scope = scope_of(session, dataset_type, session.table(dataset_type.tags_table), None)
            if expression is not None:
                condition(scope, expression)
            _order(scope, order_by)
        except ExpressionError:
            if name in named:
                raise
            skipped.append(name)
            continue
        looked_into = tuple(
            c
            for c in places
            if (c.key, dataset_type.id) in summary
            and (c.type is not CollectionType.CALIBRATION or dataset_type.calibs_table)
        )
        parts.append(Part(dataset_type, looked_into))
    if expression is not None and skipped and not parts:
        # It fits nothing at all: say why, by the first one.
        dataset_type = wanted[skipped[0]]
        scope = scope_of(session, dataset_type, session.table(dataset_type.tags_table), None)
        condition(scope, expression)
        _order(scope, order_by)
    kept = tuple(p for p in parts if p.collections)
    names = {c.key: c.name for c in collections.values()}
    return Search(query, expression, kept, tuple(skipped), tuple(order_by), ids, names)


def search_order(collections: Collections, patterns: Sequence[str]) -> tuple[Collection, ...]:
    """Return the collections to look into: chains replaced by what is in them, in order, without repetitions."""
    names = [c.name for pattern in patterns or ("*",) for c in collections.matching([pattern])]
    return collections.flatten(names)


def _summary(session: Session, places: Iterable[Collection]) -> set[tuple[Any, ...]]:
    table = session.table(TYPES)
    column = table.c[session.collection_column]
    keys = [c.key for c in places]
    query = sa.select(column, table.c.dataset_type_id)
    if len(keys) <= 500:
        query = query.where(column.in_(keys))
    return {tuple(row) for row in session.rows(query)}


def _require_ids(session: Session, ids: Sequence[DatasetId]) -> None:
    dataset = session.table("dataset")
    for part in chunks(ids):
        known = set(session.connection.scalars(sa.select(dataset.c.id).where(among(session, dataset.c.id, part))))
        missing = [i for i in part if i not in known]
        if missing:
            others = f", and {len(missing) - 1} others are missing" if len(missing) > 1 else ""
            message = f"There is no dataset {missing[0]} in the registry of {session.repository.name}{others}."
            raise RegistryStateError(message, hint="'registrytool dataset find' lists datasets.")


def scope_of(
    session: Session, dataset_type: DatasetType, source: sa.FromClause, dataset: sa.FromClause | None
) -> Scope:
    """Return what names mean for the rows of a tags or calibs table."""
    dataset = dataset if dataset is not None else session.table("dataset")
    identifier = source.c.dataset_id
    fields = {
        "dataset_id": Operand(identifier, "uuid" if isinstance(identifier.type, sa.Uuid) else "number"),
        "ingest_date": Operand(dataset.c.ingest_date, "time"),
        "run": Operand(_name_of(session, dataset.c[session.run_column]), "text"),
        "collection": Operand(_name_of(session, source.c[session.collection_column]), "text"),
        # What is in a run is valid for ever.
        "timespan": Operand(source if timespans.columns(source) else timespans.ALWAYS, "timespan"),
    }
    columns = {name: source.c[name] for name in dataset_type.dimensions}
    what = f"the dataset type {dataset_type.name!r}"
    return Scope(session, columns, fields, owner=dataset_type.name, what=what)


def _name_of(session: Session, key: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the name of a collection for its key."""
    if session.collection_column == "collection_name":
        return key
    table = session.table("collection").alias()
    return sa.select(table.c.name).where(table.c.collection_id == key).scalar_subquery()


def _order(scope: Scope, order_by: Sequence[str]) -> list[sa.ColumnElement[Any]]:
    """Return what rows are sorted by."""
    found = []
    for text in order_by:
        name = text.removeprefix("-")
        parsed = expressions.parse(f"{name} IS NULL").root if re.fullmatch(r"[^\W\d]\w*(\.\w+)*", name) else None
        if not isinstance(parsed, expressions.IsNull) or not isinstance(parsed.operand, expressions.Name):
            message = f"{text!r} is not the name of a dimension or of a field of one, to sort by."
            raise ConfigurationError(
                message, hint="Such as detector, visit.exposure_time, or -visit for the other direction."
            )
        operand = scope.find(parsed.operand.parts)
        if operand is None or operand.kind == "timespan":
            raise ExpressionError(text, len(text) - len(name), f"{scope.what} has no {name} to sort by")
        found.append(operand.sql.desc() if text.startswith("-") else operand.sql.asc())
    return found


# -- SQL ---------------------------------------------------------------------------


def select_part(
    session: Session,
    search: Search,
    part: Part,
    ids: Sequence[DatasetId] | None = None,
    *,
    as_text: bool = False,
) -> sa.Select[Any]:
    """Return the query for the datasets of one dataset type.

    Parameters
    ----------
    session : `Session`
        The open registry.
    search : `Search`
        What is searched.
    part : `Part`
        The dataset type.
    ids : sequence, optional
        Identifiers; other datasets are left out.
    as_text : `bool`, optional
        Whether UUIDs come as text, of which millions are fetched in half of the time; they cannot be compared with
        identifiers in the database then.

    Returns
    -------
    query : `sqlalchemy.Select`
        Columns ``dataset_id``, ``run`` (its key) and one for each required dimension, in this order.
    """
    dimensions = part.dataset_type.dimensions
    only_runs = all(c.type is CollectionType.RUN for c in part.collections)
    several = len(part.collections) > 1
    pieces = []
    for calibration in (False, True):
        places = [c for c in part.collections if (c.type is CollectionType.CALIBRATION) is calibration]
        if places:
            pieces.append(_piece(session, search, part, places, ids, calibration=calibration, as_text=as_text))
    if len(pieces) == 1 and not (several and (search.query.find_first or not only_runs)):
        query, scope = pieces[0]
        if part.collections[0].type is CollectionType.CALIBRATION:
            return _distinct(search, part, [query])
        return query.order_by(*(_order(scope, search.order_by) or [query.selected_columns[n] for n in dimensions]))
    return _distinct(search, part, [query for query, _ in pieces])


def _piece(
    session: Session,
    search: Search,
    part: Part,
    places: Sequence[Collection],
    ids: Sequence[DatasetId] | None,
    *,
    calibration: bool,
    as_text: bool,
) -> tuple[sa.Select[Any], Scope]:
    """Return the rows of one table of associations."""
    dataset_type = part.dataset_type
    source = session.table(str(dataset_type.calibs_table) if calibration else dataset_type.tags_table)
    only_runs = all(c.type is CollectionType.RUN for c in part.collections)
    dataset = session.table("dataset")
    scope = scope_of(session, dataset_type, source, dataset)
    conditions = [source.c.dataset_type_id == dataset_type.id]
    key = source.c[session.collection_column]
    keys = [c.key for c in places]
    conditions.append(key == keys[0] if len(keys) == 1 else key.in_(keys))
    if search.expression is not None:
        conditions.append(condition(scope, search.expression))
    if ids is not None:
        conditions.append(among(session, source.c.dataset_id, ids))
    if calibration and search.query.at is not None:
        conditions.append(timespans.overlaps(source, search.query.at))
    ordering = _order(scope, search.order_by)
    needs_dataset = not only_runs or scope.used & {"ingest_date", "run"}
    tables = source.join(dataset, dataset.c.id == source.c.dataset_id) if needs_dataset else source
    identifier: sa.ColumnElement[Any] = source.c.dataset_id
    columns = [
        _as_text(session, identifier).label("dataset_id") if as_text else identifier,
        (key if only_runs else dataset.c[session.run_column]).label("run"),
        *(source.c[name] for name in dataset_type.dimensions),
    ]
    if len(part.collections) > 1 and search.query.find_first:
        rank = {c.key: i for i, c in enumerate(part.collections)}
        columns.append(sa.case({k: rank[k] for k in keys}, value=key).label("rank_"))
    if len(part.collections) > 1 or calibration:
        # What rows are sorted by must come along, since rows are still to be left out.
        for i, clause in enumerate(ordering):
            columns.append(clause.element.label(f"order_{i}"))
    return sa.select(*columns).select_from(scope.join(tables)).where(*conditions), scope


def _as_text(session: Session, identifier: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an identifier of which the driver makes no object: a UUID as text, or a number."""
    if session.dialect == "postgresql" and isinstance(identifier.type, sa.Uuid):
        # SQLAlchemy tells psycopg2 to make objects of all UUIDs, whatever type a column is said to have.
        return sa.cast(identifier, sa.Text())
    return sa.type_coerce(identifier, sa.String())


def _distinct(search: Search, part: Part, queries: list[sa.Select[Any]]) -> sa.Select[Any]:
    """Return each dataset once; of those with one data ID what comes first, if that is wanted."""
    dimensions = part.dataset_type.dimensions
    rows = sa.union_all(*queries).subquery() if len(queries) > 1 else queries[0].subquery()
    if "rank_" in rows.c:
        best = sa.func.min(rows.c.rank_).over(partition_by=[rows.c[n] for n in dimensions] or None).label("best_")
        ranked = sa.select(rows, best).subquery()
        rows = (
            sa.select(*(c for c in ranked.c if c.name not in ("rank_", "best_")))
            .where(ranked.c.rank_ == ranked.c.best_)
            .subquery()
        )
    columns = [rows.c.dataset_id, rows.c.run, *(rows.c[n] for n in dimensions)]
    extra = [c for c in rows.c if c.name.startswith("order_")]
    query = sa.select(*columns, *extra).distinct()
    ordering: list[sa.ColumnElement[Any]] = [
        extra[i].desc() if text.startswith("-") else extra[i].asc() for i, text in enumerate(search.order_by)
    ]
    ordering = ordering or [rows.c[n] for n in dimensions]
    return query.order_by(*ordering, rows.c.dataset_id)


def find_datasets(session: Session, search: Search, *, limit: int | None = None) -> Iterator[Dataset]:
    """Find datasets, a few thousand at a time in memory.

    Parameters
    ----------
    session : `Session`
        The open registry.
    search : `Search`
        What is searched.
    limit : `int`, optional
        How many at most.

    Yields
    ------
    dataset : `Dataset`
        By dataset type, in the order that was asked for, else in that of the data IDs.
    """
    for dataset_type, rows in _fetch(session, search, limit, as_text=False):
        name, dimensions, names = dataset_type.name, dataset_type.dimensions, search.names
        end = 2 + len(dimensions)
        for row in rows:
            yield Dataset(row[0], name, names[row[1]], dict(zip(dimensions, row[2:end], strict=True)))


def find_rows(
    session: Session, search: Search, *, limit: int | None = None
) -> Iterator[tuple[DatasetType, list[tuple[Any, ...]]]]:
    """Find datasets as plain rows, for millions of them: see `find_datasets`.

    Yields
    ------
    dataset_type : `DatasetType`
        Dataset type of the rows.
    rows : `list` [`tuple`]
        Identifier (text, or a number), run, and a value for each required dimension.
    """
    names = search.names
    for dataset_type, rows in _fetch(session, search, limit, as_text=True):
        end = 2 + len(dataset_type.dimensions)
        first = rows[0][0] if rows else None
        if isinstance(first, str) and len(first) == 32:
            # SQLite keeps UUIDs without dashes.
            plain = [(_dashed(r[0]), names[r[1]], *r[2:end]) for r in rows]
        else:
            plain = [(r[0], names[r[1]], *r[2:end]) for r in rows]
        yield dataset_type, plain


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _fetch(
    session: Session, search: Search, limit: int | None, *, as_text: bool
) -> Iterator[tuple[DatasetType, Sequence[Any]]]:
    """Fetch rows of `select_part` piece by piece."""
    options = {"stream_results": True, "yield_per": FETCH}
    left = limit
    for part in search.parts:
        for ids in [None] if search.ids is None else chunks(search.ids):
            if left is not None and left <= 0:
                return
            query = select_part(session, search, part, ids, as_text=as_text)
            if left is not None:
                query = query.limit(left)
            for rows in session.connection.execute(query, execution_options=options).partitions():
                yield part.dataset_type, rows
                if left is not None:
                    left -= len(rows)


def count_datasets(session: Session, search: Search) -> dict[str, int]:
    """Return how many datasets a search finds, by dataset type."""
    found: dict[str, int] = {}
    for part in search.parts:
        for ids in [None] if search.ids is None else chunks(search.ids):
            query = select_part(session, search, part, ids).order_by(None).subquery()
            number = session.scalar(sa.select(sa.func.count()).select_from(query))
            found[part.dataset_type.name] = found.get(part.dataset_type.name, 0) + number
    return found
