"""Datasets get UUIDs instead of integers, and integers again."""

from __future__ import annotations

import csv
import datetime
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool import dataset_ids
from registrytool.database import Database
from registrytool.dataset_ids import MAPPING
from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.models import ComponentVersion
from registrytool.naming import NAMESPACE_UUID
from tests.support.content_states import CATALOG, NAME_KEY
from tests.support.registries import assert_clean, make_state, migrate, target
from tests.support.rows import TableContent, fill_registry, read_content

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place

INT = ComponentVersion("datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0")
UUID = ComponentVersion("datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0")
DETERMINISTIC = "type 0 of 'instrument_detector'"
Content = dict[str, TableContent]


def with_integers(place: Place, *versions: ComponentVersion) -> Repository:
    repository = make_state(place, CATALOG.newest_state().replace(INT, *versions))
    fill_registry(repository)
    # Of datasets that are gone, the trash and the file records know still.
    execute(repository, "INSERT INTO dataset_location_trash (datastore_name, dataset_id) VALUES ('gone', 1001)")
    records = "INSERT INTO file_datastore_records (dataset_id, path, formatter, storage_class, component)"
    execute(repository, f"{records} VALUES (1002, 'p', 'f', 's', 'c')")
    return repository


def execute(repository: Repository, statement: str) -> None:
    database = Database.of(repository)
    with database.write("change it by hand") as connection:
        if database.namespace is not None:
            connection.exec_driver_sql(f'SET LOCAL search_path TO "{database.namespace.replace(chr(34), chr(34) * 2)}"')
        connection.exec_driver_sql(statement)


def identifier(value: Any) -> str:
    return uuid.UUID(str(value)).hex


def mapping_of(content: Content) -> dict[int, str]:
    return {number: identifier(value) for number, value in content[MAPPING].of(["id", "uuid"])}


def assert_mapped(before: Content, after: Content, mapping: dict[int, str]) -> None:
    """Check that all rows are there, with the UUID in the place of each integer."""
    columns = {"dataset": "id"}
    for name, old in before.items():
        column = columns.get(name, "dataset_id")
        if name == "butler_attributes":
            continue
        others = [c for c in old.columns if c != column]
        if len(others) == len(old.columns):
            assert after[name].of(others) == old.of(others), name
            continue
        wanted = [(mapping[row[0]], *row[1:]) for row in old.of([column, *others])]
        found = [(identifier(row[0]), *row[1:]) for row in after[name].of([column, *others])]
        assert sorted(found, key=repr) == sorted(wanted, key=repr), name


def descriptions(content: Content, name: str) -> dict[int, str]:
    """Say by hand what the UUIDs of a dataset type follow from: its datasets in their runs."""
    (type_id, table) = next(
        (row[0], row[2])
        for row in content["dataset_type"].of(["id", "name", "tag_association_table"])
        if row[1] == name
    )
    synth = "collection_id" in content["collection"].columns
    names = {row[0]: row[-1] for row in content["collection"].of(["collection_id", "name"] if synth else ["name"])}
    runs = dict(content["dataset"].of(["id", "run_id" if synth else "run_name"]))
    rows = content[table].of(
        ["dataset_type_id", "dataset_id", "collection_id" if synth else "collection_name", "detector", "instrument"]
    )
    return {
        dataset: f"dataset_type={name},run={names[run]},detector={detector},instrument={instrument}"
        for kind, dataset, run, detector, instrument in rows
        if kind == type_id and runs[dataset] == run
    }


@pytest.mark.parametrize("versions", [(), (NAME_KEY,)], ids=["integer keys", "name keys in an odd namespace"])
def test_all_rows_keep_their_places_and_come_back(
    versions: tuple[ComponentVersion, ...], odd_namespace: str, place: Place
) -> None:
    repository = with_integers(place, *versions)
    before = read_content(repository)

    migrate(repository, target(UUID), keep_mapping="yes", deterministic_types=DETERMINISTIC)

    after = read_content(repository)
    mapping = mapping_of(after)
    assert len(set(mapping.values())) == len(mapping)
    assert_mapped(before, after, mapping)
    expected = {n: uuid.uuid5(NAMESPACE_UUID, text).hex for n, text in descriptions(before, DETERMINISTIC).items()}
    assert expected
    assert {n: mapping[n] for n in expected} == expected
    assert {uuid.UUID(v).version for n, v in mapping.items() if n not in expected} == {4}
    # Identifiers that only the trash and the file records know are there too.
    assert mapping.keys() == {row[0] for row in before["dataset"].of(["id"])} | {1001, 1002}

    # The mapping brings the integers back, and the UUIDs after them.
    migrate(repository, target(INT), keep_mapping="yes")
    again = read_content(repository)
    assert {t: sorted(c.rows, key=repr) for t, c in again.items() if t in before} == {
        t: sorted(c.rows, key=repr) for t, c in before.items()
    }
    if place.dialect == "postgresql":
        database = Database.of(repository)
        with database.write("look at the sequence") as connection:
            sequence = sa.Sequence("dataset_seq_id", schema=database.namespace)
            assert connection.scalar(sequence) == max(row[0] for row in again["dataset"].of(["id"])) + 1
    migrate(repository, target(UUID))
    once_more = read_content(repository)
    assert MAPPING not in once_more
    assert once_more["dataset"].of(once_more["dataset"].columns) == after["dataset"].of(after["dataset"].columns)
    assert_clean(repository, CATALOG.newest_state().replace(UUID, *versions))


def test_integers_are_given_anew_if_nothing_was_kept_and_the_loss_is_accepted(place: Place) -> None:
    repository = with_integers(place)
    before = read_content(repository)
    migrate(repository, target(UUID))
    count = len(before["dataset"].rows)

    with pytest.raises(RegistryStateError) as refused:
        apply_migration(repository, MigrateOptions(targets=(target(INT),), backup=False))
    assert refused.value.message == (
        f"The step datasets {UUID.implementation} 1.0.0 -> {INT.implementation} "
        f"1.0.0 would lose the UUIDs of {count} datasets (unless they are kept with --set keep_mapping=yes)."
    )

    migrate(repository, target(INT))
    assert_clean(repository, CATALOG.newest_state().replace(INT))
    after = read_content(repository)
    assert sorted(row[0] for row in after["dataset"].of(["id"])) == list(range(1, count + 1))
    # The oldest come first.
    dates = [row[1] for row in sorted(after["dataset"].of(["id", "ingest_date"]))]
    assert [str(d) for d in dates] == sorted(str(d) for d in dates)


def test_uuids_of_version_7_begin_with_the_ingest_date(place: Place) -> None:
    repository = with_integers(place)
    migrate(repository, target(UUID), dataset_ids="uuid7")
    content = read_content(repository)
    for value, date in content["dataset"].of(["id", "ingest_date"]):
        found = uuid.UUID(str(value))
        assert (found.version, found.variant) == (7, uuid.RFC_4122)
        when = datetime.datetime.fromisoformat(str(date)).replace(tzinfo=datetime.UTC)
        assert abs((found.int >> 80) - when.timestamp() * 1000) <= 1


def test_identifiers_are_exported_when_the_migration_is_committed(place: Place, tmp_path: Path) -> None:
    repository = with_integers(place)
    before = read_content(repository)
    path = tmp_path / "identifiers.csv"
    migrate(repository, target(UUID), export_mapping=str(path))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert_mapped(before, read_content(repository), {int(r["id"]): identifier(r["uuid"]) for r in rows})
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("identifiers")] == ["identifiers.csv"]
    with pytest.raises(ConfigurationError) as refused:
        migrate(repository, target(INT), export_mapping=str(path))
    assert refused.value.message == f"The file {path} for old and new identifiers exists already."


def test_a_dataset_type_that_is_not_there_is_refused(place: Place) -> None:
    repository = with_integers(place)
    with pytest.raises(ConfigurationError) as refused:
        migrate(repository, target(UUID), deterministic_types=f"{DETERMINISTIC},rwa")
    assert str(refused.value) == "There is no dataset type rwa, which the option deterministic_types names."
    assert_clean(repository, CATALOG.newest_state().replace(INT))


def test_an_opaque_table_of_an_unknown_kind_is_refused(place: Place) -> None:
    repository = with_integers(place)
    execute(repository, "CREATE TABLE strange (dataset_id BIGINT)")
    execute(repository, "INSERT INTO opaque_meta VALUES ('strange')")
    with pytest.raises(RegistryStateError) as refused:
        migrate(repository, target(UUID))
    assert refused.value.message == (
        "The opaque table strange is of an unknown kind, so that its dataset identifiers cannot be changed."
    )


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_indexes_that_were_made_afterwards_are_those_of_the_constraints(dialect: str, place: Place) -> None:
    repository = with_integers(place, NAME_KEY)
    migrate(repository, target(UUID), target(CATALOG.newest_state()["collections"]))
    with Database.of(repository).write("look and add") as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        assert connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name LIKE 'registrytool%'").all() == []
        found = connection.exec_driver_sql("PRAGMA index_list(dataset_tags_00000001)").all()
        assert {(row[1], row[3]) for row in found if row[2]} == {
            ("sqlite_autoindex_dataset_tags_00000001_1", "pk"),
            ("sqlite_autoindex_dataset_tags_00000001_2", "u"),
        }
        copy = "INSERT INTO dataset_tags_00000001 SELECT * FROM dataset_tags_00000001 LIMIT 1"
        with pytest.raises(sa.exc.IntegrityError, match="UNIQUE constraint failed: dataset_tags_00000001"):
            connection.exec_driver_sql(copy)


@pytest.mark.postgresql
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_script_computes_the_same_uuids_as_python(dialect: str, place: Place) -> None:
    texts = ["", "a", "é" * 40, *("dataset_type=raw,run=x" + "y" * n for n in range(20, 110)), "z" * 1000]
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(dataset_ids._UUID5.replace("%", "%%"))
        query = sa.text("SELECT t, pg_temp.registrytool_uuid5(t) FROM unnest(CAST(:texts AS text[])) AS t")
        found = {row[0]: row[1] for row in connection.execute(query, {"texts": texts})}
    engine.dispose()
    assert {t: v.hex for t, v in found.items()} == {t: dataset_ids.data_id_uuid(t) for t in texts}
