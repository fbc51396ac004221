"""What the tests' own options say and do; each test runs pytest once more, on a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import pytest

def test_unit(): pass

def test_server(postgres): pass

@pytest.mark.postgresql
def test_marked(): pass

def test_both(dialect): pass

@pytest.mark.client
def test_client(): pass
"""


@pytest.fixture
def folder(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """Make a folder with some tests and the options of this one."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


def run_pytest(folder: Path, config: pytest.Config, *options: str, **environment: str) -> list[str]:
    """Run pytest there with the configuration of the project; return the lines it wrote."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(config.inipath),
        "--rootdir",
        str(config.rootpath),
        str(folder),
    ]
    hidden = {
        "PATH": str(folder),
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "PYTEST_ADDOPTS": "",
        "PY_COLORS": "0",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRYTOOL_TEST_")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options],
        cwd=config.rootpath,
        env=kept | hidden | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_was_left_out_on_purpose_is_said_in_the_last_line(
    folder: Path, pytestconfig: pytest.Config, workers: str
) -> None:
    lines = run_pytest(folder, pytestconfig, "--no-postgresql", "--no-client", "-n", workers)

    assert lines[-2] == (
        "Left out on purpose: 3 on PostgreSQL (--no-postgresql), 1 with the Butler client (--no-client)."
    )
    assert "2 passed" in lines[-1]
    assert "PostgreSQL: left out (--no-postgresql)" in lines
    assert "Butler client: left out (--no-client)" in lines


def test_nothing_is_said_when_nothing_is_left_out(folder: Path, pytestconfig: pytest.Config) -> None:
    lines = run_pytest(folder, pytestconfig, "-k", "unit")

    assert "Left out" not in "\n".join(lines)


def test_m_selects_tests_by_what_their_fixtures_need(folder: Path, pytestconfig: pytest.Config) -> None:
    lines = run_pytest(folder, pytestconfig, "-m", "not postgresql and not client")

    assert "2 passed, 4 deselected" in lines[-1]


def test_client_tests_fail_without_a_client(folder: Path, pytestconfig: pytest.Config) -> None:
    lines = run_pytest(folder, pytestconfig, "-m", "client")

    assert any(
        line.startswith("No Butler client for the tests: neither --client nor REGISTRYTOOL_TEST_CLIENT names")
        for line in lines
    )
    assert "1 error" in lines[-1]


def test_client_tests_fail_when_the_environment_has_no_client(folder: Path, pytestconfig: pytest.Config) -> None:
    lines = run_pytest(folder, pytestconfig, "-m", "client", "--client", sys.executable)

    assert f"Butler client: {sys.executable} has no package lsst-daf-butler" in lines
    assert "1 error" in lines[-1]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_tests_fail_when_the_server_does_not_answer(folder: Path, pytestconfig: pytest.Config, workers: str) -> None:
    url = "postgresql://somebody:secret@127.0.0.1:1/postgres"
    lines = run_pytest(folder, pytestconfig, "-k", "server or unit", "-n", workers, REGISTRYTOOL_TEST_POSTGRES_URL=url)

    assert any(line.startswith("No PostgreSQL server for the tests: the server of REGISTRYTOOL_TEST") for line in lines)
    assert "1 passed, 1 error" in lines[-1] or "1 passed, 4 deselected, 1 error" in lines[-1]
    assert "secret" not in "\n".join(lines)
