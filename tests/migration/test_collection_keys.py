"""Collections get integers as keys instead of names, and names again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

from registrytool.database import Database
from registrytool.models import ComponentVersion
from registrytool.repository import open_repository
from tests.support.content_states import CATALOG, NAME_KEY
from tests.support.registries import assert_clean, make_state, migrate, target
from tests.support.rows import TableContent, fill_registry, read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

SYNTH_INT = ComponentVersion("collections", "SynthIntKeyCollectionManager", "2.0.0")
INT = ComponentVersion("datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0")
#: How columns with keys are called with names and with integers.
KEYS = {"collection_name": "collection_id", "run_name": "run_id", "parent": "parent", "child": "child"}
Content = dict[str, TableContent]


def make(place: Place, *versions: ComponentVersion) -> Repository:
    repository = make_state(place, CATALOG.newest_state().replace(*versions))
    fill_registry(repository)
    return repository


def by_name(content: Content) -> Content:
    """Write a registry with integers as keys as one with names, to compare them."""
    collections = content["collection"]
    names = dict(collections.of(["collection_id", "name"]))
    back = {new: old for old, new in KEYS.items()}
    result = {}
    for table, found in content.items():
        keys = {c for c in found.columns if c in back and table != "collection"}
        columns = tuple("name" if table == "run" and c in keys else back.get(c, c) for c in found.columns)
        rows = [
            tuple(names[v] if c in keys else v for c, v in zip(found.columns, row, strict=True)) for row in found.rows
        ]
        if table == "collection":
            columns, rows = ("name", "type", "doc"), list(collections.of(["name", "type", "doc"]))
        result[table] = TableContent(columns, rows)
    return result


def assert_same(a: Content, b: Content) -> None:
    assert a.keys() == b.keys()
    for table in a.keys() - {"butler_attributes"}:
        columns = sorted(a[table].columns)
        assert sorted(b[table].columns) == columns, table
        assert b[table].of(columns) == a[table].of(columns), table


@pytest.mark.parametrize("versions", [(), (INT,)], ids=["UUIDs", "integers in an odd namespace"])
def test_names_become_integers_and_names_again(
    versions: tuple[ComponentVersion, ...], request: pytest.FixtureRequest, place: Place, odd_namespace: str
) -> None:
    repository = make(place, NAME_KEY, *versions)
    before = read_content(repository)

    migrate(repository, target(SYNTH_INT))

    assert_clean(repository, CATALOG.newest_state().replace(*versions))
    above = read_content(repository)
    assert_same(by_name(above), before)
    numbers = [row[1] for row in above["collection"].of(["name", "collection_id"])]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))

    migrate(repository, target(NAME_KEY))

    assert_clean(repository, CATALOG.newest_state().replace(NAME_KEY, *versions))
    assert_same(read_content(repository), before)


def test_integers_become_names_and_integers_again(place: Place) -> None:
    repository = make(place)
    before = by_name(read_content(repository))

    migrate(repository, target(NAME_KEY))

    assert_same(read_content(repository), before)
    migrate(repository, target(SYNTH_INT))
    assert_clean(repository, CATALOG.newest_state())
    assert_same(by_name(read_content(repository)), before)


def test_new_collections_get_numbers_of_their_own(place: Place) -> None:
    repository = make(place, NAME_KEY)
    migrate(repository, target(SYNTH_INT))
    greatest = max(row[0] for row in read_content(repository)["collection"].of(["collection_id"]))
    database = Database.of(repository)
    with database.write("add a collection") as connection:
        if database.dialect == "postgresql":
            sequence = sa.Sequence("collection_seq_collection_id", schema=database.namespace)
            assert connection.scalar(sequence) == greatest + 1
        else:
            connection.exec_driver_sql("INSERT INTO collection (name, type) VALUES ('new', 1)")
            assert connection.exec_driver_sql("SELECT max(collection_id) FROM collection").scalar() == greatest + 1


def test_an_empty_registry_changes_its_keys_too(place: Place) -> None:
    repository = make_state(place, CATALOG.newest_state().replace(NAME_KEY))
    migrate(repository, target(SYNTH_INT))
    assert_clean(repository, CATALOG.newest_state())
    migrate(repository, target(NAME_KEY))
    assert_clean(repository, CATALOG.newest_state().replace(NAME_KEY))


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_newest_keeps_the_keys_and_butler_yaml_follows_them(dialect: str, place: Place) -> None:
    repository = make(place, NAME_KEY)
    config = place.folder / "butler.yaml"
    config.write_text("# Ours.\n" + config.read_text(encoding="utf-8"), encoding="utf-8")
    assert migrate(repository, "newest").plan.steps == ()

    report = migrate(open_repository(str(place.folder)), target(SYNTH_INT))

    assert report.warnings == ()
    text = config.read_text(encoding="utf-8")
    assert text.startswith("# Ours.\n")
    managers: dict[str, Any] = yaml.safe_load(text)["registry"]["managers"]
    assert managers["collections"] == ("lsst.daf.butler.registry.collections.synthIntKey.SynthIntKeyCollectionManager")
