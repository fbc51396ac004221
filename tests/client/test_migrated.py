"""What registrytool migrates, the client reads as before, and writes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registrytool.catalog import Catalog
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.repository import open_repository
from registrytool.verify import verify_registry
from tests.support.content import compare_content
from tests.support.fixtures import fixture_names, manifest, recorded_content, restore_postgresql, restore_sqlite

if TYPE_CHECKING:
    from tests.client.conftest import Client, Content
    from tests.support.places import Place

NEWEST = {component: v.version for component, v in Catalog.find().newest_state().components.items()}

OPENED = [name for name in fixture_names() if manifest(name)["universe"]["version"] >= 3]

MIDDLE = [
    ("w2023_06", "w_2024_10", {"dimensions-config": "6", "datasets": "1.0.0", "datastores": "0.2.0"}),
    ("v26", "28.0", {"dimensions-config": "7", "datasets": "2.0.0", "datastores": "0.2.0"}),
    # It has a newer version of the datastores than that release: with the others up, this one goes down.
    ("newest-u4-ds1", "27.0", {"dimensions-config": "7", "datasets": "1.0.0", "datastores": "0.2.0"}),
]


@pytest.mark.parametrize("name", OPENED)
def test_client_reads_the_same_after_migrations_up_and_down_and_up_again_and_writes(
    name: str, client: Client, place: Place
) -> None:
    folder = restore(name, place)
    versions = starting_versions(name)
    newest = {component: NEWEST.get(component, version) for component, version in versions.items()}

    migrate(folder, "newest", backup=True)

    assert_clean(folder, newest)
    content = client.content(folder)
    assert_same_content(recorded_content(name, place.dialect), content)

    migrate(folder, *(f"{component}={version}" for component, version in versions.items()))

    assert_clean(folder, versions)
    # What the first migration derived from older content can be derived from this once more.
    assert compare_content(client.content(folder), content) == []

    migrate(folder, "newest")

    again = client.content(folder, then_write=True)
    assert without_log(again) == without_log(content)
    assert_clean(folder, newest)


@pytest.mark.parametrize(("name", "release", "versions"), MIDDLE, ids=[f"{n}-to-{r}" for n, r, _ in MIDDLE])
def test_client_reads_all_that_was_there_in_the_versions_of_another_release_and_writes(
    name: str, release: str, versions: dict[str, str], client: Client, place: Place
) -> None:
    folder = restore(name, place)

    migrate(folder, release)

    content = client.content(folder, then_write=True)
    assert_same_content(recorded_content(name, place.dialect), content)
    assert_clean(folder, versions)


def restore(name: str, place: Place) -> Path:
    if place.dialect == "sqlite":
        return restore_sqlite(name, place.folder)
    return restore_postgresql(name, place.url, place.folder)


def starting_versions(name: str) -> dict[str, str]:
    """Return the versions of a fixture, but for a configuration that no step changes."""
    return {c: v["version"] for c, v in manifest(name)["state"].items() if c != "obscore-config"}


def migrate(folder: Path, *targets: str, backup: bool = False) -> None:
    options = MigrateOptions(targets=targets, accept_loss=True, backup=backup)
    report = apply_migration(open_repository(str(folder)), options)
    assert report.applied
    if backup and (report.work or report.repairs):
        assert report.backup is not None
        assert Path(report.backup).stat().st_size > 0


def assert_clean(folder: Path, versions: dict[str, str]) -> None:
    """Check that nothing differs from what the versions promise, known drift included, and that they are the wanted."""
    found = verify_registry(open_repository(str(folder)))
    assert [str(d) for d in found.differences] == []
    assert found.notes == ()
    assert {c: found.state[c].version for c in versions} == versions


def assert_same_content(before: Content, after: Content) -> None:
    """Check that a migration has kept everything, dates of ingest to the nanosecond."""
    assert compare_content(before, after) == []
    assert ingest_dates_ns(after) == ingest_dates_ns(before)


def ingest_dates_ns(content: Content) -> dict[str, int]:
    """Return all dates of ingest by dataset, in ns since 1970 TAI; exactly what the microseconds in 1.0.0 mean."""
    return {d["id"]: d["ingest_date_ns"] for datasets in content["datasets"].values() for d in datasets}


def without_log(content: Content) -> Content:
    """Return a content without the attributes in which migrations log what they did, each in one of its own."""
    attributes = {k: v for k, v in content["attributes"].items() if not k.startswith("registrytool.")}
    counts = content["row_counts"] | {"butler_attributes": len(attributes)}
    return content | {"attributes": attributes, "row_counts": counts}
