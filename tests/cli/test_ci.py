"""Files for CI services: they are what the services want, and the commands in them work here."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import yaml

from registrytool.cli import app
from tests.unit.check.broken import V2_TO_V3, Broken
from tests.unit.check.conftest import ROOT, THIRD_PARTY, copy_content

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = (ROOT / "docs/how-to/ci.md").read_text()


def snippet(title: str) -> dict[Any, Any]:
    """Return a file of the page about CI."""
    match = re.search(rf'^```yaml title="{re.escape(title)}"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
    assert match is not None, title
    found: dict[Any, Any] = yaml.safe_load(match[1])
    return found


@pytest.fixture
def toy(tmp_path: Path) -> Broken:
    return copy_content(THIRD_PARTY, tmp_path / "a project")


def execute(words: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a service would: in the root of the checkout, with the programs of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRYTOOL_")}
    return subprocess.run(
        words, cwd=folder, env={**environment, "PATH": path, **variables}, capture_output=True, text=True, check=False
    )


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def known_options(command: str) -> set[str]:
    words = shlex.split(command)
    assert words[0] == "registrytool"
    group: Any = typer.main.get_command(app)
    known = {option for p in (*group.params, *group.commands["check"].params) for option in p.opts}
    return {word for word in words if word.startswith("--")} - known


# -- pre-commit ---------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_have_what_pre_commit_wants(hook: Mapping[str, Any]) -> None:
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert hook.keys() <= {
        "id",
        "name",
        "description",
        "entry",
        "args",
        "language",
        "files",
        "pass_filenames",
        "stages",
    }
    assert hook["language"] == "python"
    assert not known_options(hook["entry"])
    pattern = re.compile(hook["files"])
    assert pattern.search("schemas/waivers.yaml")
    assert pattern.search(f"registry/{V2_TO_V3}")
    assert not pattern.search("docs/schemas.md")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run(hook: Mapping[str, Any], toy: Broken) -> None:
    words = [*shlex.split(hook["entry"]), *hook["args"]]
    quick = ["--select", "RT1", "--select", "RT301"]
    assert execute([*words, *quick], toy.root).returncode == 0
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    done = execute([*words, *quick], toy.root)
    assert done.returncode == 4
    assert "RT112" in done.stdout


def test_arguments_of_the_user_win_over_those_of_a_hook(toy: Broken) -> None:
    words = [*shlex.split(HOOKS[0]["entry"]), *HOOKS[0]["args"], "--content", toy.root.name]
    assert execute(words, toy.root.parent).returncode == 0


def test_the_page_names_hooks_that_exist() -> None:
    (repo,) = snippet(".pre-commit-config.yaml")["repos"]
    assert {hook["id"] for hook in repo["hooks"]} == {hook["id"] for hook in HOOKS}


# -- GitHub ---------------------------------------------------------------------------


def test_the_action_has_what_github_wants() -> None:
    assert {"name", "description", "inputs", "runs"} <= ACTION.keys()
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert "run" not in step or step["shell"] == "bash"
    for value in ACTION["inputs"].values():
        assert value["description"]
        assert isinstance(value["default"], str)


def test_scripts_of_the_action_hold_no_inputs() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert not any("${{" in script for script in scripts)
    used = set(re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", json.dumps(ACTION["runs"])))
    assert used == ACTION["inputs"].keys()


def test_the_action_installs_its_own_checkout() -> None:
    (script,) = (s["run"] for s in ACTION["runs"]["steps"] if s["name"].startswith("Install"))
    assert script == 'python -m pip install --quiet "$GITHUB_ACTION_PATH"'


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the last step of the action as GitHub does."""
    given = {name: value["default"] for name, value in ACTION["inputs"].items()} | inputs
    step = ACTION["runs"]["steps"][-1]
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], text)
        for name, text in step["env"].items()
    }
    script = folder.parent / "step.sh"
    script.write_text(step["run"])
    return execute(["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], folder, **variables)


def test_the_action_passes_correct_content(toy: Broken) -> None:
    done = run_action(toy.root, arguments="--static")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((toy.root / "registrytool.sarif").read_text())["runs"][0]["results"] == []


def test_the_action_fails_with_annotations_and_a_report(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    done = run_action(toy.root.parent, arguments="--static", content=toy.root.name)
    assert done.returncode == 4
    assert done.stdout.startswith(f"::error file={toy.root.name}/{V2_TO_V3},line=")
    (result,) = json.loads((toy.root.parent / "registrytool.sarif").read_text())["runs"][0]["results"]
    assert result["ruleId"] == "RT112"


def test_the_action_compares_with_a_revision(toy: Broken) -> None:
    git(toy.root, "init", "--quiet")
    git(toy.root, "add", ".")
    git(toy.root, "commit", "--quiet", "-m", "all")
    assert run_action(toy.root, arguments="--static", against="main").returncode == 0
    done = run_action(toy.root, arguments="--static", against="no-such-branch")
    assert done.returncode == 2
    assert "no-such-branch" in done.stderr


def test_the_action_demands_postgresql(toy: Broken) -> None:
    url = "postgresql://nobody:secret@localhost:1/nothing"
    wanted = {"require-postgresql": "true", "postgresql": url, "arguments": "--select RT300"}
    done = run_action(toy.root, **wanted)
    assert done.returncode == 4
    assert "RT300" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_the_workflow_of_the_page_gives_inputs_that_exist() -> None:
    workflow = snippet(".github/workflows/registry.yaml")
    assert True in workflow  # "on" is a truth value in YAML 1.1, and GitHub knows
    (step,) = (s for s in workflow["jobs"]["check"]["steps"] if "OWNER/REPOSITORY@" in s.get("uses", ""))
    assert step["with"].keys() <= ACTION["inputs"].keys()
    (upload,) = (s for s in workflow["jobs"]["check"]["steps"] if "sarif" in s.get("uses", ""))
    assert upload["with"]["sarif_file"] == ACTION["inputs"]["sarif"]["default"]


# -- GitLab ---------------------------------------------------------------------------


def test_the_script_for_gitlab_runs(toy: Broken) -> None:
    job = snippet(".gitlab-ci.yml")["registry-schema"]
    install, fetch, check = job["script"]
    assert install == "pip install --quiet registrytool"
    assert not known_options(check)
    remote = toy.root.parent / "remote"
    git(toy.root, "init", "--quiet")
    git(toy.root, "add", ".")
    git(toy.root, "commit", "--quiet", "-m", "all")
    git(toy.root.parent, "clone", "--quiet", "--bare", str(toy.root), str(remote))
    git(toy.root, "remote", "add", "origin", str(remote))
    variables = {
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "TARGET": job["variables"]["TARGET"].replace("$CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        "OPTIONS": "--static",
    }
    script = f"{fetch}\n{check}"
    done = execute(["bash", "-e", "-c", script], toy.root, **variables)
    assert done.returncode == 0, done.stderr
    assert (toy.root / job["artifacts"]["reports"]["junit"]).exists()
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    assert execute(["bash", "-e", "-c", script], toy.root, **variables).returncode == 4
