"""What registrytool creates, the client takes for its own."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.introspect import read_structure
from registrytool.repository import open_repository
from registrytool.structure import differences
from tests.client.conftest import password_of
from tests.support.content import compare_content

if TYPE_CHECKING:
    from registrytool.models import Release
    from registrytool.structure import Structure
    from tests.client.conftest import Client
    from tests.support.places import Place, Run

NAME_KEY = "collections=NameKeyCollectionManager/2.0.0"

OWN_UNIVERSES = range(4, 9)
"""Universes of clients that have all the versions which the newest client makes."""
OLDER_UNIVERSES = range(4)


def readable_releases() -> list[Release]:
    """Return the weeks of which the newest client can open the registries, one for each state."""
    weeks = [r for r in Catalog.find().releases.known() if r.name == r.since]
    # It refuses integers as dataset identifiers, which were the rule until 2021.
    usable = [r for r in weeks if r.state["datasets"].implementation.endswith("UUID")]
    return [next(same) for _, same in itertools.groupby(usable, key=lambda r: r.state.to_dict())]


RELEASES = readable_releases()
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.name)
some_releases = pytest.mark.parametrize("release", [RELEASES[0], RELEASES[7], RELEASES[-1]], ids=lambda r: r.name)


def create(run: Run, place: Place, *options: object) -> None:
    """Create a repository, as a user does on the command line."""
    words = list(options)
    if place.dialect == "postgresql":
        words += ["--db", place.url]
        if place.namespace is not None:
            words += ["--namespace", place.namespace]
    done = run("create", place.folder, *words)
    assert done.exit_code == 0, done.stderr


def assert_clean(run: Run, place: Place) -> None:
    """Check that the registry is what its versions promise, after a client has worked with it."""
    done = run("verify", place.folder, "--db", place.url, "--format", "json")
    answer = json.loads(done.stdout)
    assert (answer["differences"], answer["notes"]) == ([], [])
    assert done.exit_code == 0


def assert_usable(client: Client, run: Run, place: Place, release: Release) -> None:
    content = client.content(place.folder, password_of(place), then_write=True)

    assert content["universe"] == {
        "namespace": "daf_butler",
        "version": int(release.state["dimensions-config"].version),
    }
    assert content["collections"] == content["dataset_types"] == content["datasets"] == {}
    found = {component: manager["version"] for component, manager in content["managers"].items()}
    assert found == {c: v.version for c, v in release.state.components.items() if c != "dimensions-config"}
    assert_clean(run, place)


@each_release
def test_client_works_with_a_new_registry_of_any_release(
    release: Release, client: Client, run: Run, place: Place
) -> None:
    create(run, place, "--at", release.name)

    assert_usable(client, run, place, release)


@some_releases
def test_client_works_with_a_new_registry_that_has_names_as_keys(
    release: Release, client: Client, run: Run, place: Place
) -> None:
    create(run, place, "--at", release.name, "--at", NAME_KEY)

    assert_usable(client, run, place, release)


def test_client_works_with_a_new_registry_of_the_newest_versions(client: Client, run: Run, place: Place) -> None:
    # Without a namespace, which on PostgreSQL is the schema "public".
    place = dataclasses.replace(place, namespace=None)
    create(run, place)

    assert_usable(client, run, place, RELEASES[-1])


@some_releases
def test_client_fills_a_new_registry_as_one_of_its_own(
    release: Release, client: Client, run: Run, place: Place
) -> None:
    ours, theirs = beside(place, "ours"), beside(place, "theirs")
    datasets, universe = (release.state[c].version for c in ("datasets", "dimensions-config"))
    client.make(theirs, "--datasets-version", datasets, universe=int(universe))
    create(run, ours, "--at", release.name)

    client.make(ours, "--existing")

    contents = [client.content(p.folder, password_of(p)) for p in (theirs, ours)]
    for content in contents:
        # The documentation of dimensions is part of it; what matters of it is compared below.
        del content["attributes"]["config:dimensions.json"]
    assert compare_content(*contents) == []
    assert_clean(run, ours)


@pytest.mark.parametrize("collections", ["SynthIntKey", "NameKey"])
@pytest.mark.parametrize("datasets", ["1.0.0", "2.0.0"])
@pytest.mark.parametrize("universe", OWN_UNIVERSES)
def test_a_new_registry_equals_that_of_the_client(
    universe: int, datasets: str, collections: str, client: Client, run: Run, place: Place
) -> None:
    ours, theirs = beside(place, "ours"), beside(place, "theirs")
    options = ["--name-key"] if collections == "NameKey" else []
    client.make(theirs, "--empty", "--datasets-version", datasets, *options, universe=universe)
    targets = [f"datasets={datasets}", f"dimensions-config={universe}"] + [NAME_KEY] * (collections == "NameKey")
    create(run, ours, *(f"--at={target}" for target in targets))

    assert_same_registry(ours, theirs)
    assert managers(ours) == managers(theirs)


@pytest.mark.parametrize("universe", OLDER_UNIVERSES)
def test_a_new_registry_of_an_old_universe_equals_that_of_the_client(
    universe: int, client: Client, run: Run, place: Place
) -> None:
    ours, theirs = beside(place, "ours"), beside(place, "theirs")
    client.make(theirs, "--empty", universe=universe)
    create(run, ours, f"--at=dimensions-config={universe}")

    assert_same_registry(ours, theirs)


def test_butler_yaml_of_a_new_repository_equals_that_of_the_client(client: Client, run: Run, place: Place) -> None:
    ours, theirs = beside(place, "ours"), beside(place, "theirs")
    client.make(theirs, "--empty")
    create(run, ours)

    found, wanted = (yaml.safe_load((p.folder / "butler.yaml").read_text()) for p in (ours, theirs))
    # The client writes the password that it was given. Ours is for others to read as well.
    wanted["registry"]["db"] = wanted["registry"]["db"].replace(f":{password_of(place)}@", "@")
    assert found["registry"].pop("namespace", None) == ours.namespace
    assert wanted["registry"].pop("namespace", None) == theirs.namespace
    assert found == wanted


def beside(place: Place, name: str) -> Place:
    """Return one of two places, which on PostgreSQL share a database."""
    folder = place.folder / name
    folder.mkdir()
    if place.dialect == "sqlite":
        return dataclasses.replace(place, url=f"sqlite:///{folder / 'gen3.sqlite3'}", folder=folder)
    return dataclasses.replace(place, namespace=name, folder=folder)


def assert_same_registry(ours: Place, theirs: Place) -> None:
    """Check that two registries have the same structure, order of columns included, and say the same of themselves."""
    (our_structure, our_attributes), (their_structure, their_attributes) = read(ours), read(theirs)
    assert [str(d) for d in differences(their_structure, our_structure)] == []
    assert [str(d) for d in differences(our_structure, their_structure)] == []
    assert columns_of(our_structure) == columns_of(their_structure)
    assert our_attributes == their_attributes


def read(place: Place) -> tuple[Structure, dict[str, Any]]:
    """Return the structure of a registry and, but for texts that explain dimensions, its attributes."""
    database = Database.of(open_repository(str(place.folder), db=place.url))
    with database.read() as connection:
        structure = read_structure(connection, place.namespace)
        table = sa.table("butler_attributes", sa.column("name"), sa.column("value"), schema=place.namespace)
        attributes: dict[str, Any] = {row.name: row.value for row in connection.execute(sa.select(table))}
    attributes["config:dimensions.json"] = without_doc(json.loads(attributes["config:dimensions.json"]))
    return structure, attributes


def columns_of(structure: Structure) -> dict[str, list[str]]:
    return {name: list(table.columns) for name, table in structure.tables.items()}


def without_doc(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_doc(v) for k, v in value.items() if k != "doc"}
    return [without_doc(v) for v in value] if isinstance(value, list) else value


def managers(place: Place) -> dict[str, str]:
    """Return the classes that ``butler.yaml`` names."""
    found = yaml.safe_load((place.folder / "butler.yaml").read_text())["registry"]["managers"]
    # With the version that makes a new registry, where that is not the default; it means nothing afterwards.
    return {k: v["cls"] if isinstance(v, dict) else v for k, v in found.items()}
