"""Fill every table of a registry with rows that are consistent with each other.

Nothing is known of single tables but what their definitions say; the few rules about content (numbers of days, types
of collections) are those that steps lean on.  The rows of a table are ordinary ones, ones with NULL wherever that is
permitted, ones with strings of the greatest length, and ones with characters that must be quoted, in turn.
"""

from __future__ import annotations

import base64
import datetime
import itertools
import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import INT8RANGE, Range

from registrytool.catalog import MAX_NSEC, MIN_NSEC, Catalog
from registrytool.encoded import encode, encoded_text
from registrytool.errors import ContentError
from registrytool.executor import ConnectionExecutor
from registrytool.introspect import read_structure
from registrytool.models import DatasetTables, DynamicContent
from registrytool.naming import shrink
from registrytool.reshape import Reshape
from registrytool.state import LOG_PREFIX, STAMPS, read_recorded
from registrytool.structure import DIALECTS
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

#: Required dimensions of the dataset types; those of which a universe does not have all are left out.
GROUPS: tuple[tuple[str, ...], ...] = (
    (),
    ("instrument", "detector"),
    ("instrument", "detector", "exposure"),
    ("instrument", "visit", "band", "htm7"),
    ("skymap", "tract", "patch"),
    # Dimensions of the time before universes were stored.
    ("instrument", "visit", "abstract_filter", "htm7"),
    ("instrument", "detector", "calibration_label"),
)
#: The group of which there are calibrations.
CALIBRATION = ("instrument", "detector")

#: How the names of tables of datasets begin.
DATASET_TABLES = ("dataset_tags_", "dataset_calibs_", "dataset_collection_")
#: Tables of file records.
RECORD_TABLES = ("file_datastore_records", "records of another datastore")
_SPAN_COLUMNS = ("timespan_begin", "timespan_end", "timespan", "datetime_begin", "datetime_end")
DAYS = (20161231, 20200101, 20240229, 20241231)
OBSERVATION_TYPES = ("science", "unheard of", "dark", "skyflat")

Row = dict[str, Any]


@dataclass
class Filler:
    """Fills the tables of one registry.

    Parameters
    ----------
    metadata : `sqlalchemy.MetaData`
        All tables.
    never_null : collection of `tuple` [`str`, `str`]
        Table and column of what may be NULL and shall not be.
    done : `dict` [`str`, `list` [`dict`]]
        Rows by table; tables that are in it already are not filled.

    Raises
    ------
    ContentError
        No consistent row can be found for a table.
    """

    metadata: sa.MetaData
    never_null: Collection[tuple[str, str]]
    done: dict[str, list[Row]] = field(default_factory=dict)

    def fill(self, connection: sa.Connection) -> None:
        """Insert rows into all tables, those first to which others refer."""
        for table in self.metadata.sorted_tables:
            if table.name not in self.done:
                self.done[table.name] = list(self._rows(table))
                if not self.done[table.name]:
                    message = f"No row of the table {table.name} is consistent with the tables that it refers to."
                    raise ContentError(message)
                # In groups, since rows that leave a column to its default have fewer columns.
                for _, rows in itertools.groupby(self.done[table.name], key=frozenset):
                    connection.execute(sa.insert(table), list(rows))

        self.advance_sequences(connection)

    def advance_sequences(self, connection: sa.Connection) -> None:
        """Let sequences go on after the rows, as they would if a client had inserted them."""
        if connection.dialect.name != "postgresql":
            return
        for table in self.metadata.sorted_tables:
            for column in table.columns:
                if column.info.get("sequence"):
                    highest = sa.select(sa.func.max(column)).scalar_subquery()
                    name = sequence_of(column)
                    connection.execute(sa.select(sa.func.setval(name, highest)).where(highest.is_not(None)))

    def add(self, connection: sa.Connection, name: str, given: Row) -> Row:
        """Insert one row of which some values are given, and the rows that it refers to.

        Parameters
        ----------
        connection : `sqlalchemy.Connection`
            Connection to the registry.
        name : `str`
            The table.
        given : `dict`
            Values by column; what is missing is NULL if that is permitted, and anything otherwise.

        Returns
        -------
        row : `dict`
            The whole row.
        """
        schema = f"{self.metadata.schema}." if self.metadata.schema else ""
        table = self.metadata.tables[schema + name]
        row = dict(given)
        number = len(self.done.setdefault(name, []))
        for key in sorted(table.foreign_key_constraints, key=lambda k: (-len(k.column_keys), k.column_keys)):
            columns, targets = list(key.column_keys), _target(key)
            needed = [c for c in columns if not table.c[c].nullable]
            if all(row.get(c) is None for c in columns) and (not needed or any(c in given for c in columns)):
                continue
            if any(c in row and row[c] is None for c in columns):
                continue
            wanted = {t: row[c] for c, t in zip(columns, targets, strict=True) if c in row}
            parents = self.done.get(key.referred_table.name, [])
            parent = next((p for p in parents if all(p.get(t) == v for t, v in wanted.items())), None)
            if parent is None:
                parent = self.add(connection, key.referred_table.name, wanted)
            row.update({c: parent[t] for c, t in zip(columns, targets, strict=True)})
        for column in table.columns:
            if column.name not in row and not column.nullable and column.server_default is None:
                row[column.name] = _value(name, column, 4 * number)
        connection.execute(sa.insert(table), row)
        self.done[name].append(row)
        return row

    def _rows(self, table: sa.Table) -> Iterator[Row]:
        keys = [(list(key.column_keys), key.referred_table.name, _target(key)) for key in table.foreign_key_constraints]
        if table.name.startswith(DATASET_TABLES):
            # A dataset in the table of its own type.
            dataset = next(columns[0] for columns, target, _ in keys if target == "dataset")
            keys.append((["dataset_type_id", dataset], "dataset", ["dataset_type_id", "id"]))
        choices = [list(self._choices(table.name, *key)) for key in sorted(keys, key=lambda k: (-len(k[0]), k))]
        found = list(itertools.islice(_consistent(choices, {}), 400))
        if not found:
            return
        parents = max((len(self.done[target]) for _, target, _ in keys), default=0)
        wanted = min(40, max(4, 2 * parents))
        bound = {column for columns, _, _ in keys for column in columns}
        if set(table.primary_key.columns.keys()) <= bound:
            chosen = found if len(found) <= 60 else random.Random(1).sample(found, 60)  # noqa: S311 (the same each time)
        else:
            chosen = [found[i * 7 % len(found)] for i in range(wanted)]
        seen: set[tuple[Any, ...]] = set()
        unique = [
            tuple(c.columns.keys())
            for c in table.constraints
            if isinstance(c, sa.PrimaryKeyConstraint | sa.UniqueConstraint)
        ]
        for i, given in enumerate(chosen):
            row = self._row(table, i, given)
            identities = {(names, *(repr(row[n]) for n in names)) for names in unique}
            if not identities & seen:
                seen |= identities
                yield row

    def _choices(self, table: str, columns: list[str], target: str, target_columns: list[str]) -> Iterator[Row]:
        """Give the values that a foreign key can have."""
        seen = set()
        for parent in self.done[target]:
            values = tuple(parent.get(c) for c in target_columns)
            if values not in seen and None not in values and _fits(table, target, parent):
                seen.add(values)
                yield dict(zip(columns, values, strict=True))

    def _row(self, table: sa.Table, i: int, given: Row) -> Row:
        row = dict(given)
        span = _span(i)
        for column in table.columns:
            empty = i % 4 == 1 and column.nullable and (table.name, column.name) not in self.never_null
            if empty and not column.primary_key:
                row[column.name] = None
            elif column.name in row:
                continue
            elif column.name in _SPAN_COLUMNS:
                row.update(_timespan_columns(column, span if column.nullable or span is not None else (5, 9)))
            elif not (column.server_default is not None and i % 4 == 1):
                row[column.name] = _value(table.name, column, i)
        if {"timespan_begin", "timespan_end"} <= row.keys() and None in (row["timespan_begin"], row["timespan_end"]):
            row.update(timespan_begin=None, timespan_end=None)
        return row


def _consistent(choices: Sequence[list[Row]], chosen: Row, known: Sequence[_Known] | None = None) -> Iterator[Row]:
    """Combine values of all foreign keys in all ways in which they do not contradict each other."""
    known = _by_common_columns(choices) if known is None else known
    if not choices:
        yield chosen
        return
    common, found = known[0]
    for values in found.get(tuple(chosen[c] for c in common), ()):
        yield from _consistent(choices[1:], chosen | values, known[1:])


_Known = tuple[list[str], dict[tuple[Any, ...], list[Row]]]


def _by_common_columns(choices: Sequence[list[Row]]) -> list[_Known]:
    """Sort the values of each foreign key by the columns that it shares with those before it."""
    result: list[_Known] = []
    before: set[str] = set()
    for rows in choices:
        common = sorted(before & rows[0].keys()) if rows else []
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            found.setdefault(tuple(row[c] for c in common), []).append(row)
        result.append((common, found))
        before |= rows[0].keys() if rows else set()
    return result


def _target(key: sa.ForeignKeyConstraint) -> list[str]:
    return [element.column.name for element in key.elements]


def _fits(table: str, target: str, parent: Row) -> bool:
    """Whether a dataset type belongs to a table of datasets."""
    if target != "dataset_type" or not table.startswith(DATASET_TABLES):
        return True
    if "tag_association_table" in parent:
        return table in (parent["tag_association_table"], parent.get("calibration_association_table"))
    return table.endswith(base64.b64decode(parent["dimensions_encoded"]).hex())


def _span(i: int) -> tuple[int | None, int | None] | None:
    """Return bounds in turn: both, none of them, no timespan, the end only, the begin only."""
    start = 1_500_000_037_000_000_000 + i * 86_400_000_000_000
    return ((start, start + 30_000_000_001), (None, None), None, (None, start), (start, None))[i % 5]


def _timespan_columns(column: sa.Column[Any], span: tuple[int | None, int | None] | None) -> Row:
    if isinstance(column.type, INT8RANGE):
        return {column.name: None if span is None else Range(*span, bounds="[)")}
    if span is None:
        return {column.name: None}
    begin, end = span
    if column.name.endswith("_begin"):
        return {column.name: MIN_NSEC if begin is None else begin}
    return {column.name: MAX_NSEC if end is None else end}


def _value(table: str, column: sa.Column[Any], i: int) -> Any:
    match column.type:
        case _ if column.name == "day_obs" or (table, column.name) == ("day_obs", "id"):
            return DAYS[i % len(DAYS)]
        case _ if column.name == "observation_type":
            return OBSERVATION_TYPES[i // 4 % 4] if i > 3 else OBSERVATION_TYPES[i]
        case _ if (table, column.name) == ("collection", "type"):
            return 1 + i % 4
        case _ if column.name == "ingest_date" and isinstance(column.type, sa.BigInteger):
            return 1_600_000_037_123_456_000 + i * 1_000
        case sa.Uuid():
            return uuid.uuid5(uuid.NAMESPACE_OID, f"{table}.{column.name}.{i}")
        case sa.String():
            return _text(f"{column.name}{i}", i, column.type.length)
        case sa.TIMESTAMP():
            return datetime.datetime(2016, 12, 31, 23, 59, 58) + datetime.timedelta(seconds=i, microseconds=999_999 - i)  # noqa: DTZ001 (as the column: UTC without saying so)
        case sa.Float():
            return (0.1 + 0.2, -1e-300, 1.7976931348623157e308, 0.0)[i % 4]
        case sa.Boolean():
            return i % 3 == 0
        case sa.LargeBinary():
            return bytes(range(i, i + 200)) + b"\0"
        case sa.BigInteger() if i % 4 == 2 and column.nullable:
            return 2**63 - 1
        case sa.Integer():  # and BigInteger and SmallInteger
            return i + 1
    message = f"no value for {column!r}"
    raise NotImplementedError(message)


def _text(plain: str, i: int, length: int | None) -> str:
    if i % 4 == 2:
        return f"{i}{'Ü' * 5000}"[: length or 5000]
    if i % 4 == 3:
        return f"{i}'\"é%s:x;--\\日本 {plain}"[:length]
    return plain[:length]


def sequence_of(column: sa.Column[Any]) -> str:
    """Return the name of the sequence of a column of PostgreSQL, quoted, as SQL has it."""
    # Not the preparer of a connection, which doubles percent signs for the driver.
    prepare = DIALECTS["postgresql"].identifier_preparer
    name = prepare.quote(shrink(f"{column.table.name}_seq_{column.name}", "postgresql"))
    return f"{prepare.quote_schema(column.table.schema)}.{name}" if column.table.schema else name


# -- whole registries ---------------------------------------------------------


def fill_tables(
    connection: sa.Connection,
    namespace: str | None,
    catalog: Catalog,
    *,
    never_null: Collection[tuple[str, str]] = (),
    groups: Sequence[tuple[str, ...]] | None = None,
    calibration: tuple[str, ...] | None = None,
) -> None:
    """Register dataset types and a second datastore, and put rows into every table.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to a new registry, in a transaction.
    namespace : `str` or `None`
        PostgreSQL schema.
    catalog : `Catalog`
        The content.
    never_null : collection of `tuple` [`str`, `str`], optional
        Table and column of what may be NULL and shall not be.
    groups : sequence of `tuple` [`str`, ...], optional
        Required dimensions of the dataset types; by default some that the universe has.
    calibration : `tuple` [`str`, ...], optional
        The group of which there are calibrations.
    """
    metadata, done = register_types(connection, namespace, catalog, groups=groups, calibration=calibration)
    Filler(metadata, never_null, {"butler_attributes": [], **done}).fill(connection)


def register_types(
    connection: sa.Connection,
    namespace: str | None,
    catalog: Catalog,
    *,
    groups: Sequence[tuple[str, ...]] | None = None,
    calibration: tuple[str, ...] | None = None,
    record_tables: Sequence[str] = RECORD_TABLES,
) -> tuple[sa.MetaData, dict[str, list[Row]]]:
    """Register two dataset types for each of some groups of dimensions, and datastores.

    Parameters
    ----------
    connection, namespace, catalog, groups, calibration
        As for `fill_tables`.
    record_tables : sequence of `str`, optional
        Tables of file records.

    Returns
    -------
    metadata : `sqlalchemy.MetaData`
        Definitions of all tables of the registry.
    rows : `dict` [`str`, `list` [`dict`]]
        The rows that were inserted, by table.
    """
    recorded = read_recorded(connection, namespace, catalog, where="the laboratory")
    dialect, universe = connection.dialect.name, Universe(recorded.universe)
    if groups is None:
        groups = usual_groups(universe)
    if calibration is None:
        calibration = CALIBRATION if CALIBRATION in groups else groups[-1]
    encoded = getattr(catalog.module(recorded.state["datasets"]), "ENCODED", None)
    if encoded is None:
        tables, rows = _dataset_types(universe, groups, calibration)
    else:
        tables, rows = _encoded_types(universe, groups, calibration, encoded)
    rows["opaque_meta"] = [{"table_name": name} for name in record_tables]
    dynamic = DynamicContent(tables, tuple(record_tables), recorded.dynamic.obscore)
    metadata = catalog.metadata(recorded.state, dialect, dynamic, universe=recorded.universe, namespace=namespace)
    there = read_structure(connection, namespace)
    Reshape(there, None, metadata, keep_foreign=True).create(ConnectionExecutor(connection))
    definitions = {table.name: table for table in metadata.tables.values()}
    for name in ("dimension_graph_key", "dimension_graph_definition", "dataset_type", "opaque_meta"):
        if rows[name]:
            connection.execute(sa.insert(definitions[name]), rows[name])
    return metadata, {name: found for name, found in rows.items() if name in definitions}


def usual_groups(universe: Universe) -> tuple[tuple[str, ...], ...]:
    """Return the required dimensions of some dataset types that a universe can have."""
    known = [g for g in GROUPS if all(universe.is_known(name) for name in g)]
    if len(known) > 2:
        return tuple(known)
    found = dict.fromkeys(e.required for e in universe if e.is_dimension and e.has_table)
    return ((), *list(found)[:4])


def _dataset_types(
    universe: Universe, groups: Sequence[tuple[str, ...]], calibration: tuple[str, ...]
) -> tuple[tuple[DatasetTables, ...], dict[str, list[Row]]]:
    known = [g for g in groups if all(universe.is_known(name) for name in g)]
    tables: list[DatasetTables] = []
    rows: dict[str, list[Row]] = {
        "dimension_graph_key": [],
        "dimension_graph_definition": [],
        "dataset_type": [],
    }
    # Key 0 is the empty group, which has no row.
    for key, group in enumerate(sorted(known, key=len)):
        if group:
            rows["dimension_graph_key"].append({"id": key})
        rows["dimension_graph_definition"] += [{"dimension_graph_id": key, "dimension_name": name} for name in group]
        tags, calibs = f"dataset_tags_{key:08}", f"dataset_calibs_{key:08}" if group == calibration else None
        tables.append(DatasetTables(tags, "tags", group))
        if calibs:
            tables.append(DatasetTables(calibs, "calibs", group))
        rows["dataset_type"] += [
            {
                "id": 2 * key + number + 1,
                "name": f"type {number} of '{'_'.join(group)}'",
                "storage_class": "Ünusual",
                "dimensions_key": key,
                "tag_association_table": tags,
                "calibration_association_table": calibs if number else None,
            }
            for number in range(2)
        ]
    return tuple(tables), rows


def _encoded_types(
    universe: Universe, groups: Sequence[tuple[str, ...]], calibration: tuple[str, ...], columns: Sequence[str]
) -> tuple[tuple[DatasetTables, ...], dict[str, list[Row]]]:
    """Do the same for the time when dataset types held their dimensions as bits."""
    tables: list[DatasetTables] = []
    types: list[Row] = []
    for key, group in enumerate(sorted((g for g in groups if all(map(universe.is_known, g))), key=len)):
        code = encode(universe, group)
        kinds = ("tags", "calibs") if len(columns) > 1 and group == calibration else ("tags",)
        names = [f"dataset_{kind if len(columns) > 1 else 'collection'}_{code.hex()}" for kind in kinds]
        tables += [DatasetTables(name, kind, group) for name, kind in zip(names, kinds, strict=True)]
        for number in range(2):
            values = (encoded_text(code), names[0], names[1] if number and len(names) > 1 else None)
            name = f"type {number} of '{'_'.join(group)}'"
            row = {"id": 2 * key + number + 1, "name": name, "storage_class": "Ünusual"}
            types.append({**row, **dict(zip(columns, values, strict=False))})
    return tuple(tables), {
        "dimension_graph_key": [],
        "dimension_graph_definition": [],
        "dataset_type": types,
    }


@dataclass(frozen=True)
class TableContent:
    """All rows of a table, as the driver gives them."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def of(self, columns: Iterable[str]) -> list[tuple[Any, ...]]:
        """Return the values of some columns of all rows, sorted."""
        positions = [self.columns.index(c) for c in columns]
        return sorted((tuple(row[p] for p in positions) for row in self.rows), key=repr)


def read_content(connection: sa.Connection, namespace: str | None) -> dict[str, TableContent]:
    """Read all rows of all tables, but for the revisions in ``alembic_version`` and the log of registrytool."""
    result: dict[str, TableContent] = {}
    preparer = connection.dialect.identifier_preparer
    for name in sorted(sa.inspect(connection).get_table_names(schema=namespace)):
        if name == STAMPS:
            continue
        table = preparer.format_table(sa.table(name, schema=namespace))
        # As text: to compile a statement for each table takes as long as to read them.
        cursor = connection.exec_driver_sql(f"SELECT * FROM {table}")
        rows = [tuple(_plain(value) for value in row) for row in cursor]
        if name == "butler_attributes":
            rows = [row for row in rows if not str(row[0]).startswith(LOG_PREFIX)]
        result[name] = TableContent(tuple(cursor.keys()), rows)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return str(value) if type(value).__name__ == "NumericRange" else value
