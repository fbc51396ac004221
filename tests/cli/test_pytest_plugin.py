"""What the plug-in of pytest gives to other projects; each test runs pytest in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
THIRD_PARTY = ROOT / "tests/data/thirdparty"


def run_pytest(folder: Path, *arguments: object) -> str:
    """Run pytest as another project would, and return what it prints."""
    # An installation that is older than the entry point has to be told.
    known = any(e.name == "registrytool" for e in entry_points(group="pytest11"))
    plugin = [] if known else ["-p", "registrytool.pytest_plugin"]
    (folder / "pytest.ini").touch()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return done.stdout + done.stderr


def test_registries_of_any_state_are_given_and_independent(tmp_path: Path, postgres: PostgresServer) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import pytest
import sqlalchemy as sa

@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_states(registry_at, dialect):
    registry = registry_at("27.0", dialect, rows=True)
    assert registry.state["dimensions-config"].version == "7"
    exposure = sa.table("exposure", schema=registry.namespace)
    with registry.database.write("a test") as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(exposure)) > 0
        connection.execute(sa.delete(sa.table("file_datastore_records", schema=registry.namespace)))
    other = registry_at("27.0", dialect, rows=True)
    records = sa.table("file_datastore_records", schema=other.namespace)
    with other.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(records)) > 0
    assert other.url != registry.url

def test_several_targets(registry_at):
    registry = registry_at(["27.0", "dimensions-config=4"])
    assert registry.state["dimensions-config"].version == "4"
    assert registry.namespace is None
"""
    )
    found = run_pytest(tmp_path, "--registrytool-postgresql", postgres.admin_url)
    assert "3 passed" in found, found


@pytest.mark.slow
def test_claims_about_third_party_content_hold(tmp_path: Path, postgres: PostgresServer) -> None:
    found = run_pytest(
        tmp_path, "--registrytool-content", THIRD_PARTY, "--registrytool-postgresql", postgres.admin_url, "-rA"
    )
    assert " failed" not in found, found
    assert "test_step_up_and_down_with_rows_gives_the_snapshots[dimensions-config toy 2-postgresql]" in found
    assert "daf_butler" not in found


def test_claims_fail_for_wrong_content(tmp_path: Path) -> None:
    shutil.copytree(THIRD_PARTY, tmp_path / "content")
    script = tmp_path / "content/alembic/versions/dimensions-config/toy_v1_to_v2_observer.py"
    script.write_text(script.read_text().replace('revision = "844b8b716e27"', 'revision = "844b8b716e28"', 1))
    for path in script.parent.glob("toy_v2_to_v3*.py"):
        path.write_text(path.read_text().replace("844b8b716e27", "844b8b716e28"))
    found = run_pytest(tmp_path, "--registrytool-content", "content", "-k", "identifiers")
    assert "1 failed" in found, found
    assert "test_identifiers_follow_the_rule[dimensions-config toy 2]" in found


def test_claims_can_be_imported(tmp_path: Path) -> None:
    shutil.copytree(THIRD_PARTY, tmp_path / "content")
    (tmp_path / "test_claims.py").write_text("from registrytool.testing.claims import *\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nregistrytool_content = content\n")
    found = run_pytest(tmp_path, "-k", "schema_file or head")
    assert " failed" not in found, found
    assert "passed" in found


def test_a_project_that_does_not_use_the_plugin_pays_one_small_import(tmp_path: Path) -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import registrytool.pytest_plugin; "
        "print(sorted(m for m in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['registrytool', 'registrytool.pytest_plugin']"
