"""``registrytool history``, ``releases`` and ``schema``: what the content says, without a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Registry
    from tests.support.places import Run

RULE = "─"


def cells(text: str) -> list[list[str]]:
    """Split the rows of tables at their columns."""
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in text.splitlines()]


def test_history_lists_the_steps_of_a_component(run: Run) -> None:
    outcome = run("history", "datastores")

    first, header, rule, *rows, last = outcome.stdout.splitlines()
    assert (first, last, set(rule)) == ("", "", {" ", RULE})
    assert "\n".join([header, *rows]) == (
        " component    implementation                             version   revision       after          way "
        "back   summary\n"
        " datastores                                                        6e7967ca2f9c                             "
        "Root of the tree of datastores\n"
        " datastores   MonolithicDatastoreRegistryBridgeManager   0.1.0     bb8b5df7ff80   6e7967ca2f9c              "
        "Datastore bridge 0.1.0, where registries begin\n"
        " datastores   MonolithicDatastoreRegistryBridgeManager   0.2.0     a07b3b60e369   bb8b5df7ff80   no         "
        "Permit names of datastores of any length\n"
        " datastores   MonolithicDatastoreRegistryBridgeManager   0.2.1     a81dddabd837   a07b3b60e369   yes        "
        "Key the trash by dataset first"
    )
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_history_as_json_has_one_entry_for_each_revision(run: Run) -> None:
    answer = json.loads(run("history", "--format", "json").stdout)

    assert list(answer) == ["format_version", "revisions"]
    assert answer["format_version"] == 1
    (found,) = [r for r in answer["revisions"] if r["revision"] == "a81dddabd837"]
    assert {k: found[k] for k in ("component", "version", "down_revision", "kind", "reversible")} == {
        "component": "datastores",
        "version": "0.2.1",
        "down_revision": "a07b3b60e369",
        "kind": "step",
        "reversible": True,
    }


def test_history_refuses_a_component_that_does_not_exist(run: Run) -> None:
    assert run("history", "nonsense") == (
        2,
        "",
        (
            "Error: There is no component 'nonsense'. The components are attributes, dimensions, collections, "
            "datasets, "
            "datastores, opaque, dimensions-config, obscore, obscore-config.\n"
        ),
    )


def test_releases_shows_what_a_release_makes(run: Run) -> None:
    outcome = run("releases", "26.0")

    assert cells(outcome.stdout)[0] == ["26.0 makes the versions of w_2023_32:"]
    assert ["datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0"] in cells(outcome.stdout)
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_releases_without_a_name_lists_all(run: Run) -> None:
    outcome = run("releases")

    rows = cells(outcome.stdout)
    assert rows[1][:3] == ["release", "attributes", "collections"]
    assert rows[3][0] == "w_2020_32"
    assert "26.0" in {row[0] for row in rows if row}
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    answer = json.loads(run("releases", "--format", "json").stdout)
    assert list(answer) == ["format_version", "releases"]
    assert answer["releases"][0]["name"] == "w_2020_32"


def test_releases_refuses_a_release_that_is_not_known(run: Run) -> None:
    assert run("releases", "w_2019_01") == (
        3,
        "",
        "Error: There is no Butler release w_2019_01 in the schema content. The first week is w_2020_32.\n",
    )


# -- schema -----------------------------------------------------------------------


def test_schema_show_lists_tables(run: Run) -> None:
    outcome = run("schema", "show", "w_2023_10")

    rows = cells(outcome.stdout)
    assert rows[1] == ["table", "columns", "primary key", "foreign keys", "indexes"]
    assert ["butler_attributes", "2", "name", "0", "0"] in rows
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_schema_show_of_one_table_shows_its_parts(run: Run) -> None:
    outcome = run("schema", "show", "--table", "dataset_location", "--dialect", "postgresql")

    rows = cells(outcome.stdout)
    assert rows[1] == ["object", "name", "definition"]
    assert [row[:2] for row in rows if row[:1] == ["column"]] == [
        ["column", "datastore_name"],
        ["column", "dataset_id"],
    ]
    answer = json.loads(run("schema", "show", "--table", "dataset_location", "--format", "json").stdout)
    assert list(answer) == ["format_version", "target", "state", "structure", "live", "registry"]
    assert list(answer["structure"]["tables"]) == ["dataset_location"]


def test_schema_show_of_a_registry_is_that_of_its_versions(registry: Registry, run: Run) -> None:
    dialect = registry.place.dialect
    live = run("schema", "show", "./repo")

    assert live.stdout == run("schema", "show", "--dialect", dialect).stdout
    assert (live.exit_code, live.stderr) == (0, "")
    assert run("schema", "diff", "./repo", "newest") == (0, "No difference.\n", "")


def test_schema_show_refuses_a_table_that_does_not_exist(run: Run) -> None:
    assert run("schema", "show", "--table", "nonsense") == (
        2,
        "",
        "Error: There is no table nonsense in newest. 'registrytool schema show' without --table lists the tables.\n",
    )


def test_schema_diff_shows_what_differs_and_exits_with_4(run: Run) -> None:
    outcome = run("schema", "diff", "dimensions-config=6", "dimensions-config=7")

    rows = cells(outcome.stdout)
    assert rows[1] == ["table", "object", "name", "what", "dimensions-config=6", "dimensions-config=7"]
    assert rows[3][:4] == ["exposure", "column", "can_see_sky", "unexpected"]
    assert (outcome.exit_code, outcome.stderr) == (4, "")
    as_json = run("schema", "diff", "dimensions-config=6", "dimensions-config=7", "--format", "json")
    answer = json.loads(as_json.stdout)
    assert (answer["a"], answer["b"]) == ("dimensions-config=6", "dimensions-config=7")
    assert [d["name"] for d in answer["differences"]] == ["can_see_sky"]
    assert as_json.exit_code == 4


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_schema_sql_prints_statements(dialect: str, run: Run) -> None:
    outcome = run("schema", "sql", "--dialect", dialect)

    assert 'CREATE TABLE "group" (' in outcome.stdout
    assert outcome.stdout.endswith(";\n")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    answer = json.loads(run("schema", "sql", "--dialect", dialect, "--format", "json").stdout)
    assert (answer["format_version"], answer["dialect"]) == (1, dialect)
    assert ";\n\n".join(answer["statements"]) + ";\n" == outcome.stdout


def test_content_of_another_project_must_be_complete(run: Run) -> None:
    Path("mine/schemas").mkdir(parents=True)

    assert run("history", "--content", "mine") == (
        2,
        "",
        "Error: There are no folders schemas/ and alembic/ in mine. Name the folder that holds both with --content.\n",
    )
