"""``registrytool migrate``."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Registry
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

STEPS = (
    "datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0",
    "dimensions-config daf_butler 7 -> 8",
)
SUMMARY = f"""\
repo: 2 steps
  {STEPS[0]}: Keep ingest dates as TAI nanoseconds instead of UTC timestamps
  {STEPS[1]}: Add dimensions of solar system processing
"""
RULE = "─"


def stopped(text: str) -> str:
    """Return output with all times stopped."""
    return re.sub(r"\d+\.\d s", "0.0 s", re.sub(r"backup-\d{8}T\d{6}Z(-\d+)?", "backup-TIME", text))


# -- up -------------------------------------------------------------------------


def test_migrate_goes_to_the_newest_versions_and_says_what_it_did(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--backup", "kept")

    assert stopped(outcome.stdout) == (
        "\n"
        " step                                                                  time\n"
        f" {RULE * 75}\n"
        f" {STEPS[0]}   0.0 s\n"
        f" {STEPS[1]}                                   0.0 s\n"
        "\n"
        "Backup: kept\n"
        "repo: migrated and verified in 0.0 s.\n"
    )
    assert stopped(outcome.stderr) == (
        f"{SUMMARY}"
        "backing up to kept ...\n"
        f"[1/2] {STEPS[0]} ...\n"
        f"    {STEPS[0]} done in 0.0 s, not committed yet\n"
        f"[2/2] {STEPS[1]} ...\n"
        f"    {STEPS[1]} done in 0.0 s, not committed yet\n"
        "committing ...\n"
    )
    assert outcome.exit_code == 0
    assert run("status", "repo").exit_code == 0
    assert run("verify", "repo").exit_code == 0


def test_migrate_of_a_current_registry_does_nothing(registry: Registry, run: Run) -> None:
    before = registry.trace()

    assert run("migrate", "repo") == (0, "repo is there already: nothing to do.\n", "")
    assert run("migrate", "repo", "--plan") == (0, "repo is there already: nothing to do.\n", "")
    assert run("migrate", "repo", "--sql") == (0, "-- repo is there already: nothing to do.\n", "")
    assert registry.trace() == before


def test_quiet_leaves_the_progress_out(old_registry: Registry, run: Run) -> None:
    outcome = run("-q", "migrate", "repo", "--no-backup", "--to", "dimensions-config=8")

    assert outcome.stderr == f"repo: 1 step\n  {STEPS[1]}: Add dimensions of solar system processing\n"
    assert outcome.exit_code == 0


def test_migrate_as_json_has_the_names_of_the_fields(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--no-backup", "--format", "json")

    answer = json.loads(outcome.stdout)
    assert list(answer) == [
        "format_version",
        "registry",
        "plan",
        "work",
        "repairs",
        "applied",
        "warnings",
        "backup",
        "elapsed_s",
        "step_s",
    ]
    assert (answer["applied"], answer["backup"], answer["repairs"]) == (True, None, [])
    assert [item["step"]["revision"] for item in answer["work"]] == ["4e2d7a28475b", "aa7a2f893cba"]
    assert len(answer["step_s"]) == 2
    assert outcome.exit_code == 0


def test_migrate_asks_before_it_changes_anything(
    old_registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registrytool.cli._output.is_interactive", lambda: True)
    before = old_registry.trace()

    assert run("migrate", "repo", stdin="no\n") == (
        3,
        "",
        f"{SUMMARY}Migrate repo? [y/N]: Nothing was changed.\n",
    )
    assert old_registry.trace() == before
    agreed = run("migrate", "repo", "--no-backup", "--to", "dimensions-config=8", stdin="y\n")
    assert agreed.exit_code == 0
    forced = run("migrate", "repo", "--no-backup", "--yes")
    assert forced.exit_code == 0
    assert "?" not in forced.stderr


def test_migrate_goes_to_a_release_and_to_versions(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--no-backup", "--to", "w_2026_43", "--to", "datasets=1.0.0")

    assert outcome.exit_code == 0
    assert [line for line in outcome.stderr.splitlines() if line.startswith("[")] == [f"[1/1] {STEPS[1]} ..."]


def test_migrate_repairs_known_drift_on_the_way(registry: Registry, run: Run) -> None:
    registry.execute("DROP INDEX {s}visit_fkidx_instrument_day_obs")

    plan = run("migrate", "repo", "--plan")
    outcome = run("migrate", "repo", "--no-backup")

    assert plan == (
        4,
        "repo: 0 steps\n  first, known drift is repaired: visit-without-day-obs\n",
        "",
    )
    assert stopped(outcome.stdout) == (
        "Repaired known drift: visit-without-day-obs.\nrepo: migrated and verified in 0.0 s.\n"
    )
    assert outcome.exit_code == 0
    assert run("verify", "repo").exit_code == 0


# -- down -----------------------------------------------------------------------


def test_migrate_goes_back_when_told(registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--no-backup", "--to", "dimensions-config=6")

    assert outcome.exit_code == 0
    assert outcome.stderr.startswith(
        "repo: 2 steps\n"
        "  dimensions-config daf_butler 8 -> 7: Undo: Add dimensions of solar system processing\n"
        "  dimensions-config daf_butler 7 -> 6: Undo: Say of exposures whether they can see the sky\n"
    )
    assert run("verify", "repo").exit_code == 0


def test_migrate_refuses_to_lose_information_unless_that_is_accepted(registry: Registry, run: Run) -> None:
    registry.execute("INSERT INTO {s}ssp_hypothesis_table (name) VALUES ('mine')")
    before = registry.trace()

    refused = run("migrate", "repo", "--no-backup", "--to", "dimensions-config=7")

    assert refused.exit_code == 3
    assert refused.stdout == ""
    (sentence,) = [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]
    assert "--accept-loss" in sentence
    assert registry.trace() == before
    accepted = run("migrate", "repo", "--no-backup", "--to", "dimensions-config=7", "--accept-loss")
    assert accepted.exit_code == 0
    assert run("verify", "repo").exit_code == 0


def test_migrate_refuses_a_way_back_that_does_not_exist(registry_at: Callable[..., Registry], run: Run) -> None:
    registry = registry_at("newest")
    before = registry.trace()

    outcome = run("migrate", "repo", "--to", "collections=1.0.0")

    assert outcome.exit_code == 3
    assert outcome.stdout == ""
    assert outcome.stderr.startswith(
        "Error: There is no way for collections from SynthIntKeyCollectionManager 2.0.0 to "
        "SynthIntKeyCollectionManager 1.0.0: there is no way back over synth_int_v1_0_0_to_v2_0_0_doc.py. "
    )
    assert outcome.stderr.count("\n") == 1
    assert registry.trace() == before


# -- plan and SQL -----------------------------------------------------------------


def test_plan_says_what_each_step_does_and_exits_with_4(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--plan", "--to", "dimensions-config=8")

    assert outcome.stdout.startswith(
        f"repo: 1 step\n  {STEPS[1]}: Add dimensions of solar system processing\n\n"
        f"{STEPS[1]}  (revision aa7a2f893cba, up)\n"
        "  Add dimensions of solar system processing.\n"
    )
    assert re.search(r"^ ssp_hypothesis_table +create ", outcome.stdout, re.MULTILINE)
    assert outcome.stdout.endswith("  after it, can be read by w_2021_16 and later; written by w_2021_16 and later\n")
    assert (outcome.exit_code, outcome.stderr) == (4, "")


def test_plan_counts_rows_that_get_new_values_as_written_again(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--plan", "--to", "datasets=2.0.0", "--format", "json")
    (work,) = json.loads(outcome.stdout)["work"]
    assert [(table["table"], table["action"]) for table in work["tables"]] == [("dataset", "rewrite")]


def test_plan_as_json_is_the_report_of_the_run_not_applied(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--plan", "--format", "json")

    answer = json.loads(outcome.stdout)
    assert (answer["format_version"], answer["applied"], answer["elapsed_s"]) == (1, False, None)
    assert [step["revision"] for step in answer["plan"]["steps"]] == ["4e2d7a28475b", "aa7a2f893cba"]
    assert (outcome.exit_code, outcome.stderr) == (4, "")


def test_sql_prints_a_script_with_the_statements_of_each_step(old_registry: Registry, run: Run) -> None:
    outcome = run("migrate", "repo", "--sql", "--to", "dimensions-config=8")

    lines = outcome.stdout.splitlines()
    assert lines[0] == "-- Migration of repo, written by registrytool 0.1.0."
    assert [line for line in lines if line.startswith("-- Step")] == [f"-- Step {step}" for step in STEPS[1:]]
    assert any(line.startswith("CREATE TABLE") and "ssp_hypothesis_table" in line for line in lines)
    assert "COMMIT;" in lines[-2:]
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    answer = json.loads(run("migrate", "repo", "--sql", "--format", "json").stdout)
    assert list(answer) == ["format_version", "registry", "dialect", "steps", "script"]
    names = [step["name"].removeprefix("Step ") for step in answer["steps"]]
    assert [name for name in names if name in STEPS] == list(STEPS)
    assert all(f"{statement};" in answer["script"] for step in answer["steps"] for statement in step["statements"])


# -- options of steps ---------------------------------------------------------------


def test_a_step_that_needs_an_option_says_so_before_anything_is_written(
    registry_at: Callable[..., Registry], run: Run
) -> None:
    registry = registry_at("newest", "dimensions-config=1")
    before = registry.trace()

    assert run("migrate", "repo") == (
        2,
        "",
        (
            "Error: The step dimensions-config daf_butler 1 -> 2 needs the option has_simulated: Whether the "
            "exposures have "
            "simulated signal: 0 or 1. Set it with --set has_simulated=VALUE.\n"
        ),
    )
    wrong = run("migrate", "repo", "--no-backup", "--set", "has_simulated=perhaps")
    assert wrong.exit_code == 2
    assert wrong.stdout == ""
    assert "has_simulated" in wrong.stderr.splitlines()[-1]
    assert "perhaps" in wrong.stderr.splitlines()[-1]
    assert registry.trace() == before
    right = run("migrate", "repo", "--no-backup", "--set", "has_simulated=0", "--to", "dimensions-config=2")
    assert right.exit_code == 0


BAD_OPTIONS = [
    (
        ["--set", "has_simulated"],
        2,
        (
            "The option --set has_simulated does not have the form KEY=VALUE. 'registrytool migrate --plan' shows "
            "the options "
            "of each step."
        ),
    ),
    (
        ["--set", "=1"],
        2,
        (
            "The option --set =1 does not have the form KEY=VALUE. 'registrytool migrate --plan' shows the "
            "options of each "
            "step."
        ),
    ),
    (["--plan", "--sql"], 2, "The options --plan and --sql exclude each other. Leave one of them out."),
    (
        ["--backup", "kept", "--no-backup"],
        2,
        "The options --backup and --no-backup exclude each other. Leave one of them out.",
    ),
    (
        ["--to", "nonsense=1"],
        2,
        (
            "There is no component 'nonsense'. The components are attributes, dimensions, collections, datasets, "
            "datastores, "
            "opaque, dimensions-config, obscore, obscore-config."
        ),
    ),
    (
        ["--to", "dimensions-config=99"],
        3,
        (
            "There is no version of dimensions-config daf_butler 99 in the schema content. Known: 0, 1, 2, 3, 4, 5, "
            "6, 7, 8. "
            "It is newer than this registrytool: upgrade registrytool."
        ),
    ),
    (
        ["--to", "nonsense"],
        3,
        (
            "There is no Butler release nonsense in the schema content. Releases look like w_2026_43, 30.2026.4300 or "
            "30.0.11."
        ),
    ),
]


def test_migrate_refuses_to_begin_when_butler_yaml_cannot_be_written(old_registry: Registry, run: Run) -> None:
    # Not even the superuser writes a file over a folder.
    (old_registry.folder / ".butler.yaml.new").mkdir()
    before = old_registry.trace()
    outcome = run("migrate", "repo", "--no-backup", "--to", "collections=NameKeyCollectionManager/2.0.0")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == (
        f"Error: The migration changes butler.yaml as well, and {old_registry.folder.resolve() / 'butler.yaml'} cannot "
        "be written: Is a directory. Make it writable; or name the registry by its URL, and change the file by hand "
        "afterwards."
    )
    assert old_registry.trace() == before


@pytest.mark.parametrize(("options", "code", "sentence"), BAD_OPTIONS, ids=[" ".join(case[0]) for case in BAD_OPTIONS])
def test_migrate_refuses_bad_options_in_one_sentence(
    options: list[str], code: int, sentence: str, old_registry: Registry, run: Run
) -> None:
    before = old_registry.trace()

    assert run("migrate", "repo", *options) == (code, "", f"Error: {sentence}\n")
    assert old_registry.trace() == before


def test_migrate_refuses_an_option_that_no_step_has(old_registry: Registry, run: Run) -> None:
    before = old_registry.trace()

    outcome = run("migrate", "repo", "--set", "nonsense=1")

    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: No step has an option nonsense. Known options: ")
    assert outcome.stderr.count("\n") == 1
    assert old_registry.trace() == before


def test_migrate_refuses_to_change_a_universe_of_another_namespace(old_registry: Registry, run: Run) -> None:
    universe = json.loads(old_registry.value("config:dimensions.json"))
    old_registry.set_value("config:dimensions.json", json.dumps({**universe, "namespace": "pfs", "version": 2}))
    before = old_registry.trace()

    plan = run("migrate", "repo", "--plan")
    same = run("migrate", "repo", "--to", "dimensions-config=3")
    ours = run("migrate", "repo", "--to", "dimensions-config=daf_butler/8")

    assert plan.exit_code == 4
    assert "dimensions-config" not in plan.stdout
    assert same == (
        3,
        "",
        (
            "Error: There is no dimensions-config namespace pfs in the schema content. Known: daf_butler. Other schema "
            "content is named with --content.\n"
        ),
    )
    assert ours == (
        3,
        "",
        (
            "Error: There is no way for dimensions-config from pfs 2 to daf_butler 8: no step changes the "
            "implementation "
            "like this. 'registrytool history' lists the steps there are.\n"
        ),
    )
    assert old_registry.trace() == before


# -- backup -------------------------------------------------------------------------


def test_the_backup_is_made_beside_the_registry_and_restores_the_old_state(
    old_registry: Registry, run: Run, request: pytest.FixtureRequest
) -> None:
    old = run("status", "repo").stdout

    outcome = run("migrate", "repo")

    (backup,) = (Path(line.removeprefix("Backup: ")) for line in outcome.stdout.splitlines() if "Backup: " in line)
    assert backup.parent == old_registry.folder
    if old_registry.place.dialect == "sqlite":
        assert stopped(backup.name) == "gen3.sqlite3.backup-TIME"
        shutil.copy(backup, old_registry.file)
    else:
        database = sa.make_url(old_registry.place.url).database
        assert stopped(backup.name) == f"{database}-registry.backup-TIME.dump"
        server: PostgresServer = request.getfixturevalue("postgres")
        restored = sa.make_url(server.new_database())
        environment = {**os.environ, "PGPASSWORD": str(restored.password)}
        address = restored.set(drivername="postgresql")._replace(password=None).render_as_string()
        subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={address}", backup], env=environment, check=True)
        config = old_registry.folder / "butler.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(str(database), str(restored.database)), encoding="utf-8")
        request.addfinalizer(lambda: server.drop_database(restored.render_as_string(hide_password=False)))
    assert run("status", "repo").stdout == old
    assert run("verify", "repo").exit_code == 0


def test_the_backup_goes_where_it_is_told_and_overwrites_nothing(old_registry: Registry, run: Run) -> None:
    Path("kept").write_text("precious", encoding="utf-8")
    Path("folder").mkdir()
    before = old_registry.trace()

    taken = run("migrate", "repo", "--backup", "kept")
    nowhere = run("migrate", "repo", "--backup", "nowhere/kept")

    assert taken == (
        2,
        "",
        f"{SUMMARY}Error: The backup kept exists already. Name another file with --backup.\n",
    )
    assert nowhere == (
        2,
        "",
        (
            f"{SUMMARY}Error: The backup nowhere/kept cannot be made: there is no folder nowhere. Make it, or "
            "name another "
            "file with --backup.\n"
        ),
    )
    assert Path("kept").read_text(encoding="utf-8") == "precious"
    assert old_registry.trace() == before
    assert run("migrate", "repo", "--backup", "folder").exit_code == 0
    assert len(list(Path("folder").iterdir())) == 1


def test_a_backup_can_be_read_by_nobody_who_cannot_read_the_registry(old_registry: Registry, run: Run) -> None:
    if old_registry.place.dialect == "sqlite":
        old_registry.file.chmod(0o600)

    run("migrate", "repo", "--backup", "kept")

    assert Path("kept").stat().st_mode & 0o077 == 0


def test_a_backup_that_fails_leaves_everything_as_it_was(
    old_registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Path("bin/pg_dump")
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'pg_dump: error: out of luck' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent.absolute()), prepend=os.pathsep)
    if old_registry.place.dialect == "sqlite":
        Path("kept.part").mkdir()  # where SQLite would write
    before = old_registry.trace()

    outcome = run("migrate", "repo", "--backup", "kept")

    assert outcome.exit_code == 3
    assert outcome.stdout == ""
    assert outcome.stderr.startswith(f"{SUMMARY}backing up to kept ...\nError: The backup")
    if old_registry.place.dialect == "sqlite":
        assert outcome.stderr.endswith(
            "Error: The backup to kept failed: Is a directory. Nothing was changed. Name another place with --backup.\n"
        )
    else:
        assert outcome.stderr.endswith(
            "Error: The backup failed: pg_dump: error: out of luck. Nothing was changed. Make a backup yourself "
            "and say "
            "--no-backup, or mend what is wrong.\n"
        )
    assert not Path("kept").exists()
    assert old_registry.trace() == before


def test_migrate_refuses_when_pg_dump_is_missing(
    old_registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    outcome = run("migrate", "repo", "--to", "dimensions-config=8")

    if old_registry.place.dialect == "sqlite":
        assert outcome.exit_code == 0
    else:
        assert outcome.exit_code == 2
        assert outcome.stderr.endswith(
            "Error: No backup can be made: pg_dump is not installed. Install the PostgreSQL client, or make a backup "
            "yourself and say --no-backup.\n"
        )


def test_backup_takes_another_name_when_one_of_this_second_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registrytool import backup
    from registrytool.database import Database
    from registrytool.repository import database_url

    class Standing(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Standing:
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(datetime, "datetime", Standing)
    sqlite = Database(database_url(f"sqlite:///{tmp_path}/gen3.sqlite3"))
    postgresql = Database(database_url("postgresql://host/db"), "ns")
    for name in ("gen3.sqlite3.backup-20260102T030405Z", "db-ns.backup-20260102T030405Z.dump"):
        (tmp_path / name).touch()

    names = [backup.backup_path(database, tmp_path, None).name for database in (sqlite, postgresql)]

    assert names == ["gen3.sqlite3.backup-20260102T030405Z-2", "db-ns.backup-20260102T030405Z-2.dump"]
