"""What single steps do with data, and what they refuse."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.releases import Releases
from tests.support.content_states import CATALOG
from tests.support.instants import INSTANTS, tai_ns, text
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

NS = 1_000_000_000
DAY = 86_400 * NS


def insert(repository: Repository, release: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Insert rows into a registry that was made with a release."""
    database = Database.of(repository)
    with database.write("insert") as connection:
        metadata = CATALOG.metadata(
            Releases(CATALOG).find(release).state, database.dialect, namespace=database.namespace
        )
        tables = {t.name: t for t in metadata.tables.values()}
        for name, items in rows.items():
            for row in items:
                connection.execute(sa.insert(tables[name]), row)


def timespan(place: Place, begin: int, end: int) -> dict[str, Any]:
    """Return the values of the columns of a timespan."""
    if place.dialect == "sqlite":
        return {"timespan_begin": begin, "timespan_end": end}
    from sqlalchemy.dialects.postgresql import Range

    return {"timespan": Range(begin, end)}


def base(instrument: str = "LSSTCam") -> dict[str, list[dict[str, Any]]]:
    """Return an instrument with a filter."""
    return {
        "instrument": [{"name": instrument}],
        "physical_filter": [{"instrument": instrument, "name": "f", "band": "r"}],
    }


# -- datasets 2.0.0 -----------------------------------------------------------


def test_ingest_dates_are_exact_for_every_leap_second_and_come_back(place: Place) -> None:
    import uuid

    repository = make(place, "w_2024_13")
    moments = [datetime.datetime.fromisoformat(utc) for utc in INSTANTS]
    dataset_type = {
        "id": 1, "name": "t", "storage_class": "s", "dimensions_key": 0, "tag_association_table": "dataset_tags_00000000"
    }  # fmt: skip
    rows = {
        "collection": [{"collection_id": 1, "name": "run", "type": 1}],
        "run": [{"collection_id": 1}],
        "dataset_type": [dataset_type],
        "dataset": [
            {"id": uuid.UUID(int=i), "dataset_type_id": 1, "run_id": 1, "ingest_date": moment}
            for i, moment in enumerate(moments)
        ],
    }
    insert(repository, "w_2024_13", rows)
    _make_tags(repository)

    migrate(repository, "datasets=2.0.0")
    assert read_content(repository)["dataset"].of(["ingest_date"]) == sorted(((tai_ns(u),) for u in INSTANTS), key=repr)

    migrate(repository, "datasets=1.0.0")
    found = read_content(repository)["dataset"].of(["ingest_date"])
    wanted = [text(m) for m in moments] if place.dialect == "sqlite" else moments
    assert found == sorted(((w,) for w in wanted), key=repr)


def _make_tags(repository: Repository) -> None:
    """Make the table that the dataset type names."""
    from registrytool.models import DatasetTables, DynamicContent
    from registrytool.reshape import create_table
    from registrytool.step import ConnectionExecutor

    database = Database.of(repository)
    with database.write("make a table") as connection:
        dynamic = DynamicContent((DatasetTables("dataset_tags_00000000", "tags", ()),))
        state = Releases(CATALOG).find("w_2024_13").state
        metadata = CATALOG.metadata(state, database.dialect, dynamic, namespace=database.namespace)
        table = next(t for t in metadata.tables.values() if t.name == "dataset_tags_00000000")
        create_table(table, database.dialect, ConnectionExecutor(connection))


def test_nanoseconds_of_ingest_dates_are_lost_only_if_that_is_accepted(place: Place) -> None:
    import uuid

    repository = make(place)
    rows = {
        "collection": [{"collection_id": 1, "name": "run", "type": 1}],
        "run": [{"collection_id": 1}],
        "dataset_type": [
            {"id": 1, "name": "t", "storage_class": "s", "dimensions_key": 0, "tag_association_table": "none"}
        ],
        "dataset": [{"id": uuid.UUID(int=1), "dataset_type_id": 1, "run_id": 1, "ingest_date": 1_600_000_000 * NS + 1}],
    }
    insert(repository, "w_2026_43", {k: v for k, v in rows.items() if k != "dataset_type"} | {})
    assert_clean(repository)
