"""Each kind of known drift, made in a registry with rows: recognised, repaired, and no obstacle to a migration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.drift import load_drift
from registrytool.errors import MigrationError, RegistryDriftError, RegistryStateError
from registrytool.maintain.record_transfer import export_records, import_records
from registrytool.models import Judgement
from registrytool.verify import repair_registry, verify_registry
from tests.support.content_states import CATALOG
from tests.support.places import Dialect
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registrytool.maintain.records import OnConflict
    from registrytool.repository import Repository
    from tests.support.places import Place

DRIFT = load_drift(CATALOG.content)


def execute(repository: Repository, *statements: str) -> None:
    """Execute statements, in the namespace of the registry."""
    database = Database.of(repository)
    with database.write("drift") as connection:
        if database.namespace is not None:
            quoted = connection.dialect.identifier_preparer.quote(database.namespace)
            connection.execute(sa.text(f"SET LOCAL search_path = {quoted}, public".replace(":", r"\:")))
        for statement in statements:
            connection.execute(sa.text(statement.replace(":", r"\:")))


def rewrite(repository: Repository, table: str, change: Callable[[str], str]) -> None:
    """Write the definition of an SQLite table otherwise, as another tool would have left it."""
    database = Database.of(repository)
    with database.write("drift") as connection:
        sql = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table})
        changed = change(sql)
        assert changed != sql
        indexes = connection.scalars(
            sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND type = 'index' AND sql IS NOT NULL"),
            {"name": table},
        ).all()
        quoted = connection.dialect.identifier_preparer.quote(table)
        for statement in (
            f"ALTER TABLE {quoted} RENAME TO old_table",
            *(f'DROP INDEX "{name}"' for name in re.findall(r"CREATE INDEX \"?([^\"]+?)\"? ON", "\n".join(indexes))),
            changed,
            f"INSERT INTO {quoted} SELECT * FROM old_table",
            "DROP TABLE old_table",
            *indexes,
        ):
            connection.exec_driver_sql(statement)


def without_not_null(table: str, column: str) -> Callable[[Repository, Place], None]:
    def make_drift(repository: Repository, place: Place) -> None:
        if place.dialect == "sqlite":
            rewrite(repository, table, lambda sql: re.sub(rf"(\s{column} [^,]*?) NOT NULL", r"\1", sql))
        else:
            execute(repository, f'ALTER TABLE "{table}" ALTER COLUMN {column} DROP NOT NULL')

    return make_drift


def with_not_null(table: str, column: str) -> Callable[[Repository, Place], None]:
    def make_drift(repository: Repository, place: Place) -> None:
        execute(repository, f"UPDATE {table} SET {column} = CAST(id AS VARCHAR(9)) WHERE {column} IS NULL")
        if place.dialect == "sqlite":
            rewrite(repository, table, lambda sql: re.sub(rf"(\s{column} \w+(\(\d+\))?)", r"\1 NOT NULL", sql))
        else:
            execute(repository, f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")

    return make_drift


def primary_key_null(repository: Repository, place: Place) -> None:
    rewrite(repository, "collection_chain", lambda sql: sql.replace("parent BIGINT NOT NULL", "parent BIGINT"))


def primary_key_name(repository: Repository, place: Place) -> None:
    rewrite(
        repository,
        "dataset_location_trash",
        lambda sql: sql.replace("PRIMARY KEY", "CONSTRAINT trash_pkey PRIMARY KEY"),
    )


def records_without_path_index(repository: Repository, place: Place) -> None:
    execute(repository, "DROP INDEX file_datastore_records_idx_path")


def exclusion_constraint(repository: Repository, place: Place) -> None:
    # Rows of the test overlap; those of a client did not.
    execute(
        repository,
        "DELETE FROM dataset_calibs_00000001",
        "DO $$ DECLARE name text; BEGIN SELECT indexname INTO name FROM pg_indexes WHERE tablename = "
        "'dataset_calibs_00000001' AND indexname LIKE '%\\_idx\\_%' AND schemaname = current_schema(); "
        "EXECUTE format('DROP INDEX %I', name); END $$",
        "ALTER TABLE dataset_calibs_00000001 ADD CONSTRAINT excl_timespan EXCLUDE USING gist "
        "(dataset_type_id WITH =, collection_id WITH =, instrument WITH =, detector WITH =, timespan WITH &&)",
    )


def instrument_length_16(repository: Repository, place: Place) -> None:
    execute(repository, "DELETE FROM detector WHERE length(instrument) > 16")
    for table in ("detector", "collection_summary_instrument"):
        execute(repository, f"DELETE FROM {table} WHERE length(instrument) > 16")
        rewrite(repository, table, lambda sql: sql.replace('length("instrument")<=32', "length(instrument)<=16"))


def visit_without_day_obs(repository: Repository, place: Place) -> None:
    without_not_null("visit", "day_obs")(repository, place)
    execute(repository, "DROP INDEX visit_fkidx_instrument_day_obs")
    name = "fkey_visit_day_obs_instrument_id_instrument_day_obs"
    if place.dialect == "sqlite":
        rewrite(repository, "visit", lambda sql: re.sub(rf",\s*CONSTRAINT {name} .*?\(instrument, id\)", "", sql))
    else:
        execute(repository, f"ALTER TABLE visit DROP CONSTRAINT {name}")
    # A day of which there is no record.
    execute(repository, "UPDATE visit SET day_obs = 20230102 WHERE id = (SELECT max(id) FROM visit)")


def collection_name_not_unique(repository: Repository, place: Place) -> None:
    if place.dialect == "sqlite":
        rewrite(
            repository, "collection", lambda sql: re.sub(r",\s*CONSTRAINT collection_unq_name UNIQUE \(name\)", "", sql)
        )
    else:
        execute(repository, "ALTER TABLE collection DROP CONSTRAINT collection_unq_name")


def invalid_index(repository: Repository, place: Place) -> None:
    execute(
        repository,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'detector_fkidx_instrument'::regclass",
    )


def constraint_not_validated(repository: Repository, place: Place) -> None:
    name = "fkey_detector_instrument_name_instrument"
    execute(
        repository,
        f"ALTER TABLE detector DROP CONSTRAINT {name}",
        f"ALTER TABLE detector ADD CONSTRAINT {name} FOREIGN KEY (instrument) REFERENCES instrument (name) NOT VALID",
    )


MAKERS: dict[str, Callable[[Repository, Place], None]] = {
    "alternate-key-not-null": with_not_null("detector", "full_name"),
    "primary-key-null": primary_key_null,
    "records-without-path-index": records_without_path_index,
    "exclusion-constraint": exclusion_constraint,
    "primary-key-name": primary_key_name,
    "instrument-length-16": instrument_length_16,
    "visit-without-day-obs": visit_without_day_obs,
    "implied-dimension-null": without_not_null("physical_filter", "band"),
    "collection-name-not-unique": collection_name_not_unique,
    "invalid-index": invalid_index,
    "constraint-not-validated": constraint_not_validated,
}

#: Kinds of registries before week 2020.46, which tests/migration/test_old_registries.py makes, and one that needs what
#: the existing tool leaves, which test_existing_tool.py makes.
ELSEWHERE = {"encoded-dimensions-4", "records-32-bit", "records-with-integers"}

each_drift = pytest.mark.parametrize(
    ("name", "dialect"),
    [
        pytest.param(name, dialect, marks=[pytest.mark.postgresql] * (dialect == "postgresql"))
        for name in MAKERS
        for dialect in get_args(Dialect)
        if DRIFT[name].dialect in (None, dialect)
    ],
)


def drifted(name: str, place: Place) -> Repository:
    """Make a registry with rows and one kind of drift."""
    repository = make(place, "w_2024_13")
    fill_registry(repository)
    MAKERS[name](repository, place)
    return repository


def test_each_kind_that_matches_anything_is_made_here() -> None:
    assert MAKERS.keys() | ELSEWHERE == {d.id for d in DRIFT.values() if d.match}


@pytest.mark.parametrize("drift", DRIFT.values(), ids=lambda d: d.id)
def test_each_kind_says_what_it_is(drift: object) -> None:
    from registrytool.models import Drift

    assert isinstance(drift, Drift)
    assert drift.summary.endswith(".")
    assert drift.era
    assert drift.origin
    assert drift.dialect in (None, "sqlite", "postgresql")
    for pattern in drift.match:
        assert pattern.keys() <= {"table", "kind", "name", "aspect", "expected", "found", "role"}
    # What needs other data to be mended first is not harmless.
    assert drift.prepare is None or drift.judgement is Judgement.REPAIR


@each_drift
def test_drift_is_recognised_and_repaired_with_all_rows(name: str, place: Place) -> None:
    repository = drifted(name, place)
    before = read_content(repository)

    found = verify_registry(repository)
    assert {d.drift for d in found.differences} == {name}

    repaired = repair_registry(repository, backup=False)
    assert repaired.differences == ()
    assert set(repaired.repaired) == set(found.differences)
    assert_clean(repository)
    after = read_content(repository)
    for table in before:
        if (name, table) != ("visit-without-day-obs", "day_obs"):
            assert sorted(after[table].rows, key=repr) == sorted(before[table].rows, key=repr), table


@each_drift
def test_a_migration_ends_without_drift(name: str, odd_namespace: str, place: Place) -> None:
    repository = drifted(name, place)
    migrate(repository, "newest")
    assert_clean(repository, CATALOG.newest_state())


def test_visits_of_an_unknown_day_get_a_record_of_it(place: Place) -> None:
    repository = drifted("visit-without-day-obs", place)
    repair_registry(repository, backup=False)
    content = read_content(repository)
    assert set(content["visit"].of(["instrument", "day_obs"])) <= set(content["day_obs"].of(["instrument", "id"]))
    assert 20230102 in {day for (day,) in content["day_obs"].of(["id"])}


def test_unknown_differences_are_named_and_refused(place: Place) -> None:
    repository = make(place)
    execute(repository, "ALTER TABLE detector ADD COLUMN mine TEXT")
    (difference,) = verify_registry(repository).unknown
    assert str(difference) == "detector: column mine is unexpected"
    with pytest.raises(RegistryDriftError, match="detector: column mine is unexpected"):
        repair_registry(repository, backup=False)
    with pytest.raises(RegistryDriftError, match="detector: column mine is unexpected"):
        migrate(repository, "dimensions-config=7")


def test_what_belongs_to_others_is_noted_and_kept(place: Place) -> None:
    repository = make(place, "w_2025_21")
    execute(
        repository,
        "CREATE TABLE mine (id INT)",
        "CREATE INDEX my_index ON exposure (obs_id, id)",
    )
    notes = verify_registry(repository).notes
    assert notes == (
        "index my_index on exposure does not belong to the registry",
        "table mine does not belong to the registry",
    )
    migrate(repository, "dimensions-config=6")
    migrate(repository, "newest")
    assert verify_registry(repository).notes == notes
    assert verify_registry(repository).differences == ()


def test_what_others_hung_on_a_column_that_goes_is_named(place: Place) -> None:
    repository = make(place, "w_2024_07")
    if place.dialect == "sqlite":
        execute(repository, "CREATE INDEX mine ON exposure (group_name)")
        wanted = (
            "mine, which others made for the table exposure, cannot be made again: no such column: group_name. "
            "Drop it first. The registry is as it was before."
        )
    else:
        execute(repository, "CREATE VIEW mine AS SELECT group_id FROM exposure")
        wanted = (
            "The step dimensions-config daf_butler 5 -> 6 failed: cannot drop column group_id of table "
            "registry.exposure because other objects depend on it. The registry is as it was before. Drop what hangs "
            "on the table and make it again afterwards: view registry.mine depends on column group_id of table "
            "registry.exposure."
        )
    with pytest.raises((MigrationError, RegistryStateError)) as refused:
        migrate(repository, "dimensions-config=6")
    assert str(refused.value) == wanted
    assert verify_registry(repository).differences == ()


def test_collections_of_the_same_name_cannot_be_repaired_away(place: Place) -> None:
    repository = drifted("collection-name-not-unique", place)
    execute(repository, "UPDATE collection SET name = 'twice' WHERE collection_id < 3")
    with pytest.raises(RegistryStateError) as refused:
        repair_registry(repository, backup=False)
    assert str(refused.value) == (
        "Several collections have the same name (names: 1, such as twice). Give each collection a name of its own in "
        "the table collection; collection_id tells them apart."
    )
    assert {d.drift for d in verify_registry(repository).differences} == {"collection-name-not-unique"}


@pytest.mark.parametrize("existing", ["skip", "replace"])
def test_records_with_gaps_go_back_to_where_they_came_from(existing: OnConflict, place: Place, tmp_path: Path) -> None:
    repository = drifted("implied-dimension-null", place)
    execute(repository, "UPDATE physical_filter SET band = NULL")
    before, file = read_content(repository), tmp_path / "records.yaml"
    export_records(repository, file, ["physical_filter"])
    done = import_records(repository, file, on_conflict=existing)
    assert {(r.inserted, r.replaced) for r in done.elements} == {(0, 0)}
    assert read_content(repository) == before
