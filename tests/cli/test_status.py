"""``registrytool status``, ``log`` and ``stamp``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Registry
    from tests.support.places import Run

RULE = "─"

CURRENT = """\
repo ({label})

 component           implementation                                version   newest   pending   revision
 {rule}
 attributes          DefaultButlerAttributeManager                 1.0.1     1.0.1              c0e4f9ab4a5d *
 dimensions          StaticDimensionRecordStorageManager           6.0.2     6.0.2              035dcf13ef18 *
 collections         SynthIntKeyCollectionManager                  2.0.0     2.0.0              8c57494cabcc *
 datasets            ByDimensionsDatasetRecordStorageManagerUUID   2.0.0     2.0.0              4e2d7a28475b *
 datastores          MonolithicDatastoreRegistryBridgeManager      0.2.1     0.2.1              a81dddabd837 *
 opaque              ByNameOpaqueTableStorageManager               0.2.0     0.2.0              77e5b803ad3f *
 dimensions-config   daf_butler                                    8         8                  aa7a2f893cba *

Butler releases that can read it:  w_2023_14 and later
Butler releases that can write it: w_2023_14 and later
Note: not stamped: no alembic_version table (registrytool does not need it).
Up to date.
"""


def test_status_shows_versions_and_releases_of_a_current_registry(registry: Registry, run: Run) -> None:
    outcome = run("status", "repo")

    assert outcome.stdout == CURRENT.format(label=registry.label, rule=RULE * 109)
    assert outcome.stderr == ""
    assert outcome.exit_code == 0


def test_status_exits_with_4_when_steps_are_pending(old_registry: Registry, run: Run) -> None:
    outcome = run("status", "repo")

    assert (
        " datasets            ByDimensionsDatasetRecordStorageManagerUUID   1.0.0     2.0.0          1 "
        in outcome.stdout
    )
    assert (
        " dimensions-config   daf_butler                                    7         8              1 "
        in outcome.stdout
    )
    assert outcome.stdout.endswith("\n2 steps are pending; 'registrytool migrate repo --plan' shows them.\n")
    assert (outcome.exit_code, outcome.stderr) == (4, "")


def test_status_of_one_pending_step_is_in_the_singular(registry_at: Callable[..., Registry], run: Run) -> None:
    registry_at("newest", "datasets=1.0.0")

    outcome = run("status", "repo")

    assert outcome.stdout.endswith("\n1 step is pending; 'registrytool migrate repo --plan' shows it.\n")
    assert outcome.exit_code == 4


def test_status_as_json_has_the_names_of_the_fields(old_registry: Registry, run: Run) -> None:
    outcome = run("status", "repo", "--format", "json")

    answer = json.loads(outcome.stdout)
    assert list(answer) == [
        "format_version",
        "registry",
        "dialect",
        "namespace",
        "components",
        "pending",
        "readers",
        "writers",
        "notes",
        "current",
    ]
    assert answer["format_version"] == 1
    assert (answer["registry"], answer["dialect"]) == ("repo", old_registry.place.dialect)
    assert answer["namespace"] == old_registry.place.namespace
    assert answer["components"][3] == {
        "component": "datasets",
        "implementation": "ByDimensionsDatasetRecordStorageManagerUUID",
        "version": "1.0.0",
        "newest": "2.0.0",
        "pending": 1,
        "revision": "2101fbf51ad3",
        "stamped": False,
    }
    assert answer["pending"] == [
        "datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0",
        "dimensions-config daf_butler 7 -> 8",
    ]
    assert answer["notes"] == ["not stamped: no alembic_version table (registrytool does not need it)"]
    assert answer["current"] is False
    assert (outcome.exit_code, outcome.stderr) == (4, "")


def test_status_shows_which_revisions_are_stamped(registry: Registry, run: Run) -> None:
    run("stamp", "repo")

    outcome = run("status", "repo")

    assert "c0e4f9ab4a5d\n" in outcome.stdout
    assert "*" not in outcome.stdout
    assert "Note" not in outcome.stdout


def test_status_notes_revisions_that_contradict_the_versions(registry: Registry, run: Run) -> None:
    run("stamp", "repo")
    registry.execute("UPDATE {s}alembic_version SET version_num = '2101fbf51ad3' WHERE version_num = '4e2d7a28475b'")

    outcome = run("status", "repo")

    assert (
        "Note: alembic_version contradicts butler_attributes, and nothing can be migrated: 2101fbf51ad3.\n"
        in outcome.stdout
    )
    assert outcome.exit_code == 0


@pytest.mark.parametrize("command", ["status", "verify", "log"])
def test_a_universe_of_a_namespace_that_is_not_known_is_no_fault(registry: Registry, run: Run, command: str) -> None:
    universe = json.loads(registry.value("config:dimensions.json"))
    registry.set_value("config:dimensions.json", json.dumps({**universe, "namespace": "pfs", "version": 2}))

    outcome = run(command, "repo")

    assert (outcome.exit_code, outcome.stderr) == (0, "")


# -- log ----------------------------------------------------------------------


def test_log_of_a_registry_to_which_nothing_was_done_is_empty(registry: Registry, run: Run) -> None:
    assert run("log", "repo") == (0, "Nothing is recorded.\n", "")
    outcome = run("log", "repo", "--format", "json")
    assert json.loads(outcome.stdout) == {"format_version": 1, "registry": "repo", "entries": []}


def test_log_shows_what_was_done(old_registry: Registry, run: Run) -> None:
    assert run("migrate", "repo", "--no-backup").exit_code == 0

    outcome = run("log", "repo")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  migrate  by \S+@\S+ with registrytool \S+\n"
        r"    datasets ByDimensionsDatasetRecordStorageManagerUUID 1\.0\.0 -> 2\.0\.0  \(\d+\.\d s\)\n"
        r"    dimensions-config daf_butler 7 -> 8  \(\d+\.\d s\)\n",
        outcome.stdout,
    )
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    (entry,) = json.loads(run("--format", "json", "log", "repo").stdout)["entries"]
    assert list(entry) == ["when", "operation", "who", "tool", "details"]
    assert entry["operation"] == "migrate"
    assert entry["details"]["steps"] == [
        "datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0",
        "dimensions-config daf_butler 7 -> 8",
    ]


def test_log_works_for_a_registry_that_is_too_new(registry: Registry, run: Run) -> None:
    registry.rename_value("version:%datasets%", "99.0.0")

    assert run("log", "repo") == (0, "Nothing is recorded.\n", "")


# -- stamp --------------------------------------------------------------------

STAMPS = [
    "035dcf13ef18",
    "4e2d7a28475b",
    "77e5b803ad3f",
    "8c57494cabcc",
    "a81dddabd837",
    "aa7a2f893cba",
    "c0e4f9ab4a5d",
]


def test_stamp_writes_the_revisions_of_the_versions(registry: Registry, run: Run) -> None:
    outcome = run("stamp", "repo")

    assert outcome == (0, "".join(f"{revision}  added\n" for revision in STAMPS), "")
    assert run("stamp", "repo") == (0, "The revisions are right already.\n", "")


def test_stamp_as_json_has_the_revisions_before_and_after(registry: Registry, run: Run) -> None:
    outcome = run("stamp", "repo", "--format", "json")

    assert json.loads(outcome.stdout) == {"format_version": 1, "registry": "repo", "before": [], "after": STAMPS}
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_stamp_refuses_revisions_that_contradict_the_versions_unless_told_to_purge(
    registry: Registry, run: Run
) -> None:
    run("stamp", "repo")
    registry.execute("UPDATE {s}alembic_version SET version_num = '2101fbf51ad3' WHERE version_num = '4e2d7a28475b'")
    before = registry.trace()

    refused = run("stamp", "repo")

    assert refused == (
        3,
        "",
        (
            "Error: The revisions in alembic_version contradict the versions in butler_attributes: 2101fbf51ad3 "
            "belongs to "
            "none of them. Find out which is right; 'registrytool stamp --purge' rewrites the revisions from the "
            "versions.\n"
        ),
    )
    assert registry.trace() == before
    purged = run("stamp", "repo", "--purge")
    assert purged.exit_code == 0
    assert "2101fbf51ad3  removed\n" in purged.stdout
    assert "4e2d7a28475b  added\n" in purged.stdout
    assert "035dcf13ef18  kept\n" in purged.stdout


def test_stamp_refuses_a_structure_that_is_not_what_the_versions_promise(registry: Registry, run: Run) -> None:
    registry.execute("ALTER TABLE {s}visit DROP COLUMN azimuth")
    before = registry.trace()

    outcome = run("stamp", "repo")

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
