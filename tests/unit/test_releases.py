"""Butler releases.  Facts: the Butler registry format, sections 2 and 7."""

from __future__ import annotations

import pytest

from registrytool.errors import UnknownVersionError
from registrytool.models import ComponentVersion, State
from tests.support.content_states import CATALOG, NAME_KEY

RELEASES = CATALOG.releases
UUID = "ByDimensionsDatasetRecordStorageManagerUUID"


def state(release: str, *versions: ComponentVersion) -> State:
    return RELEASES.find(release).state.replace(*versions)


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("w_2026_43", "w_2026_19"),
        ("w.2026.43", "w_2026_19"),
        ("30.2026.4300", "w_2026_19"),
        ("30.0.11", "w_2026_19"),
        ("v30_0_11", "w_2026_19"),
        ("v30.0.8", "w_2026_19"),
        ("30.0.7", "w_2025_21"),
        ("30.0", "w_2025_21"),
        ("30.0.0", "w_2025_21"),
        ("29.0.1", "w_2024_41"),
        ("29.1.1", "w_2025_21"),
        ("26.0.2", "w_2023_32"),
        ("v23_0_0", "w_2021_38"),
        ("w_2024_12", "w_2024_10"),
        ("w_2024_13", "w_2024_13"),
        ("25.2023.600", "w_2022_49"),
    ],
)
def test_a_release_is_found_in_every_spelling(name: str, since: str) -> None:
    found = RELEASES.find(name)
    assert found.since == since
    assert found.state == RELEASES.find(since).state


def test_a_week_keeps_its_own_name_and_says_since_when_its_state_holds() -> None:
    found = RELEASES.find("30.2026.4300")
    assert (found.name, found.since) == ("w_2026_43", "w_2026_19")


@pytest.mark.parametrize("name", ["", "newest", "w_2020_31", "w_2024_54", "w_2024_00", "31.0", "12.1", "30.x"])
def test_what_is_no_known_release_is_refused(name: str) -> None:
    with pytest.raises(UnknownVersionError, match="There is no Butler release"):
        RELEASES.find(name)


def test_every_release_names_the_week_with_the_same_state() -> None:
    weeks = {r.name: r.state for r in RELEASES.known() if r.name.startswith("w_")}
    wrong = [r.name for r in RELEASES.known() if r.since is None or weeks[r.since] != r.state]
    assert wrong == []


def test_the_newest_week_is_what_the_catalog_makes() -> None:
    assert RELEASES.find("w_2026_43").state == CATALOG.newest_state()


@pytest.mark.parametrize(
    ("registry", "readers", "writers"),
    [
        # Datasets 2.0.0 are read from w_2023_14 on; datastores 0.2.0 and 0.2.1 differ in the patch only.
        (state("w_2026_43"), "w_2023_14 and later", "w_2023_14 and later"),
        (state("w_2024_41"), "w_2023_14 and later", "w_2023_14 and later"),
        # Dimensions 6.0.x: a patch keeps nobody out, and nobody checks the universe.
        (state("w_2024_13"), "w_2021_16 and later", "w_2021_16 and later"),
        (state("w_2021_38"), "w_2021_16 and later", "w_2021_16 and later"),
        (state("w_2024_13", NAME_KEY), "w_2021_16 and later", "w_2021_16 and later"),
        # The integer class is gone from w_2023_10 on.
        (state("w_2020_46"), "w_2020_46 until before w_2023_10", "w_2020_46 until before w_2023_10"),
        # A client must have a version of several exactly.
        (
            state("w_2026_43", ComponentVersion("datasets", UUID, "2.0.7")),
            "none",
            "none",
        ),
        # An older minor version can be read, and not written.
        (
            state("w_2026_43", ComponentVersion("dimensions", "StaticDimensionRecordStorageManager", "5.9.0")),
            "none",
            "none",
        ),
    ],
)
def test_readers_and_writers_follow_the_rule_of_the_clients(registry: State, readers: str, writers: str) -> None:
    assert RELEASES.readers_and_writers(registry) == (readers, writers)


def test_a_lower_minor_version_is_read_but_not_written() -> None:
    opaque = ComponentVersion("opaque", "ByNameOpaqueTableStorageManager", "0.1.0")
    assert RELEASES.readers_and_writers(state("w_2026_43", opaque)) == ("w_2023_14 and later", "none")
