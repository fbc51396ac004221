"""What a Butler release has is released here as well, and frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.check.lock import LOCK, digest_of, read_lock
from registrytool.models import CONFIGURATIONS
from registrytool.naming import module_name
from tests.support.content_states import CATALOG, HISTORY

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.models import ComponentVersion

ROOT = CATALOG.content.root


def released_versions() -> set[ComponentVersion]:
    """Return every version that a Butler release has, as far as the content defines it."""
    found = {v for release in CATALOG.releases.known() for v in release.state.components.values()}
    return {v for v in found if v.version in CATALOG.versions[v.component].get(v.implementation, ())}


def schema_file(version: ComponentVersion) -> Path:
    configuration = version.component in CONFIGURATIONS
    name = f"{version.version}.yaml" if configuration else f"{module_name(version.version)}.py"
    return CATALOG.content.schema_file(version.component, version.implementation, name)


def test_the_list_of_released_files_is_there_and_can_be_read() -> None:
    lock = read_lock(CATALOG.content)
    assert (CATALOG.content.schemas / LOCK).is_file()
    assert lock.faults == ()
    assert lock.files


def test_every_version_of_a_release_is_frozen_with_the_steps_to_it() -> None:
    versions = released_versions()
    assert len(versions) > 30
    wanted = {schema_file(version) for version in versions}
    wanted |= {revision.path for revision in HISTORY.revisions.values() if revision.target in versions}
    assert {path.relative_to(ROOT).as_posix() for path in wanted} - read_lock(CATALOG.content).files.keys() == set()


@pytest.mark.parametrize("name", read_lock(CATALOG.content).files)
def test_a_released_file_is_as_it_was(name: str) -> None:
    lock = read_lock(CATALOG.content)
    found = digest_of(CATALOG.content, ROOT / name)
    assert (found.digest, found.meaning) == (lock.files[name].digest, lock.files[name].meaning)
