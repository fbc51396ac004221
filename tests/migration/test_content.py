"""Claims about the files in ``schemas/`` and ``alembic/`` and about every state that the content knows."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, get_args

import pytest

from registrytool.models import ComponentVersion
from registrytool.naming import revision_id
from registrytool.universe import Universe
from tests.support.content_states import CATALOG, EDGES, HISTORY, NAME_KEY, releases
from tests.support.places import Dialect
from tests.support.registries import SETTINGS, assert_clean, make, make_state, migrate

if TYPE_CHECKING:
    from registrytool.history import Edge, Revision
    from registrytool.models import Release
    from tests.support.places import Place

VERSIONS = [
    ComponentVersion(component, implementation, version)
    for component, implementations in CATALOG.versions.items()
    for implementation, versions in implementations.items()
    for version in versions
]
REVISIONS = list(HISTORY.revisions.values())

# Releases with the same state as an earlier one need not be made again.
STATES = list({str(r.state): r for r in reversed(releases())}.values())[::-1]
each_state = pytest.mark.parametrize("release", STATES, ids=lambda r: r.name)

INT_DATASETS = ComponentVersion("datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0")


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_each_version_has_a_revision(version: ComponentVersion) -> None:
    assert HISTORY.of(version) is not None


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda r: r.id)
def test_each_revision_has_a_schema_file(revision: Revision) -> None:
    if revision.target is not None:
        CATALOG.require(revision.target)


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda r: r.id)
def test_identifiers_tell_the_truth(revision: Revision) -> None:
    target = revision.target
    if target is None:
        assert revision.id == revision_id(revision.component)
    elif not revision.is_switch:
        assert revision.id == revision_id(target.component, target.implementation, target.version)


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda r: r.id)
def test_folders_of_revisions_are_their_components(revision: Revision) -> None:
    assert revision.path.parent.name == revision.component


@pytest.mark.parametrize("edge", [e for e in EDGES if not e.revision.is_switch], ids=lambda e: e.revision.path.stem)
def test_file_names_of_steps_tell_the_truth(edge: Edge) -> None:
    match = re.fullmatch(r"(?:[a-z_]+_)?(?:v([\d_]+)_to_)?v([\d_]+)_[a-z]\w*", edge.revision.path.stem)
    assert match
    start, end = (version and version.replace("_", ".") for version in match.groups())
    assert (start, end) == (edge.start and edge.start.version, edge.end.version)


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: e.revision.path.stem)
def test_each_step_says_what_it_does(edge: Edge) -> None:
    assert len(edge.revision.summary) > 10
    assert set(edge.revision.required_options) <= edge.revision.options.keys()


@pytest.mark.parametrize("version", [v for v in VERSIONS if v.component == "dimensions-config"], ids=str)
def test_each_universe_file_says_which_it_is(version: ComponentVersion) -> None:
    config = CATALOG.universe_config(version)
    universe = Universe(config)
    assert (universe.namespace, str(universe.version)) == (version.implementation, version.version)
    # Universe 0 is stored without a namespace.
    assert ("namespace" in config) == (version.version != "0")


@pytest.mark.parametrize("name", get_args(Dialect))
def test_the_newest_schema_is_built_in_no_time(name: Dialect) -> None:
    state = CATALOG.newest_state()
    CATALOG.metadata(state, name)  # loads the files
    elapsed = []
    for _ in range(5):
        start = time.process_time()
        CATALOG.metadata(state, name)
        elapsed.append(time.process_time() - start)
    assert min(elapsed) < 0.3, "100 ms are wanted; slack is for slow machines"


@each_state
def test_a_created_registry_is_clean_and_so_is_a_migrated_one(release: Release, place: Place) -> None:
    repository = make(place, release.name)
    assert_clean(repository, release.state)

    settings = SETTINGS["2"] if int(release.state["dimensions-config"].version) < 2 else {}
    migrate(repository, "newest", **settings)

    assert_clean(repository, CATALOG.newest_state())


@pytest.mark.parametrize("versions", [(NAME_KEY,), (INT_DATASETS,), (NAME_KEY, INT_DATASETS)], ids=str)
def test_registries_of_other_implementations_are_clean(
    versions: tuple[ComponentVersion, ...], odd_namespace: str, place: Place
) -> None:
    state = CATALOG.newest_state().replace(*versions)
    assert_clean(make_state(place, state), state)
