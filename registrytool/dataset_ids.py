"""Identifiers of datasets: from integers to UUIDs and back, for steps between the two implementations.

A mapping table with the columns ``id`` and ``uuid`` is filled for every identifier that occurs anywhere; then all
tables are written again, joined with it.  Its name is the one that the existing migration tool uses, and one that is
there already is used: identifiers that were known once come back.
"""

from __future__ import annotations

import contextlib
import csv
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .naming import NAMESPACE_UUID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import sqlalchemy as sa

    from .step import Step

MAPPING = "migration_id2uuid"
#: Function of SQLite connections that computes `data_id_uuid`.
UUID5 = "registrytool_uuid5"
KEEP, EXPORT, TYPES, KIND = "keep_mapping", "export_mapping", "deterministic_types", "dataset_ids"
KEEP_CHOICES, KIND_CHOICES = ("yes", "no"), ("uuid4", "uuid7")
#: Options of the steps, with help.
OPTIONS: Mapping[str, str] = {
    KEEP: f"whether to keep old and new identifiers in the table {MAPPING}: yes or no (default: no)",
    EXPORT: "file to which old and new identifiers are written as CSV; it must not exist",
    TYPES: "dataset types with UUIDs that follow from type, run and data ID, separated by commas (default: raw)",
    KIND: "other UUIDs: uuid4, which are random, or uuid7, which begin with the ingest date (default: uuid4)",
}


def data_id_uuid(text: str) -> str:
    """Return the UUID that follows from the description of a dataset, in hexadecimal digits.

    Parameters
    ----------
    text : `str`
        ``dataset_type=raw,run=HSC/raw/all,detector=1,…``: dimensions in alphabetical order.
    """
    return uuid.uuid5(NAMESPACE_UUID, text).hex


def to_uuids(step: Step, *, types: str | None, kind: str | None, keep: str | None, export: str | None) -> None:
    """Give all datasets UUIDs instead of integers.

    Parameters
    ----------
    step : `Step`
        The step.
    types, kind, keep, export : `str` or `None`
        What the user set; see `OPTIONS`.

    Raises
    ------
    ConfigurationError
        An option is wrong.
    RegistryStateError
        There are identifiers in a table of an unknown kind.
    """
    import sqlalchemy as sa

    kept, path = keep == "yes", _free(export)
    _refuse_strange_tables(step)
    names = _deterministic(step, types)
    columns = _columns(step)
    mapping = _mapping(step, unlogged=not kept)
    dataset = step.old("dataset")
    for query in _described(step, names) if names else ():
        _add_described(step, mapping, query)
    known = sa.select(mapping.c.id).where(mapping.c.id == dataset.c.id).exists()
    kind = kind or "uuid4"
    new = _new_uuid(step.dialect, kind, dataset.c.ingest_date)
    query = sa.select(dataset.c.id, new).where(~known).order_by(dataset.c.id)
    step.execute(sa.insert(mapping).from_select(["id", "uuid"], query))
    for column in _loose(columns):
        found = sa.select(column.label("id")).distinct().subquery("found")
        known = sa.select(mapping.c.id).where(mapping.c.id == found.c.id).exists()
        query = sa.select(found.c.id, _new_uuid(step.dialect, kind, None)).where(~known)
        step.execute(sa.insert(mapping).from_select(["id", "uuid"], query))
    _rewrite(step, columns, mapping, mapping.c.id, mapping.c.uuid)
    _finish(step, mapping, path, keep=kept)


def to_integers(step: Step, *, keep: str | None, export: str | None) -> None:
    """Give all datasets integers instead of UUIDs: those of a mapping that was kept, and new ones.

    Parameters
    ----------
    step : `Step`
        The step.
    keep, export : `str` or `None`
        What the user set; see `OPTIONS`.

    Raises
    ------
    ConfigurationError
        An option is wrong.
    RegistryStateError
        UUIDs would be lost, or there are identifiers in a table of an unknown kind.
    """
    import sqlalchemy as sa

    kept, path = keep == "yes", _free(export)
    dataset = step.old("dataset")
    if not kept:
        step.refuse_loss(
            sa.select(dataset.c.id),
            f"the UUIDs of {{count}} datasets (unless they are kept with --set {KEEP}=yes)",
        )
    _refuse_strange_tables(step)
    columns = _columns(step)
    mapping = _mapping(step, unlogged=not kept)
    if step.dialect == "sqlite":
        # Before the numbering, which looks every identifier up.
        step.execute(sa.text(f"CREATE UNIQUE INDEX {MAPPING}_uuid ON {MAPPING} (uuid)"))
    _number(step, mapping, sa.select(dataset.c.id, dataset.c.ingest_date.label("age")))
    for column in _loose(columns):
        _number(step, mapping, sa.select(column.label("id"), sa.null().label("age")).distinct())
    _rewrite(step, columns, mapping, mapping.c.uuid, mapping.c.id)
    step.set_sequence("dataset_seq_id", step.new("dataset").c.id)
    _finish(step, mapping, path, keep=kept)


def _free(name: str | None) -> Path | None:
    """Return the file to export to, which is not there yet."""
    if name is not None and Path(name).exists():
        message = f"The file {name} for old and new identifiers exists already."
        raise ConfigurationError(message, hint=f"Name another one with --set {EXPORT}=FILE.")
    return Path(name) if name is not None else None


def _refuse_strange_tables(step: Step) -> None:
    import sqlalchemy as sa

    table = step.old("opaque_meta")
    known = step.before.dynamic.record_tables
    step.refuse_if(
        sa.select(table.c.table_name).where(table.c.table_name.not_in(known)),
        "The opaque table {first} is of an unknown kind, so that its dataset identifiers cannot be changed.",
        "Remove it and its row in opaque_meta if no datastore uses it.",
    )


def _is_uuid(column: sa.Column[Any]) -> bool:
    import sqlalchemy as sa

    return isinstance(column.type, sa.Uuid)


def _columns(step: Step) -> list[sa.Column[Any]]:
    """Return the columns of the old tables that hold identifiers of datasets: their type is what changes."""
    return [
        column
        for name in step.before.structure.tables
        if name in step.after.structure.tables
        for column in step.old(name).columns
        if column.name in step.new(name).c and _is_uuid(column) != _is_uuid(step.new(name).c[column.name])
    ]


def _loose(columns: list[sa.Column[Any]]) -> list[sa.Column[Any]]:
    """Return the columns that can hold identifiers of datasets that are not there."""
    return [c for c in columns if c.table.name != "dataset" and not c.foreign_keys]


def _mapping(step: Step, *, unlogged: bool) -> sa.Table:
    """Return the mapping table, made if it is not there."""
    import sqlalchemy as sa
    from sqlalchemy.schema import CreateTable

    sqlite = step.dialect == "sqlite"
    mapping = sa.Table(
        MAPPING,
        sa.MetaData(schema=step.before.metadata.schema),
        # On SQLite the key is the number of the row, so that looking an integer up costs nothing.
        sa.Column("id", sa.Integer() if sqlite else sa.BigInteger(), primary_key=sqlite, autoincrement=False),
        sa.Column("uuid", sa.Uuid()),
        prefixes=[] if sqlite or not unlogged else ["UNLOGGED"],
    )
    if not step.has_table(MAPPING):
        step.execute(CreateTable(mapping))
    return mapping


def _deterministic(step: Step, text: str | None) -> list[str]:
    """Return the dataset types with UUIDs that follow from their data IDs."""
    import sqlalchemy as sa

    names = sorted({name.strip() for name in (text if text is not None else "raw").split(",")} - {""})
    if text is not None and not step.recorded:
        table = step.old("dataset_type")
        found = {row[0] for row in step.fetch(sa.select(table.c.name).where(table.c.name.in_(names)))}
        unknown = [name for name in names if name not in found]
        if unknown:
            message = f"There is no dataset type {', '.join(unknown)}, which the option {TYPES} names."
            raise ConfigurationError(message)
    return names


def _described(step: Step, names: list[str]) -> Iterator[sa.Select[Any]]:
    """Give queries for integers and descriptions of datasets, one for each tags table."""
    import sqlalchemy as sa

    dataset, types, collection = step.old("dataset"), step.old("dataset_type"), step.old("collection")
    run = _reference(dataset, "run")
    for item in step.before.dynamic.dataset_tables:
        if item.kind != "tags":
            continue
        tags = step.old(item.name)
        member = _reference(tags, "collection")
        (key,) = (k.column.name for k in member.foreign_keys if k.column.table.name == "collection")
        text = sa.literal("dataset_type=").concat(types.c.name).concat(",run=").concat(collection.c.name)
        for dimension in sorted(item.dimensions):
            text = text.concat(f",{dimension}=").concat(sa.cast(tags.c[dimension], sa.Text()))
        yield (
            sa.select(dataset.c.id, text.label("text"))
            .join_from(types, dataset, dataset.c.dataset_type_id == types.c.id)
            .join(tags, sa.and_(tags.c.dataset_id == dataset.c.id, member == run))
            .join(collection, collection.c[key] == run)
            .where(types.c.name.in_(names), types.c.tag_association_table == item.name)
        )


def _reference(table: sa.Table, target: str) -> sa.Column[Any]:
    """Return the column that refers to a collection or run."""
    keys = (k for k in table.foreign_key_constraints if k.referred_table.name == target)
    return next(table.c[k.column_keys[0]] for k in keys if len(k.column_keys) == 1)


def _add_described(step: Step, mapping: sa.Table, query: sa.Select[Any]) -> None:
    """Add the UUIDs that follow from descriptions, for datasets without one."""
    import sqlalchemy as sa

    described = query.subquery("described")
    known = sa.select(mapping.c.id).where(mapping.c.id == described.c.id).exists()
    query = sa.select(described.c.id, described.c.text).where(~known)
    if step.dialect == "sqlite":
        value = getattr(sa.func, UUID5)(described.c.text)
        query = query.with_only_columns(described.c.id, value).order_by(described.c.id)
        step.execute(sa.insert(mapping).from_select(["id", "uuid"], query))
    elif step.recorded:
        step.execute(sa.text(_UUID5.replace(":", r"\:")))
        value = sa.func.pg_temp.registrytool_uuid5(described.c.text)
        query = query.with_only_columns(described.c.id, value)
        step.execute(sa.insert(mapping).from_select(["id", "uuid"], query))
    else:
        # No function of PostgreSQL itself computes what a UUID of version 5 needs.
        step.convert(query, lambda row: (row[0], data_id_uuid(row[1])), mapping)


def _new_uuid(dialect: str, kind: str, date: sa.ColumnElement[Any] | None) -> sa.ColumnElement[Any]:
    """Return the expression for a new UUID, of version 7 with the time of a timestamp, or of now."""
    import sqlalchemy as sa

    f, text = sa.func, sa.literal
    if dialect == "postgresql":
        if kind == "uuid4":
            return f.gen_random_uuid()
        seconds = sa.extract("epoch", f.now() if date is None else date)
        stamp = f.lpad(f.to_hex(sa.cast(f.floor(seconds * 1000), sa.BigInteger)), 12, "0")
        rest = f.substr(f.replace(sa.cast(f.gen_random_uuid(), sa.Text()), "-", ""), 14)
        return sa.cast(stamp.concat("7").concat(rest), sa.Uuid())
    begin: sa.ColumnElement[Any] = f.lower(f.hex(f.randomblob(6)))
    if kind == "uuid7":
        day = f.julianday("now") if date is None else f.julianday(sa.type_coerce(date, sa.Text()))
        begin = f.printf("%012x", sa.cast((day - 2440587.5) * 86_400_000, sa.Integer()))
    variant = f.substr("89ab", 1 + f.random().op("&")(3), 1)
    middle = f.substr(f.lower(f.hex(f.randomblob(2))), 2)
    end = f.substr(f.lower(f.hex(f.randomblob(8))), 2)
    return begin.concat(text(kind[-1])).concat(middle).concat(variant).concat(end)


def _number(step: Step, mapping: sa.Table, identifiers: sa.Select[Any]) -> None:
    """Number identifiers that have no integer yet, those of oldest datasets first."""
    import sqlalchemy as sa

    found = identifiers.subquery("found")
    known = sa.select(mapping.c.uuid).where(mapping.c.uuid == found.c.id).exists()
    greatest = sa.select(sa.func.coalesce(sa.func.max(mapping.c.id), 0)).scalar_subquery()
    number = greatest + sa.func.row_number().over(order_by=(found.c.age, found.c.id))
    query = sa.select(number, found.c.id).where(~known)
    step.execute(sa.insert(mapping).from_select(["id", "uuid"], query))


def _rewrite(
    step: Step,
    columns: list[sa.Column[Any]],
    mapping: sa.Table,
    key: sa.Column[Any],
    value: sa.Column[Any],
) -> None:
    """Write all tables again, with other identifiers."""
    step.analyze(mapping)
    fill: dict[str, dict[str, sa.ColumnElement[Any]]] = {}
    sources: dict[str, sa.FromClause] = {}
    for column in columns:
        name = str(column.table.name)
        fill[name] = {column.name: value}
        # A row without a new identifier, which cannot be, would fail for being NULL instead of vanishing.
        sources[name] = column.table.outerjoin(mapping, key == column)
    step.reshape(fill=fill, sources=sources)


def _finish(step: Step, mapping: sa.Table, path: Path | None, *, keep: bool) -> None:
    """Export the mapping, and keep it or not."""
    import sqlalchemy as sa
    from sqlalchemy.schema import DropTable

    if path is not None and not step.recorded:
        _export(step, mapping, path)
    if not keep:
        step.execute(DropTable(mapping))
    elif step.dialect == "sqlite":
        step.execute(sa.text(f"DROP INDEX IF EXISTS {MAPPING}_uuid"))


def _export(step: Step, mapping: sa.Table, path: Path) -> None:
    """Write the mapping to a file, which gets its name when the migration is committed."""
    import sqlalchemy as sa

    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "uuid"))
            for rows in step.stream(sa.select(mapping.c.id, mapping.c.uuid).order_by(mapping.c.id)):
                writer.writerows((number, uuid.UUID(str(identifier))) for number, identifier in rows)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        message = f"Cannot write old and new identifiers to {path}: {error.strerror or error}."
        raise ConfigurationError(message) from error
    step.after_commit(partial(unfinished.replace, path))


#: What hashlib does, for scripts that run without Python: SHA-1 of the namespace and the description.
_UUID5 = f"""
CREATE OR REPLACE FUNCTION pg_temp.registrytool_uuid5(description text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    mask CONSTANT bigint := 4294967295;
    message bytea := '\\x{NAMESPACE_UUID.hex}'::bytea || convert_to(description, 'UTF8');
    size bigint := 8 * length(message);
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[];
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; t bigint;
    digits text;
BEGIN
    message := message || '\\x80'::bytea;
    WHILE length(message) % 64 <> 56 LOOP
        message := message || '\\x00'::bytea;
    END LOOP;
    message := message || int8send(size);
    FOR block IN 0 .. length(message) / 64 - 1 LOOP
        w := ARRAY[]::bigint[];
        FOR i IN 0 .. 15 LOOP
            w[i] := (get_byte(message, block * 64 + i * 4)::bigint << 24)
                | (get_byte(message, block * 64 + i * 4 + 1) << 16)
                | (get_byte(message, block * 64 + i * 4 + 2) << 8)
                | get_byte(message, block * 64 + i * 4 + 3);
        END LOOP;
        FOR i IN 16 .. 79 LOOP
            t := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
            w[i] := ((t << 1) | (t >> 31)) & mask;
        END LOOP;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        FOR i IN 0 .. 79 LOOP
            IF i < 20 THEN
                f := (b & c) | ((~b) & mask & d); k := 1518500249;
            ELSIF i < 40 THEN
                f := b # c # d; k := 1859775393;
            ELSIF i < 60 THEN
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            ELSE
                f := b # c # d; k := 3395469782;
            END IF;
            t := ((((a << 5) | (a >> 27)) & mask) + f + e + k + w[i]) & mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & mask; b := a; a := t;
        END LOOP;
        h := ARRAY[(h[1] + a) & mask, (h[2] + b) & mask, (h[3] + c) & mask, (h[4] + d) & mask, (h[5] + e) & mask];
    END LOOP;
    digits := '';
    FOR i IN 1 .. 4 LOOP
        digits := digits || lpad(to_hex(h[i]), 8, '0');
    END LOOP;
    RETURN (substr(digits, 1, 12) || '5' || substr(digits, 14, 3)
        || to_hex((get_byte(decode(substr(digits, 17, 2), 'hex'), 0) >> 4) & 3 | 8) || substr(digits, 18))::uuid;
END $$
"""
