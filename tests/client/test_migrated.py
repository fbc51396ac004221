"""What registrytool migrates, the client reads as before, and writes to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registrytool.catalog import Catalog
from tests.support.content import compare_content
from tests.support.fixtures import fixture_names, manifest, recorded_content, restore_postgresql, restore_sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Client, Content
    from tests.support.places import Place, Run

NEWEST = {c: v.version for c, v in Catalog().newest_state().components.items()}

OPENED = [name for name in fixture_names() if manifest(name)["universe"]["version"] >= 3]
each_fixture = pytest.mark.parametrize("name", OPENED)

MIDDLE = [
    # The last has more in it than the release: what is newer goes back.
    ("w2023_06", "w_2024_10", {"dimensions-config": "6", "datasets": "1.0.0", "datastores": "0.2.0"}),
    ("v26", "27.0", {"dimensions-config": "7", "datasets": "1.0.0", "datastores": "0.2.0"}),
    ("newest-u4-ds1", "w_2024_41", {"dimensions-config": "7", "datasets": "2.0.0", "datastores": "0.2.0"}),
]


def restore(name: str, place: Place) -> Path:
    if place.dialect == "sqlite":
        return restore_sqlite(name, place.folder)
    return restore_postgresql(name, place.url, place.folder)


def starting_versions(name: str) -> dict[str, str]:
    """Return the versions of a fixture, but for a configuration that no step changes."""
    return {c: v["version"] for c, v in manifest(name)["state"].items() if c != "obscore-config"}


def migrate(run: Run, folder: Path, *options: object) -> str:
    done = run("migrate", folder, "--yes", *options)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def to_versions(versions: dict[str, str]) -> list[str]:
    return [f"--to={component}={version}" for component, version in versions.items()]


def assert_clean(run: Run, folder: Path, versions: dict[str, str]) -> None:
    """Check that nothing differs from what the versions promise, known drift included, and that they are the wanted."""
    done = run("verify", folder, "--format", "json")
    answer = json.loads(done.stdout)
    assert (answer["differences"], answer["notes"]) == ([], [])
    assert done.exit_code == 0
    found = {component: v["version"] for component, v in answer["state"]["components"].items()}
    assert {c: found[c] for c in versions} == versions


def assert_same_content(before: Content, after: Content) -> None:
    """Check that a migration has kept everything, dates of ingest to the nanosecond."""
    assert compare_content(before, after) == []
    assert ingest_dates_ns(after) == ingest_dates_ns(before)


def ingest_dates_ns(content: Content) -> dict[str, int]:
    """Return all dates of ingest by dataset, in ns since 1970 TAI; exactly what the microseconds in 1.0.0 mean."""
    return {d["id"]: d["ingest_date_ns"] for datasets in content["datasets"].values() for d in datasets}


@each_fixture
def test_client_reads_all_that_was_there_and_writes(name: str, client: Client, run: Run, place: Place) -> None:
    folder = restore(name, place)

    migrate(run, folder)

    content = client.content(folder, then_write=True)
    assert_same_content(recorded_content(name, place.dialect), content)
    versions = starting_versions(name)
    assert_clean(run, folder, {c: NEWEST.get(c, versions[c]) for c in versions})


@each_fixture
def test_client_reads_the_same_after_the_way_back_and_up_again(
    name: str, client: Client, run: Run, place: Place
) -> None:
    folder = restore(name, place)
    versions = starting_versions(name)
    migrate(run, folder, "--no-backup")
    content = client.content(folder)

    migrate(run, folder, "--no-backup", "--accept-loss", *to_versions(versions))
    assert_clean(run, folder, versions)
    below = client.content(folder)

    assert compare_content(below, content) == []
    migrate(run, folder, "--no-backup")
    assert client.content(folder) == content


@pytest.mark.parametrize(("name", "release", "versions"), MIDDLE, ids=[f"{n}-{r}" for n, r, _ in MIDDLE])
def test_client_reads_all_that_was_there_in_versions_between(
    name: str, release: str, versions: dict[str, str], client: Client, run: Run, place: Place
) -> None:
    folder = restore(name, place)

    migrate(run, folder, "--to", release)

    content = client.content(folder, then_write=True)
    assert_same_content(recorded_content(name, place.dialect), content)
    assert_clean(run, folder, versions)
