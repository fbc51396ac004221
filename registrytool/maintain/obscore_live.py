"""The live ObsCore table: which datasets have a row, and how rows follow what becomes of datasets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError

from .collections import CollectionType, insert_missing, load_collections
from .dataset_types import load_dataset_types
from .idlist import IdList, among
from .pieces import chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registrytool.universe import Element

    from .collections import Collection
    from .dataset_types import DatasetType
    from .datasets import DatasetId
    from .obscore_rows import RowMaker
    from .session import Session

#: Is given columns with the key of a dimension element; returns conditions that choose some of its records, each for a
#: part of them.
Chosen = Callable[[Sequence[sa.ColumnElement[Any]]], Iterable[sa.ColumnElement[bool]]]

#: How many rows are made at once.
PIECE = 1000


@dataclass(frozen=True)
class LiveTable:
    """The live ObsCore table of a registry.

    Attributes
    ----------
    session : `Session`
        The open registry.
    config : `~collections.abc.Mapping`
        Its configuration.
    table : `sqlalchemy.Table`
        The table.
    types : `tuple` [`DatasetType`, ...]
        Dataset types that have rows, those that there are.
    keys : `tuple`
        Keys of the collections whose datasets have rows.
    tagged : `bool`
        Whether these are of type TAGGED, and not runs.
    unknown_types, unknown_collections : `tuple` [`str`, ...]
        What the configuration names and the registry does not have.
    """

    session: Session
    config: Mapping[str, Any]
    table: sa.Table
    types: tuple[DatasetType, ...]
    keys: tuple[Any, ...]
    tagged: bool
    unknown_types: tuple[str, ...]
    unknown_collections: tuple[str, ...]

    @classmethod
    def of(cls, session: Session) -> LiveTable | None:
        """Return the table of a registry, `None` if it has none.

        Raises
        ------
        RegistryStateError
            Its configuration has a pattern that is none.
        """
        config = session.recorded.dynamic.obscore
        if config is None or session.state.get("obscore") is None:
            return None
        types, named = load_dataset_types(session), sorted(config.get("dataset_types") or {})
        keys, idle = _places(session, config)
        return cls(
            session,
            config,
            session.table(str(config.get("table_name") or "obscore")),
            tuple(types[n] for n in named if n in types),
            keys,
            config.get("collection_type") == "TAGGED",
            tuple(n for n in named if n not in types),
            idle,
        )

    @property
    def key(self) -> sa.ColumnElement[Any]:
        """Column with the identifier of the dataset."""
        return self.table.c.registry_dataset_id

    def members(self, dataset_type: DatasetType) -> sa.Select[tuple[Any]]:
        """Return the query for the identifiers of all datasets of a type that should have a row."""
        session, dataset = self.session, self.session.table("dataset")
        if self.tagged:
            return self._tagged(dataset_type)
        query = sa.select(dataset.c.id).where(dataset.c.dataset_type_id == dataset_type.id)
        return query.where(among(session, dataset.c[session.run_column], self.keys))

    def _tagged(self, dataset_type: DatasetType) -> sa.Select[tuple[Any]]:
        tags = self.session.table(dataset_type.tags_table).alias()
        query = sa.select(tags.c.dataset_id).where(tags.c.dataset_type_id == dataset_type.id)
        return query.where(among(self.session, tags.c[self.session.collection_column], self.keys))

    def _is_member(self, dataset_type: DatasetType, dataset: sa.Table) -> sa.ColumnElement[bool]:
        """Return the condition that a dataset of a type should have a row."""
        if self.tagged:
            tagged = self._tagged(dataset_type)
            return tagged.where(tagged.selected_columns[0] == dataset.c.id).exists()
        return among(self.session, dataset.c[self.session.run_column], self.keys)

    def ids(self, query: sa.Select[Any]) -> IdList:
        """Return the identifiers that a query finds."""
        return IdList(self.session.connection.scalars(query))

    def missing(self, dataset_type: DatasetType) -> IdList:
        """Return the datasets of a type that should have a row and have none."""
        members = self.members(dataset_type)
        identifier = members.selected_columns[0]
        return self.ids(members.where(~sa.exists().where(self.key == identifier)))

    def strangers(self) -> sa.ColumnElement[bool]:
        """Return the condition that a row is of a dataset that should have none."""
        wanted = [self.members(t) for t in self.types]
        return self.key.not_in(sa.union_all(*wanted)) if wanted else sa.true()

    def datasets(
        self, dataset_type: DatasetType, ids: Iterable[DatasetId]
    ) -> list[tuple[DatasetId, str, Mapping[str, Any]]]:
        """Return those of some datasets of a type that should have a row: identifier, run and data ID."""
        session, dataset = self.session, self.session.table("dataset")
        tags, run, collection = (
            session.table(dataset_type.tags_table),
            dataset.c[session.run_column],
            session.table("collection"),
        )
        wanted = list(ids)
        # Not joined: without statistics, as in the transaction that fills the tables, a server would read all datasets
        # of the run for each of these.
        runs: sa.Select[Any] = (
            sa.select(dataset.c.id, run, collection.c.name)
            .select_from(dataset.join(collection, collection.c[session.collection_key] == run))
            .where(
                dataset.c.dataset_type_id == dataset_type.id,
                among(session, dataset.c.id, wanted),
                self._is_member(dataset_type, dataset),
            )
        )
        found = {row[0]: row[1:] for row in map(tuple, session.rows(runs))}
        names = dataset_type.dimensions
        own = sa.select(tags.c.dataset_id, tags.c[session.collection_column], *(tags.c[d] for d in names)).where(
            tags.c.dataset_type_id == dataset_type.id, among(session, tags.c.dataset_id, wanted)
        )
        rows = [tuple(row) for row in session.rows(own)]
        return [
            (row[0], found[row[0]][1], dict(zip(names, row[2:], strict=True)))
            for row in rows
            if row[0] in found and found[row[0]][0] == row[1]
        ]

    def maker(self, dataset_type: DatasetType) -> RowMaker:
        """Return what makes rows for a dataset type."""
        from .obscore_rows import RowMaker

        return RowMaker(self.session, self.config, self.table, dataset_type)

    def make_right(
        self, maker: RowMaker, dataset_type: DatasetType, ids: Iterable[DatasetId], *, act: bool = True
    ) -> Counter[str]:
        """Make the rows of some datasets that should have one, and write those that differ from what there is.

        Returns
        -------
        tally : `~collections.Counter` [`str`]
            How many rows are ``inserted``, ``changed`` and ``kept``.
        """
        from .obscore_rows import DATASET

        rows = maker.rows(self.datasets(dataset_type, ids))
        # What the database shows of points and polygons has another form than what it is given; the same regions are
        # in the other columns.
        compared = [c for c in self.table.c if not isinstance(c.type, sa.types.UserDefinedType)]
        query = sa.select(*compared).where(among(self.session, self.key, [row[DATASET] for row in rows]))
        present = {row[DATASET]: row for row in self.session.connection.execute(query).mappings()}
        new = [row for row in rows if row[DATASET] not in present]
        wrong = [
            row
            for row in rows
            if row[DATASET] in present and any(present[row[DATASET]][c.name] != row[c.name] for c in compared)
        ]
        if act:
            if wrong:
                self.delete([row[DATASET] for row in wrong])
            self.insert([*new, *wrong])
        return Counter(inserted=len(new), changed=len(wrong), kept=len(rows) - len(new) - len(wrong))

    def that_use(self, maker: RowMaker, dataset_type: DatasetType, element: Element, chosen: Chosen) -> IdList:
        """Return the datasets of a type that have a row in which values of some dimension records are."""
        from .conditions import Scope

        session, tags = self.session, self.session.table(dataset_type.tags_table)
        own = {n: tags.c[n] for n in dataset_type.dimensions}
        ways: list[tuple[sa.FromClause, Mapping[str, sa.ColumnElement[Any]]]] = []
        if maker.reads(element):
            ways.append((tags, own))
        if maker.takes_regions_from(element):
            link = session.table("visit_definition")
            same = sa.and_(*(link.c[n] == own[n] for n in ("instrument", "exposure")))
            names = (*session.universe[link.name].required, *session.universe[link.name].implied)
            ways.append((tags.join(link, same), {n: link.c[n] for n in names} | own))
        found = IdList()
        for source, columns in ways:
            scope = Scope(session, columns)
            key = [scope.dimension(n) for n in element.required]
            query = sa.select(tags.c.dataset_id).distinct().select_from(scope.join(source))
            query = query.where(
                tags.c.dataset_type_id == dataset_type.id, sa.exists().where(self.key == tags.c.dataset_id)
            )
            for condition in chosen(key):
                found.extend(self.ids(query.where(condition)))
        return found

    def insert(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows; those that are there stay."""
        if rows:
            self.session.connection.execute(insert_missing(self.session, self.table.name), rows)

    def delete(self, ids: Iterable[DatasetId]) -> int:
        """Delete the rows of some datasets."""
        return self.session.execute(sa.delete(self.table).where(among(self.session, self.key, ids)))


def _places(session: Session, config: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Return the keys of the collections that a configuration means, and what means none."""
    collections = load_collections(session)
    names = [str(name) for name in config.get("collections") or ()]
    if config.get("collection_type") == "TAGGED":
        return tuple(collections[n].key for n in names if n in collections), tuple(
            n for n in names if n not in collections
        )
    try:
        patterns = [re.compile(name) for name in names]
    except re.error as error:
        message = f"The ObsCore configuration of {session.repository.name} has a pattern that is none: {error}."
        raise RegistryStateError(message, hint="Collections are regular expressions there.") from error
    runs = [c for c in collections.values() if c.type is CollectionType.RUN]
    meant = [c for c in runs if not names or any(p.fullmatch(c.name) for p in patterns)]
    idle = (n for n, p in zip(names, patterns, strict=True) if not any(p.fullmatch(c.name) for c in runs))
    return tuple(c.key for c in meant), tuple(idle)


def follow(session: Session, ids: Iterable[DatasetId]) -> None:
    """Make the rows of some datasets right, after these came, or went from one collection to another.

    Rows of datasets that were removed go with them; the foreign key sees to it.

    Parameters
    ----------
    session : `Session`
        The open registry; without a live table nothing happens.
    ids : iterable
        Identifiers of datasets.

    Raises
    ------
    RegistryStateError, ConfigurationError
        See `RowMaker.rows`.
    """
    live = LiveTable.of(session) if session.state.get("obscore") is not None else None
    if live is None:
        return
    for part in chunks(ids, PIECE):
        live.delete(part)
        for dataset_type, found in _by_type(live, part):
            live.insert(live.maker(dataset_type).rows(live.datasets(dataset_type, found)))


class StaleRows:
    """Rows in which values of some dimension records are, to be made again once these have become others, or are gone.

    Rows are not made for datasets that have none.  Butlers do this when they define visits, and only for the
    columns of the region; other rows of theirs show what the records once were.

    Parameters
    ----------
    session : `Session`
        The open registry; without a live table there are no such rows.
    records : sequence of `tuple` [`Element`, callable]
        Elements, and what chooses their records.
    """

    def __init__(self, session: Session, records: Sequence[tuple[Element, Chosen]]) -> None:
        self._found: list[tuple[LiveTable, RowMaker, DatasetType, IdList]] = []
        live = LiveTable.of(session) if records and session.state.get("obscore") is not None else None
        if live is None or session.scalar(sa.select(live.key).limit(1)) is None:
            return
        for dataset_type in live.types:
            maker, ids = live.maker(dataset_type), IdList()
            for element, chosen in records:
                ids.extend(live.that_use(maker, dataset_type, element, chosen))
            self._found.append((live, maker, dataset_type, ids))

    def renew(self) -> None:
        """Make the rows again.

        Raises
        ------
        RegistryStateError, ConfigurationError
            See `RowMaker.rows`.
        """
        for live, maker, dataset_type, ids in self._found:
            for part in ids.parts(PIECE):
                live.make_right(maker, dataset_type, part)


def follow_tags(session: Session, collection: Collection) -> None:
    """Make rows right after datasets came into a tagged collection, or were taken out of it.

    Parameters
    ----------
    session : `Session`
        The open registry; if the live table is not about the collection, nothing happens.
    collection : `Collection`
        The collection.

    Raises
    ------
    RegistryStateError, ConfigurationError
        See `RowMaker.rows`.
    """
    live = LiveTable.of(session) if session.state.get("obscore") is not None else None
    if live is None or not live.tagged or collection.key not in live.keys:
        return
    session.execute(sa.delete(live.table).where(live.strangers()))
    for dataset_type in live.types:
        for part in live.missing(dataset_type).parts(PIECE):
            live.insert(live.maker(dataset_type).rows(live.datasets(dataset_type, part)))


def _by_type(live: LiveTable, ids: Sequence[DatasetId]) -> Iterator[tuple[DatasetType, list[DatasetId]]]:
    dataset, types = live.session.table("dataset"), {t.id: t for t in live.types}
    query = sa.select(dataset.c.dataset_type_id, dataset.c.id).where(among(live.session, dataset.c.id, ids))
    found: dict[int, list[DatasetId]] = {}
    for row in live.session.rows(query):
        if row.dataset_type_id in types:
            found.setdefault(row.dataset_type_id, []).append(row.id)
    for number, members in found.items():
        yield types[number], members
