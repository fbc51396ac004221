"""Registries of 2020, made by ourselves, with rows in every table, brought to the present."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.check.rows import register_types
from registrytool.config import parse_yaml
from registrytool.database import Database
from registrytool.errors import PlanError
from registrytool.migrate import MigrateOptions, plan_migration
from registrytool.models import ComponentVersion, State
from registrytool.planner import make_plan
from registrytool.universe import Universe
from registrytool.verify import verify_registry
from tests.support.content_states import CATALOG, HISTORY, OLD_STEPS
from tests.support.registries import SETTINGS, assert_clean, make_state, migrate, target
from tests.support.rows import execute, fill_registry, read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

NAME_KEY = "NameKeyCollectionManager"
REQUIRED = {("exposure", "group_name"), ("exposure", "datetime_begin"), ("exposure", "datetime_end")}
"""What may be NULL in registries of 2020 and would keep them from universe 6."""


def state_of(week: str, collections: str | None = None) -> State:
    state = CATALOG.releases.find(week).state
    name = collections or state["collections"].implementation
    return state.replace(ComponentVersion("collections", name, state["collections"].version))


def like(state: State, week: str) -> tuple[str, ...]:
    """Return the targets of a week, with the implementation of collections that a state has."""
    wanted = state_of(week, state["collections"].implementation)
    return tuple(target(version) for version in wanted.components.values())


def insert(repository: Repository, state: State, rows: dict[str, list[dict[str, Any]]], **types: Any) -> None:
    """Register dataset types and insert rows."""
    database = Database.of(repository)
    with database.write("insert") as connection:
        groups: Any = types.get("groups", ())
        metadata, _ = register_types(
            connection, database.namespace, CATALOG, groups=groups, calibration=(), record_tables=()
        )
        tables = {table.name: table for table in metadata.tables.values()}
        for name, items in rows.items():
            for row in items:
                connection.execute(sa.insert(tables[name]), row)


@pytest.mark.parametrize("collections", [None, NAME_KEY], ids=["integer-keys", "names-as-keys"])
@pytest.mark.parametrize("week", ["w_2020_32", "w_2020_39", "w_2020_45"])
def test_registries_of_2020_with_rows_in_every_table_come_out_right(
    week: str, collections: str | None, odd_namespace: str, place: Place
) -> None:
    state = state_of(week, collections)
    if not CATALOG.can_hold(state, place.dialect):
        assert (place.dialect, week) == ("sqlite", "w_2020_32")
        return
    repository = make_state(place, state)
    assert_clean(repository, state)
    fill_registry(repository)
    before = read_content(repository)

    # After every step the registry is compared with the snapshot.
    migrate(repository, *like(state, "w_2020_46"))

    assert_clean(repository, state_of("w_2020_46", collections))
    after = read_content(repository)
    for table in ("dataset", "dataset_location", "detector", "exposure", "instrument", "patch", "skymap", "visit"):
        assert len(after[table].rows) == len(before[table].rows), table
        kept = [
            c for c in before[table].columns if c in after[table].columns and c not in ("region", "run_id", "run_name")
        ]
        kept = [c for c in kept if not c.startswith("timespan")]
        assert after[table].of(kept) == before[table].of(kept), table
    tags = [t for t in before if t.startswith(("dataset_tags_", "dataset_collection_"))]
    total = {pair for t in tags for pair in before[t].of(("dataset_type_id", "dataset_id"))}
    found = {
        p
        for t in after
        if t.startswith("dataset_") and t[8:13] in ("tags_", "calib")
        for p in after[t].of(("dataset_type_id", "dataset_id"))
    }
    assert total <= found


@pytest.mark.parametrize("week", ["w_2020_32", "w_2020_34", "w_2020_39", "w_2020_45"])
def test_registries_of_2020_lead_to_the_newest(week: str, place: Place) -> None:
    repository = make_state(place, state_of(week))
    migrate(repository, "newest", **SETTINGS["2"])
    assert_clean(repository, CATALOG.newest_state())


def test_nothing_leads_back_to_before_week_2020_46(place: Place) -> None:
    repository = make_state(place, state_of("w_2020_46"))
    for week in ("w_2020_45", "w_2020_39"):
        with pytest.raises(PlanError):
            plan_migration(repository, MigrateOptions(targets=(week,)))


def test_every_step_of_2020_is_on_the_way_of_a_tested_registry() -> None:
    covered: set[str] = set()
    for collections in (None, NAME_KEY):
        start = state_of("w_2020_32", collections)
        end = state_of("w_2020_46", collections)
        covered.update(step.revision for step in make_plan(HISTORY, start, end.components).steps)
    assert covered == OLD_STEPS


def test_runs_of_labels_and_calibrations_can_be_found_by_name(place: Place) -> None:
    state = state_of("w_2020_34")
    repository = make_state(place, state)
    universe = Universe(CATALOG.universe(state))
    assert universe.is_known("calibration_label")
    table = "dataset_collection_001a000000"
    data = {"instrument": "Cam'Ü", "detector": 1}
    insert(
        repository,
        state,
        {
            "instrument": [{"name": data["instrument"]}],
            "detector": [{"instrument": data["instrument"], "id": 1, "full_name": "a"}],
            "calibration_label": [{"instrument": data["instrument"], "name": n} for n in ("l 1", "l%2")],
            "collection": [{"collection_id": 1, "name": "calib's", "type": 1}],
            "run": [{"collection_id": 1}],
            "dataset": [{"id": i, "dataset_type_id": 1, "run_id": 1} for i in (1, 2)],
            table: [
                {"dataset_type_id": 1, "dataset_id": i, "collection_id": 1, "calibration_label": label, **data}
                for i, label in ((1, "l 1"), (2, "l%2"))
            ],
        },
        groups=[("instrument", "detector", "calibration_label")],
    )
    if place.dialect == "postgresql":
        execute(repository, """SELECT setval('{s}collection_seq_collection_id', 1)""")

    migrate(repository, *like(state, "w_2020_46"))

    after = read_content(repository)
    names = dict(after["collection"].of(("collection_id", "name")))
    assert sorted(names.values()) == ["calib's", "calib's/calibs", "calib's/l 1", "calib's/l%2"]
    runs = {dataset: names[run] for dataset, run in after["dataset"].of(("id", "run_id"))}
    assert runs == {1: "calib's/l 1", 2: "calib's/l%2"}
    members = {d: names[c] for d, c in after["dataset_tags_00000001"].of(("dataset_id", "collection_id"))}
    assert members == runs
    certified = {names[c] for (c,) in after["dataset_calibs_00000001"].of(("collection_id",))}
    assert certified == {"calib's/calibs"}


def test_file_records_of_week_2020_45_get_their_new_name_and_the_datastore_keeps_its_own(place: Place) -> None:
    state = state_of("w_2020_45")
    repository = make_state(place, state)
    database = Database.of(repository)
    with database.write("posix") as connection:
        metadata, _ = register_types(
            connection,
            database.namespace,
            CATALOG,
            groups=(),
            calibration=(),
            record_tables=("posix_datastore_records",),
        )
        records = next(t for t in metadata.tables.values() if t.name == "posix_datastore_records")
        row = {"dataset_id": 7, "path": "a/b", "formatter": "f", "storage_class": "s", "component": "__NULL_STRING__"}
        connection.execute(sa.insert(records), row)
    text = (place.folder / "butler.yaml").read_text(encoding="utf-8")
    old = text.replace("fileDatastore.FileDatastore", "posixDatastore.PosixDatastore  # ours")
    old = old.replace("file_datastore_records", "posix_datastore_records")
    (place.folder / "butler.yaml").write_text(old, encoding="utf-8")

    migrate(repository, *like(state, "w_2020_46"))

    assert_clean(repository)
    after = read_content(repository)
    assert "posix_datastore_records" not in after
    assert after["file_datastore_records"].of(("dataset_id", "path")) == [(7, "a/b")]
    assert after["opaque_meta"].rows == [("file_datastore_records",)]
    written = (place.folder / "butler.yaml").read_text(encoding="utf-8")
    assert "fileDatastore.FileDatastore  # ours" in written
    config = parse_yaml(written)
    assert config["datastore"]["records"] == {"table": "file_datastore_records"}
    assert config["datastore"]["name"] == "PosixDatastore@<butlerRoot>"
    assert {k: v for k, v in config.items() if k != "datastore"} == {
        k: v for k, v in parse_yaml(text).items() if k != "datastore"
    }


def test_dimensions_of_week_2020_32_were_shorter_and_so_were_numbers_in_file_records(place: Place) -> None:
    state = state_of("w_2020_32")
    repository = make_state(place, state)
    database = Database.of(repository)
    with database.write("make it older") as connection:
        register_types(
            connection, database.namespace, CATALOG, groups=(), calibration=(), record_tables=("some_records",)
        )
        if place.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA writable_schema = ON")
            for table, new, old in (
                ("dataset_type", "VARCHAR(8)", "VARCHAR(4)"),
                ("some_records", "BIGINT", "INTEGER"),
            ):
                change = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?"
                connection.exec_driver_sql(change, (new, old, table))
            connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    if place.dialect == "postgresql":
        execute(repository, "ALTER TABLE {s}dataset_type ALTER COLUMN dimensions_encoded TYPE varchar(4)")
        for column in ("dataset_id", "file_size"):
            execute(repository, "ALTER TABLE {s}some_records ALTER COLUMN " + column + " TYPE integer")
    found = verify_registry(repository, catalog=CATALOG)
    assert {d.drift for d in found.differences} == {"encoded-dimensions-4", "records-32-bit"}

    migrate(repository, *like(state, "w_2020_46"))

    assert_clean(repository, state_of("w_2020_46"))
