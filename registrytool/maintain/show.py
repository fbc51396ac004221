"""Everything that a registry knows about one dataset."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.models import to_plain

from . import timespans
from .collections import CollectionType, load_collections
from .dataset_types import load_dataset_types
from .datasets import parse_ids
from .datastore import LOCATION, NO_COMPONENT, TRASH, load_datastores
from .times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .session import Session


@dataclass(frozen=True, slots=True)
class Membership:
    """A certification: a calibration collection, and when the dataset is valid in it."""

    collection: str
    begin_utc: str | None
    end_utc: str | None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a dataset.

    ``uri`` is `None` where ``butler.yaml`` does not say where the datastore is.
    """

    records_table: str
    path: str
    uri: str | None
    formatter: str
    storage_class: str
    component: str | None
    checksum: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class DatasetDetails:
    """Everything about a dataset.

    Attributes
    ----------
    id : `str`
        Its identifier.
    dataset_type, storage_class : `str`
        Its dataset type, and how it looks in Python.
    run : `str`
        Its run.
    data_id : `~collections.abc.Mapping`
        Values of its required dimensions.
    ingest_date_utc : `str`
        When it came into the registry, in ISO 8601.
    tagged : `tuple` [`str`, ...]
        Collections of type TAGGED that it is in.
    certifications : `tuple` [`Membership`, ...]
        Collections of type CALIBRATION that it is in.
    chains : `tuple` [`str`, ...]
        Chains that have its run, directly or not.
    datastores : `tuple` [`str`, ...]
        Datastores that it is in.
    trashed : `tuple` [`str`, ...]
        Datastores in whose trash it is.
    files : `tuple` [`FileRecord`, ...]
        Its files.
    """

    id: str
    dataset_type: str
    storage_class: str
    run: str
    data_id: Mapping[str, Any]
    ingest_date_utc: str
    tagged: tuple[str, ...]
    certifications: tuple[Membership, ...]
    chains: tuple[str, ...]
    datastores: tuple[str, ...]
    trashed: tuple[str, ...]
    files: tuple[FileRecord, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(to_plain(self))


def show_dataset(session: Session, identifier: str) -> DatasetDetails:
    """Return everything about a dataset.

    Parameters
    ----------
    session : `Session`
        The open registry.
    identifier : `str`
        Its identifier.

    Raises
    ------
    RegistryStateError
        There is no such dataset, or it is not an identifier.
    """
    (number,) = parse_ids(session, [identifier])
    dataset = session.table("dataset")
    row = next(iter(session.rows(sa.select(dataset).where(dataset.c.id == number))), None)
    if row is None:
        message = f"There is no dataset {number} in the registry of {session.repository.name}."
        raise RegistryStateError(message, hint="'registrytool dataset find' lists datasets.")
    dataset_type = next(t for t in load_dataset_types(session).values() if t.id == row.dataset_type_id)
    collections = load_collections(session)
    by_key = collections.by_key()
    run = by_key[row._mapping[session.run_column]]  # noqa: SLF001 (the public name of SQLAlchemy)
    tags = session.table(dataset_type.tags_table)
    members = session.rows(sa.select(tags).where(tags.c.dataset_id == number))
    tagged = [by_key[m._mapping[session.collection_column]] for m in members]  # noqa: SLF001
    data_id = {n: members[0]._mapping[n] for n in dataset_type.dimensions} if members else {}  # noqa: SLF001
    certifications = []
    if dataset_type.calibs_table is not None:
        calibs = session.table(dataset_type.calibs_table)
        for member in session.rows(sa.select(calibs).where(calibs.c.dataset_id == number)):
            columns = member._mapping  # noqa: SLF001
            valid = timespans.read(dict(columns)) or timespans.EMPTY
            name = by_key[columns[session.collection_column]].name
            certifications.append(Membership(name, format_time(valid.begin), format_time(valid.end)))
    return DatasetDetails(
        str(number),
        dataset_type.name,
        dataset_type.storage_class,
        run.name,
        data_id,
        _utc(row.ingest_date),
        tuple(sorted(c.name for c in tagged if c.type is CollectionType.TAGGED)),
        tuple(sorted(certifications, key=lambda m: (m.collection, m.begin_utc or ""))),
        tuple(c.name for c in collections.values() if c.children and run in collections.flatten([c.name])),
        _stores(session, LOCATION, number),
        _stores(session, TRASH, number),
        _files(session, number),
    )


def _utc(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    return str(format_time(value))


def _stores(session: Session, name: str, number: Any) -> tuple[str, ...]:
    table = session.table(name)
    query = sa.select(table.c.datastore_name).where(table.c.dataset_id == number).order_by(table.c.datastore_name)
    return tuple(session.connection.scalars(query))


def _files(session: Session, number: Any) -> tuple[FileRecord, ...]:
    stores = load_datastores(session.repository) if session.repository.config_file is not None else ()
    found = []
    for name in session.recorded.dynamic.record_tables:
        table = session.table(name)
        store = next((s for s in stores if s.records_table == name), None)
        for row in session.rows(sa.select(table).where(table.c.dataset_id == number).order_by(table.c.component)):
            component = None if row.component == NO_COMPONENT else row.component
            uri = None if store is None else store.uri(row.path)
            found.append(
                FileRecord(
                    name, row.path, uri, row.formatter, row.storage_class, component, row.checksum, row.file_size
                )
            )
    return tuple(found)
