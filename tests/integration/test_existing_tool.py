"""What the existing migration tool leaves behind besides drift: helper tables, stamps, digests, mixed versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from registrytool.dataset_ids import MAPPING
from registrytool.errors import RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.naming import revision_id
from registrytool.status import stamp_registry
from registrytool.verify import repair_registry, verify_registry
from tests.integration.test_drift import drifted, execute, rewrite
from tests.migration.test_dataset_ids import UUID, assert_mapped, mapping_of, with_integers
from tests.migration.test_steps import never_null
from tests.support.content_states import CATALOG
from tests.support.registries import assert_clean, make, migrate, target
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

CHILD = "records of another datastore"
INT_CLASS = CATALOG.stored_class("datasets", "ByDimensionsDatasetRecordStorageManager")


def integers_again(repository: Repository, place: Place) -> None:
    """Give the records of one datastore the integers that their datasets had, as the existing tool leaves them."""
    if place.dialect == "postgresql":
        execute(
            repository,
            f"CREATE FUNCTION number_of(uuid) RETURNS bigint LANGUAGE sql AS "
            f"'SELECT id FROM {MAPPING} WHERE uuid = $1'",
            f'ALTER TABLE "{CHILD}" ALTER COLUMN dataset_id TYPE bigint USING number_of(dataset_id)',
            "DROP FUNCTION number_of",
        )
        return
    rewrite(repository, CHILD, lambda sql: sql.replace("dataset_id CHAR(32)", "dataset_id BIGINT"))
    number = f"SELECT id FROM {MAPPING} AS m WHERE m.uuid = dataset_id"
    execute(repository, f'UPDATE "{CHILD}" SET dataset_id = ({number})')


@pytest.fixture
def half_converted(odd_namespace: str, place: Place) -> Repository:
    repository = with_integers(place)
    migrate(repository, target(UUID), keep_mapping="yes")
    integers_again(repository, place)
    return repository


def test_records_of_other_datastores_get_the_uuids_of_the_mapping(half_converted: Repository) -> None:
    before = read_content(half_converted)
    found = verify_registry(half_converted)
    assert {d.drift for d in found.differences} == {"records-with-integers"}
    numbers = [number for (number,) in before[CHILD].of(["dataset_id"])]
    assert numbers

    migrate(half_converted, "newest")

    assert_clean(half_converted, CATALOG.newest_state())
    after, mapping = read_content(half_converted), mapping_of(before)
    assert_mapped({CHILD: before[CHILD]}, after, mapping)
    assert mapping_of(after) == mapping


def refused(repository: Repository) -> str:
    """Return the sentence with which a migration is refused, which leaves the registry as it was."""
    before = read_content(repository)
    with pytest.raises(RegistryStateError) as error:
        apply_migration(repository, MigrateOptions(targets=("newest",), backup=False))
    assert read_content(repository) == before
    return str(error.value)


def test_without_the_mapping_such_records_are_refused(half_converted: Repository) -> None:
    execute(half_converted, f"DROP TABLE {MAPPING}")
    assert refused(half_converted) == (
        f"The table {CHILD} has integers for datasets that have UUIDs, and the table migration_id2uuid, which tells "
        "which are the same, is not there. Bring migration_id2uuid back from a backup made after the change of "
        "identifiers, or restore the registry from one made before and migrate that."
    )


def test_records_that_the_mapping_lacks_are_refused(half_converted: Repository) -> None:
    execute(half_converted, f'DELETE FROM {MAPPING} WHERE id = (SELECT min(dataset_id) FROM "{CHILD}")')
    assert re.fullmatch(
        rf"The table {CHILD} has \d+ integers for datasets, such as \d+, that migration_id2uuid lacks\. "
        r"Remove these rows if their files are not wanted, or complete migration_id2uuid\.",
        refused(half_converted),
    )


def test_a_mapping_of_a_run_that_was_broken_off_is_completed(place: Place) -> None:
    repository = with_integers(place)
    before = read_content(repository)
    known = "0123456789abcdef0123456789abcdef"
    kind = "CHAR(32)" if place.dialect == "sqlite" else "UUID"
    execute(
        repository,
        f"CREATE TABLE {MAPPING} (id BIGINT, uuid {kind})",
        f"INSERT INTO {MAPPING} SELECT min(id), '{known}' FROM dataset",
    )
    migrate(repository, target(UUID), keep_mapping="yes")
    assert_clean(repository)
    after = read_content(repository)
    mapping = mapping_of(after)
    assert known in mapping.values()
    assert_mapped(before, after, mapping)


def test_visits_of_no_day_get_the_one_of_their_exposures(place: Place) -> None:
    repository = drifted("visit-without-day-obs", place)
    execute(repository, "UPDATE visit SET day_obs = NULL WHERE id IN (SELECT visit FROM visit_definition)")
    repair_registry(repository, backup=False)
    assert_clean(repository)
    content = read_content(repository)
    exposures = {(i, e): day for i, e, day in content["exposure"].of(["instrument", "id", "day_obs"])}
    wanted: dict[tuple[str, int], int] = {}
    for instrument, visit, exposure in content["visit_definition"].of(["instrument", "visit", "exposure"]):
        day = exposures[instrument, exposure]
        wanted[instrument, visit] = min(day, wanted.get((instrument, visit), day))
    found = {(i, v): day for i, v, day in content["visit"].of(["instrument", "id", "day_obs"])}
    assert wanted
    assert {visit: found[visit] for visit in wanted} == wanted


def test_stamps_of_trees_that_are_not_there_and_missing_ones_are_no_obstacle(place: Place) -> None:
    repository = make(place, "w_2024_13")
    # A root for a component that is not there, one tree without a row, and the patch of revision 1fae088c80b6.
    lost = revision_id("datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.0")
    migrate(repository, "dimensions-config=6")
    rows = [(root,) for root in (revision_id("obscore"), revision_id("obscore-config"), "8a1a1665cc96", "ffe757e1ab0f")]
    execute(
        repository,
        f"DELETE FROM alembic_version WHERE version_num = '{lost}'",
        *(f"INSERT INTO alembic_version VALUES ('{row}')" for (row,) in rows),
    )
    migrate(repository, "newest")
    assert_clean(repository, CATALOG.newest_state())
    stamps = set(stamp_registry(repository).before)
    assert {"8a1a1665cc96", "ffe757e1ab0f"} <= stamps
    assert lost not in stamps


MIXED = [
    ("w_2021_38", ("dimensions-config=1", "attributes=1.0.1", "datasets=2.0.0")),
    ("w_2022_23", ("dimensions-config=5", "datastores=0.2.1")),
]
"""Registries of which the existing tool migrated some components and then stopped: it takes each by itself."""


@pytest.mark.parametrize(("release", "done"), MIXED, ids=[release for release, _ in MIXED])
def test_a_registry_between_two_revisions_is_finished(release: str, done: tuple[str, ...], place: Place) -> None:
    repository = make(place, release)
    migrate(repository, *done)
    fill_registry(repository, never_null=never_null(verify_registry(repository).state))
    # Of a class that was there before: revision c0e4f9ab4a5d forgets those of the present ones.
    execute(repository, f"INSERT INTO butler_attributes (name, value) VALUES ('schema_digest:{INT_CLASS}', 'abc')")
    migrate(repository, "newest", has_simulated="0")
    assert_clean(repository, CATALOG.newest_state())
    names = [name for (name,) in read_content(repository)["butler_attributes"].of(["name"])]
    assert [name for name in names if name.startswith("schema_digest:")] == []
