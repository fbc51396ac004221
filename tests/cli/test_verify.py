"""``registrytool verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import sqlite_rows

if TYPE_CHECKING:
    from tests.cli.conftest import Registry
    from tests.support.places import Run

#: What a released migration script forgot (visit-without-day-obs in schemas/drift.yaml).
INDEX = "visit_fkidx_instrument_day_obs"
INDEXES = f"SELECT count(*) FROM sqlite_master WHERE name = '{INDEX}'"


@pytest.fixture
def drifted(registry: Registry) -> Registry:
    """Make a registry that the existing migration tool could have left behind."""
    registry.execute(f"DROP INDEX {{s}}{INDEX}")
    return registry


def test_verify_of_a_sound_registry_says_so(registry: Registry, run: Run) -> None:
    assert run("verify", "repo") == (0, "repo: all 48 tables are what the versions promise.\n", "")


def test_verify_as_json_has_the_names_of_the_fields(registry: Registry, run: Run) -> None:
    outcome = run("verify", "repo", "--format", "json")

    answer = json.loads(outcome.stdout)
    assert list(answer) == [
        "format_version",
        "registry",
        "state",
        "tables",
        "differences",
        "notes",
        "repaired",
        "clean",
        "unknown",
        "drift",
        "instruments",
    ]
    del answer["state"]
    assert answer == {
        "format_version": 1,
        "registry": "repo",
        "tables": 48,
        "differences": [],
        "notes": [],
        "repaired": [],
        "clean": True,
        "unknown": 0,
        "drift": [],
        "instruments": [],
    }
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_verify_lists_unknown_differences_and_exits_with_4(registry: Registry, run: Run) -> None:
    registry.execute("ALTER TABLE {s}visit DROP COLUMN azimuth")

    outcome = run("verify", "repo")

    rows = [line.split() for line in outcome.stdout.splitlines()]
    assert rows[0] == ["Unknown", "differences:"]
    assert rows[2] == ["table", "object", "name", "what", "expected", "found"]
    assert rows[4][:4] == ["visit", "column", "azimuth", "missing"]
    assert rows[-1] == ["repo:", "1", "difference,", "0", "known", "and", "1", "unknown."]
    assert (outcome.exit_code, outcome.stderr) == (4, "")
    as_json = run("--format", "json", "verify", "repo")
    answer = json.loads(as_json.stdout)
    assert (answer["clean"], answer["unknown"]) == (False, 1)
    (difference,) = answer["differences"]
    assert list(difference) == ["table", "kind", "name", "aspect", "expected", "found", "drift"]
    assert (difference["table"], difference["name"], difference["drift"]) == ("visit", "azimuth", None)
    assert as_json.exit_code == 4


def test_verify_notes_what_does_not_belong_to_the_registry(registry: Registry, run: Run) -> None:
    registry.execute("CREATE TABLE {s}mine (x INTEGER)")

    assert run("verify", "repo") == (
        0,
        "Note: table mine does not belong to the registry.\nrepo: all 48 tables are what the versions promise.\n",
        "",
    )


def test_verify_counts_revisions_that_contradict_the_versions_as_a_difference(registry: Registry, run: Run) -> None:
    run("stamp", "repo")
    registry.execute("UPDATE {s}alembic_version SET version_num = '2101fbf51ad3' WHERE version_num = '4e2d7a28475b'")

    outcome = run("verify", "repo")

    assert "alembic_version   revision   2101fbf51ad3   unexpected" in outcome.stdout
    assert outcome.stdout.endswith(
        "repo: 1 difference, 0 known and 1 unknown.\n"
        "'registrytool stamp --purge' rewrites the revisions from the versions.\n"
    )
    assert outcome.exit_code == 4


def test_verify_names_known_drift_and_how_to_mend_it(drifted: Registry, run: Run) -> None:
    assert run("verify", "repo") == (
        4,
        (
            "Known drift: visit-without-day-obs (must be repaired; migrated to universe 6 by the existing "
            "migration tool)\n"
            "  The observing day of a visit may be missing or unknown - visit.day_obs has no foreign key, index, NOT "
            "NULL.\n"
            "    visit: index visit_fkidx_instrument_day_obs is missing\n"
            "repo: 1 difference, 1 known and 0 unknown.\n"
            "'registrytool verify --repair' mends known drift, and so does every migration.\n"
        ),
        "",
    )


def test_repair_mends_known_drift(drifted: Registry, run: Run) -> None:
    outcome = run("verify", "repo", "--repair", "--yes", "--backup", "kept")

    assert outcome == (
        0,
        "Repaired 1 difference: visit-without-day-obs.\nrepo: all 48 tables are what the versions promise.\n",
        "backing up to kept ...\nrepairing known drift ...\n",
    )
    assert run("log", "repo").stdout.splitlines()[1:] == ["    repaired visit-without-day-obs"]
    if drifted.place.dialect == "sqlite":
        assert sqlite_rows(Path("kept"), INDEXES) == [(0,)]
        assert sqlite_rows(drifted.file, INDEXES) == [(1,)]
    else:
        assert Path("kept").read_bytes().startswith(b"PGDMP")


def test_repair_as_json_says_what_was_repaired(drifted: Registry, run: Run) -> None:
    outcome = run("verify", "repo", "--repair", "--no-backup", "--format", "json")

    answer = json.loads(outcome.stdout)
    assert (answer["clean"], answer["differences"]) == (True, [])
    (repaired,) = answer["repaired"]
    assert (repaired["name"], repaired["drift"]) == (INDEX, "visit-without-day-obs")
    assert outcome.exit_code == 0


def test_repair_asks_before_it_changes_anything(drifted: Registry, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registrytool.cli._output.is_interactive", lambda: True)
    before = drifted.trace()

    outcome = run("verify", "repo", "--repair", stdin="n\n")

    assert outcome == (3, "", "Repair known drift in repo? [y/N]: Nothing was changed.\n")
    assert drifted.trace() == before


def test_repair_of_a_sound_registry_changes_nothing(registry: Registry, run: Run) -> None:
    before = registry.trace()

    outcome = run("verify", "repo", "--repair")

    assert outcome == (0, "repo: all 48 tables are what the versions promise.\n", "")
    assert registry.trace() == before


def test_repair_refuses_unknown_differences(registry: Registry, run: Run) -> None:
    registry.execute("ALTER TABLE {s}visit DROP COLUMN azimuth")
    before = registry.trace()

    outcome = run("verify", "repo", "--repair", "--no-backup")

    assert outcome == (
        3,
        "",
        (
            "Error: The structure of the registry is not what its versions promise: visit: column azimuth is "
            "missing. Run "
            "'registrytool verify' for the whole list and mend the differences first.\n"
        ),
    )
    assert registry.trace() == before
