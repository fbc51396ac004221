"""From one configuration of the ObsCore table to another, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registrytool.errors import ConfigurationError, PlanError, RegistryStateError
from registrytool.migrate import MigrateOptions, apply_migration, migration_script, plan_migration
from registrytool.models import ComponentVersion
from registrytool.naming import revision_id
from registrytool.status import registry_status
from registrytool.verify import verify_registry
from tests.support.registries import make, migrate
from tests.support.rows import execute, fill_registry, read_content
from tests.support.scripts import execute_script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place, Run

FIRST = {
    "namespace": "embargo",
    "version": 1,
    "collection_type": "RUN",
    "dataset_types": {
        "raw": {
            "dataproduct_type": "image",
            "calib_level": 1,
            "extra_columns": {"odd 'name' %:": {"template": "{visit}", "type": "int"}},
        }
    },
    "obs_collection": "check",
    "facility_name": "Nowhere",
    "extra_columns": {
        "gone": {"template": "{detector}", "type": "int"},
        "text": {"template": "{band}", "type": "string", "length": 8},
        "number": {"template": "{tract}", "type": "int"},
    },
    "indices": {"by_target": "target_name"},
}
SECOND = {
    **FIRST,
    "version": 2,
    "extra_columns": {
        "text": {"template": "{band}", "type": "string", "length": 64},
        "number": {"template": "{tract}", "type": "string", "length": 16},
        "fixed": "it's ü 100%",
        "whole": 7,
        "true": True,
        "new": {"template": "{patch}", "type": "float"},
    },
    "indices": {"by_id": ["obs_id", "fixed"]},
}
OTHER_TABLE = {**SECOND, "namespace": "oga", "version": 1, "table_name": "Obs Core ü"}


def written(folder: Path, config: Mapping[str, Any]) -> str:
    """Write a configuration down; its name has a blank, as people's files do."""
    path = folder / f"{config['namespace']} {config['version']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(config), allow_unicode=True), encoding="utf-8")
    return str(path)


def wanted(config: Mapping[str, Any]) -> str:
    return f"obscore-config={config['namespace']}/{config['version']}"


def configure(repository: Repository, folder: Path, config: Mapping[str, Any], *, accept_loss: bool = False) -> None:
    options = MigrateOptions(
        (wanted(config),), {"obscore_config": written(folder, config)}, accept_loss=accept_loss, backup=False
    )
    apply_migration(repository, options)


def assert_configured(repository: Repository, config: Mapping[str, Any]) -> None:
    """Check that a registry is what one made with the configuration would be."""
    verification = verify_registry(repository)
    assert verification.differences == ()
    assert verification.notes == ()
    version = ComponentVersion("obscore-config", str(config["namespace"]), str(config["version"]))
    assert verification.state["obscore-config"] == version
    status = {c.component: c.revision for c in registry_status(repository).components}
    assert status["obscore-config"] == revision_id("obscore-config", version.implementation, version.version)
    attributes = dict(read_content(repository)["butler_attributes"].rows)
    stored = json.loads(attributes["config:obscore.json"])
    assert {k: stored[k] for k in config} == dict(config)


@pytest.fixture
def repository(odd_namespace: str, place: Place) -> Repository:
    """Make a registry with an ObsCore table of the first configuration, with rows."""
    del odd_namespace
    made = make(place)
    migrate(made, "obscore=0.0.1", obscore_config=written(place.folder, FIRST))
    fill_registry(made)
    return made


def rows(repository: Repository, table: str = "obscore") -> list[dict[str, Any]]:
    content = read_content(repository)[table]
    found = [dict(zip(content.columns, row, strict=True)) for row in content.rows]
    return sorted(found, key=lambda row: str(row["registry_dataset_id"]))


def test_columns_follow_the_new_configuration_and_rows_stay(repository: Repository, place: Place) -> None:
    before = rows(repository)
    assert before

    configure(repository, place.folder, SECOND, accept_loss=True)

    assert_configured(repository, SECOND)
    after = rows(repository)
    changed = {"gone", "number", "fixed", "whole", "true", "new"}
    kept = [c for c in before[0] if c not in changed]
    assert [{c: row[c] for c in kept} for row in after] == [{c: row[c] for c in kept} for row in before]
    assert {(row["fixed"], row["whole"], bool(row["true"]), row["new"]) for row in after} == {
        ("it's ü 100%", 7, True, None)
    }
    assert "gone" not in after[0]

    configure(repository, place.folder, FIRST, accept_loss=True)

    assert_configured(repository, FIRST)
    again = rows(repository)
    lost = {"gone", "number"}
    assert [{c: v for c, v in row.items() if c not in lost} for row in again] == [
        {c: v for c, v in row.items() if c not in lost} for row in before
    ]
    assert {(row["gone"], row["number"]) for row in again} == {(None, None)}


def test_a_table_of_another_name_takes_the_rows_along(repository: Repository, place: Place) -> None:
    configure(repository, place.folder, SECOND, accept_loss=True)
    before = rows(repository)

    configure(repository, place.folder, OTHER_TABLE)

    assert_configured(repository, OTHER_TABLE)
    assert rows(repository, "Obs Core ü") == before
    assert "obscore" not in read_content(repository)

    configure(repository, place.folder, SECOND)

    assert_configured(repository, SECOND)
    assert rows(repository) == before


def test_values_of_columns_that_go_are_lost_only_if_that_is_accepted(repository: Repository, place: Place) -> None:
    with pytest.raises(RegistryStateError) as caught:
        configure(repository, place.folder, SECOND)
    count = sum(row["gone"] is not None for row in rows(repository))
    assert caught.value.message.startswith(
        f"The step obscore-config embargo 1 -> 2 would lose what {count} rows of obscore have in gone, "
        "such as that of dataset "
    )
    assert_configured(repository, FIRST)


def test_a_script_configures_the_table_as_the_migration_does(repository: Repository, place: Place) -> None:
    options = MigrateOptions((wanted(OTHER_TABLE),), {"obscore_config": written(place.folder, OTHER_TABLE)}, True)
    before = rows(repository)

    execute_script(repository, migration_script(repository, options).text)

    assert_configured(repository, OTHER_TABLE)
    assert len(rows(repository, "Obs Core ü")) == len(before)


def test_a_registry_that_has_the_manager_alone_gets_the_configuration(repository: Repository, place: Place) -> None:
    # The existing migration tool does it in two steps, and may have been stopped between them.
    execute(repository, "DROP TABLE {s}obscore")
    execute(repository, "DELETE FROM {s}butler_attributes WHERE name = 'config:obscore.json'")
    execute(repository, "DELETE FROM {s}alembic_version WHERE version_num = '4fe28ef5030f'")

    configure(repository, place.folder, FIRST)

    assert_configured(repository, FIRST)
    assert rows(repository) == []


def test_a_table_that_the_existing_tool_left_is_in_the_way(repository: Repository, place: Place) -> None:
    execute(repository, "DELETE FROM {s}butler_attributes WHERE name = 'config:obscore.json'")
    execute(repository, "DELETE FROM {s}alembic_version WHERE version_num = '4fe28ef5030f'")

    with pytest.raises(RegistryStateError) as caught:
        configure(repository, place.folder, FIRST)

    assert str(caught.value) == (
        "There is a table obscore already, though the registry has no configuration of it. "
        "Drop it, or let the configuration have another table_name."
    )


def test_the_file_must_be_what_was_asked_for(repository: Repository, place: Place) -> None:
    path = written(place.folder, SECOND)
    options = MigrateOptions(("obscore-config=3",), {"obscore_config": path})
    with pytest.raises(ConfigurationError) as caught:
        plan_migration(repository, options)
    assert str(caught.value) == (
        f"The configuration in {path} is obscore-config embargo 2, and obscore-config embargo 3 was asked for. "
        "Ask for what the file says, or change namespace and version in it."
    )
    changed = {**FIRST, "facility_name": "Elsewhere"}
    path = written(place.folder, changed)
    with pytest.raises(ConfigurationError) as caught:
        plan_migration(repository, MigrateOptions((wanted(changed),), {"obscore_config": path}))
    assert str(caught.value) == (
        f"No step of this plan reads the ObsCore configuration in {path}. The registry has obscore-config embargo 1: "
        "give the new one another version, and name it with --to obscore-config=NAMESPACE/VERSION."
    )
    with pytest.raises(ConfigurationError) as caught:
        plan_migration(repository, MigrateOptions(("obscore-config=2",)))
    assert str(caught.value) == (
        "The step obscore-config embargo 1 -> 2 needs the option obscore_config: YAML file with the configuration of "
        "the ObsCore table. Set it with --set obscore_config=VALUE."
    )
    with pytest.raises(PlanError) as no_way:
        plan_migration(repository, MigrateOptions(("obscore-config=none",)))
    assert str(no_way.value) == (
        "There is no way for obscore-config from embargo 1 to none: no step changes the implementation like this. "
        "'registrytool history' lists the steps there are."
    )


def test_the_command_configures_the_table_and_says_so(repository: Repository, place: Place, run: Run) -> None:
    words = [place.folder, written(place.folder, SECOND), "--accept-loss", "--yes", "--no-backup"]
    words += ["--db", place.url, *(("--namespace", place.namespace) if place.namespace else ())]
    planned = run("obscore", "configure", *words, "--dry-run")
    assert planned.stdout == "The table obscore would be changed (rewrite).\n"
    assert_configured(repository, FIRST)

    done = run("obscore", "configure", *words)

    assert (done.exit_code, done.stdout) == (0, "The table obscore was changed (rewrite).\n")
    assert_configured(repository, SECOND)
