"""The tutorial on new versions is executed, as its reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registrytool.check.lock import LOCK, release
from registrytool.check.server import VARIABLE
from registrytool.config import Content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/tutorial-new-version.md"


def blocks() -> Iterator[tuple[str, str | None, str]]:
    """List the code blocks of the page: language, file name if there is one, text."""
    pattern = r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$'
    for match in re.finditer(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        yield match[1], match[2], match[3]


def assert_shown(expected: str, found: str) -> None:
    """Check output; ``...`` stands for anything, alone for any lines."""
    lines = [re.escape(line.rstrip()).replace(r"\.\.\.", ".*") for line in expected.splitlines()]
    pattern = "\n".join(lines).replace("\n.*\n", r"\n(?:.*\n)*?")
    pattern = re.sub(r"^\.\*\n", r"(?:.*\n)*?", pattern)
    text = "\n".join(line.rstrip() for line in found.splitlines())
    assert re.search(rf"^{pattern}$", text, re.MULTILINE), f"expected:\n{expected}\nfound:\n{found}"


@pytest.mark.slow
def test_tutorial_leads_to_a_checked_version_and_back(tmp_path: Path, postgres: PostgresServer) -> None:
    for name in ("schemas", "alembic"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    # What is in the checkout counts as released: the rest of it is checked by tests of its own.
    (tmp_path / "schemas" / LOCK).unlink(missing_ok=True)
    release(Content.find(tmp_path))
    outside = ("REGISTRYTOOL_", "DAF_BUTLER_", "LSST_DB_", "GIT_", "PYTEST_", "PG")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {VARIABLE: postgres.admin_url, "NO_COLOR": "1", "COLUMNS": "120"}
    # Like a reader's folder it is in no git repository, even if the temporary folder is.
    environment["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    output = ""
    commands = []
    for language, title, text in blocks():
        if title is not None:
            (tmp_path / title).write_text(text, encoding="utf-8")
        elif language == "text":
            assert_shown(text, output)
        elif language == "sh":
            output = ""
            for command in text.splitlines():
                if exported := re.fullmatch(r"export (\w+)=(\S+)", command):
                    environment[exported[1]] = exported[2]
                    continue
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                # Zero also from "registrytool check --unreleased": it has no findings.
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
                output += done.stdout
                commands.append(command)
    assert {"registrytool check --unreleased", "registrytool verify repo"} <= set(commands)
    assert (tmp_path / "project/schemas/dimensions-config/daf_butler/9.yaml").exists()
    assert list(tmp_path.glob("repo/gen3.sqlite3"))


def test_tutorial_can_be_read_and_typed_in_an_hour() -> None:
    text = PAGE.read_text(encoding="utf-8")
    words = len(re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE).split())
    typed = sum(len(body) for language, title, body in blocks() if language == "sh" or title is not None)
    # 150 words and 100 characters a minute are slow.
    assert words / 150 + typed / 100 < 60
