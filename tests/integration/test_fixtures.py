"""Repositories that real clients of several ages wrote: understood, verified and migrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registrytool.models import ComponentVersion
from registrytool.repository import open_repository
from registrytool.status import registry_status
from registrytool.verify import verify_registry
from tests.support.content_states import CATALOG
from tests.support.fixtures import fixture_names, manifest, restore_postgresql, restore_sqlite
from tests.support.registries import migrate
from tests.support.rows import read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

each_fixture = pytest.mark.parametrize("name", fixture_names())

HARMLESS = {
    "alternate-key-not-null",
    "records-without-path-index",
    "primary-key-null",
}
"""Drift that these clients left: nobody but the existing migration tool leaves any other."""


@pytest.fixture
def repository(name: str, place: Place) -> Repository:
    """Restore the fixture that the test names."""
    if place.dialect == "sqlite":
        restore_sqlite(name, place.folder)
        return open_repository(str(place.folder))
    restore_postgresql(name, place.url, place.folder)
    return open_repository(str(place.folder), db=place.url)


def recorded(name: str) -> dict[str, ComponentVersion]:
    """Return the versions that a fixture says it has."""
    state: dict[str, dict[str, Any]] = manifest(name)["state"]
    return {
        component: ComponentVersion(component, str(v["implementation"]).rpartition(".")[2], str(v["version"]))
        for component, v in state.items()
    }


@each_fixture
def test_status_names_the_versions_that_the_client_wrote(name: str, repository: Repository) -> None:
    status = registry_status(repository)
    found = {c.component: ComponentVersion(c.component, c.implementation, c.version) for c in status.components}
    assert found == recorded(name)
    assert status.dialect == repository.dialect


@each_fixture
def test_verify_finds_no_unknown_difference(name: str, repository: Repository) -> None:
    verification = verify_registry(repository)
    assert [str(d) for d in verification.unknown] == []
    assert {d.drift for d in verification.differences} <= HARMLESS
    assert dict(verification.state.components) == recorded(name)


@pytest.mark.parametrize("name", [n for n in fixture_names() if manifest(n)["client"].startswith("30.")])
def test_what_a_client_of_today_wrote_has_no_drift(name: str, repository: Repository) -> None:
    assert verify_registry(repository).differences == ()


@each_fixture
def test_a_migration_to_the_newest_versions_ends_clean_and_loses_no_row(name: str, repository: Repository) -> None:
    before = read_content(repository)
    migrate(repository, "newest")

    verification = verify_registry(repository)
    assert verification.differences == ()
    versions = verification.state.components.values()
    assert [str(v) for v in versions if v != _newest(v)] == []
    after = read_content(repository)
    counts = {t: len(c.rows) for t, c in before.items() if t in after and t != "butler_attributes"}
    assert {t: len(after[t].rows) for t in counts} == counts


def _newest(version: ComponentVersion) -> ComponentVersion:
    if version.component == "obscore-config":
        return version
    return CATALOG.newest(version.component, version.implementation)
