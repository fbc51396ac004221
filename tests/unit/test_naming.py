"""Names of the format.  Facts: the Butler registry format, sections 8.1, 8.2 and 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrytool.naming import (
    format_week,
    module_name,
    parse_module_name,
    parse_week,
    revision_id,
    shrink,
    version_key,
)
from tests.support.format_facts import REVISIONS, SHRUNK


@pytest.mark.parametrize(("full", "short"), SHRUNK.items())
def test_postgresql_names_are_shrunk_as_the_butler_does(full: str, short: str) -> None:
    assert shrink(full, "postgresql") == short


@pytest.mark.parametrize("full", SHRUNK)
def test_sqlite_names_are_never_shrunk(full: str) -> None:
    assert shrink(full, "sqlite") == full


def test_a_name_of_exactly_63_characters_is_kept() -> None:
    name = "fkey_visit_detector_region_visit_instrument_id_instrument_visit"
    assert len(name) == 63
    assert shrink(name, "postgresql") == name


@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=64, max_size=300))
def test_a_shrunk_name_has_63_characters_and_the_beginning_of_the_full_one(name: str) -> None:
    short = shrink(name, "postgresql")
    assert len(short) == 63
    assert short[:54] == name[:54]


@pytest.mark.parametrize(("name", "identifier"), REVISIONS.items())
def test_revision_identifiers_are_those_of_the_existing_migration_tool(
    name: tuple[str | None, ...], identifier: str
) -> None:
    component, implementation, version = name
    assert component is not None
    assert revision_id(component, implementation, version) == identifier


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("w_2026_43", (2026, 43)),
        ("w.2026.43", (2026, 43)),
        ("w_2021_04", (2021, 4)),
        ("w_2021_4", (2021, 4)),
        ("30.2026.4300", (2026, 43)),
        ("25.2023.600", (2023, 6)),
        ("30.0.11", None),
        ("w-2026-43", None),
        ("2026_43", None),
        ("", None),
    ],
)
def test_weeks_are_read_in_every_spelling(text: str, week: tuple[int, int] | None) -> None:
    assert parse_week(text) == week


def test_a_week_is_written_with_underscores_and_two_digits() -> None:
    assert format_week((2024, 7)) == "w_2024_07"


@given(st.integers(2020, 2099), st.integers(1, 53))
def test_a_written_week_reads_as_itself(year: int, week: int) -> None:
    assert parse_week(format_week((year, week))) == (year, week)


def test_versions_sort_by_their_numbers() -> None:
    assert sorted(["1.10.0", "1.9.0", "1.9", "0.10.0"], key=version_key) == ["0.10.0", "1.9", "1.9.0", "1.10.0"]


@pytest.mark.parametrize("text", ["", "1.", "1.0.0-rc1", "v1", "1..2", "-1"])
def test_what_is_not_integers_and_points_is_not_a_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        version_key(text)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_the_name_of_a_schema_file_gives_its_version_back(numbers: list[int]) -> None:
    version = ".".join(map(str, numbers))
    assert parse_module_name(module_name(version)) == version


@pytest.mark.parametrize("name", ["1_0_0", "v", "v1_", "v1.0", "version1"])
def test_other_files_are_no_schema_files(name: str) -> None:
    assert parse_module_name(name) is None
