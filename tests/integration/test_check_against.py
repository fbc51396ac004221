"""What a branch changes, and the merge with it, in small git repositories."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from registrytool.check.against import check_against, merge_result, open_base
from registrytool.config import Content
from registrytool.errors import ConfigurationError
from registrytool.naming import revision_id

THIRD_PARTY = Path(__file__).parents[1] / "data" / "thirdparty"
UNIVERSES = "schemas/dimensions-config/toy"
SCRIPTS = "alembic/versions/dimensions-config"


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Return content in a folder of a git repository, on the branch main."""
    root = tmp_path / "project" / "registry"
    shutil.copytree(THIRD_PARTY, root, ignore=shutil.ignore_patterns("__pycache__"))
    git(root.parent, "init", "--quiet")
    commit(root)
    return Content.find(root)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")


def add_version(root: Path, number: int, *, after: int = 3) -> None:
    """Add a version of the universe and the step to it."""
    text = (root / UNIVERSES / f"{after}.yaml").read_text().replace(f"version: {after}", f"version: {number}")
    (root / UNIVERSES / f"{number}.yaml").write_text(text)
    ids = {n: revision_id("dimensions-config", "toy", str(n)) for n in (number, after)}
    (root / SCRIPTS / f"toy_v{after}_to_v{number}_more.py").write_text(
        f'"""Go to {number}."""\n\n'
        f'component, implementation, version = "dimensions-config", "toy", "{number}"\n\n'
        f'revision = "{ids[number]}"\ndown_revision = "{ids[after]}"\nbranch_labels = None\ndepends_on = None\n\n\n'
        "def upgrade(step):\n    step.reshape()\n\n\ndef downgrade(step):\n    step.reshape()\n"
    )


def codes(content: Content, revision: str) -> list[str]:
    return sorted(f.code for f in check_against(content, revision, databases=()).findings)


def test_the_base_is_the_content_at_the_revision(content: Content) -> None:
    add_version(content.root, 4)
    commit(content.root)
    with open_base(content, "HEAD~1") as base:
        assert base is not None
        assert (base.schemas / "dimensions-config" / "toy" / "3.yaml").exists()
        assert not (base.schemas / "dimensions-config" / "toy" / "4.yaml").exists()
        assert base.below == content.below


def test_there_is_no_base_before_the_content_was_there(content: Content) -> None:
    git(content.root, "checkout", "--quiet", "--orphan", "other")
    git(content.root, "rm", "-r", "--cached", "--quiet", ".")
    git(content.root, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    with open_base(content, "HEAD") as base:
        assert base is None


def test_an_unknown_revision_is_refused(content: Content) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"has no git revision 'nowhere'") as caught,
        open_base(content, "nowhere"),
    ):
        pass
    assert caught.value.hint == "Fetch it first, if it is a branch of another clone."


def test_a_folder_outside_of_git_is_refused(tmp_path: Path) -> None:
    shutil.copytree(THIRD_PARTY, tmp_path / "content")
    with (
        pytest.raises(ConfigurationError, match="is not in a working tree of git"),
        open_base(Content.find(tmp_path / "content"), "main"),
    ):
        pass


def test_a_branch_that_has_everything_merges_to_itself(content: Content) -> None:
    add_version(content.root, 4)
    with merge_result(content, "main") as merge:
        assert merge.same
    assert codes(content, "main") == []


def test_what_is_not_committed_counts_and_the_repository_is_not_written_to(content: Content) -> None:
    add_version(content.root, 4)
    before = git(content.root, "count-objects", "-v"), git(content.root, "status", "--porcelain")
    with merge_result(content, "main") as merge:
        assert merge.content is not None
        assert (merge.content.schemas / "dimensions-config" / "toy" / "4.yaml").exists()
    assert before == (git(content.root, "count-objects", "-v"), git(content.root, "status", "--porcelain"))


def test_two_green_branches_that_each_add_a_head_fail_together(content: Content) -> None:
    git(content.root, "checkout", "--quiet", "-b", "mine")
    git(content.root, "checkout", "--quiet", "main")
    add_version(content.root, 4)
    commit(content.root)
    assert codes(content, "mine") == []
    git(content.root, "checkout", "--quiet", "mine")
    # The same number would be a conflict of files; another one is a second head after the same version.
    add_version(content.root, 5)
    commit(content.root)
    alone = codes(content, "HEAD")

    found = check_against(content, "main", databases=()).findings

    heads = [f for f in found if f.code == "RT105"]
    assert "RT105" not in alone
    assert heads
    assert heads[0].message.startswith("After the merge with main: ")


def test_two_branches_that_add_the_same_version_are_a_conflict(content: Content) -> None:
    git(content.root, "checkout", "--quiet", "-b", "mine")
    add_version(content.root, 4)
    commit(content.root)
    git(content.root, "checkout", "--quiet", "main")
    add_version(content.root, 4)
    path = content.root / UNIVERSES / "4.yaml"
    path.write_text(path.read_text().replace("A photographic plate.", "A plate of glass."))
    commit(content.root)
    git(content.root, "checkout", "--quiet", "mine")

    found = check_against(content, "main", databases=()).findings

    assert [(f.code, f.path) for f in found] == [("RT601", f"{UNIVERSES}/4.yaml")]
    assert found[0].message == "The file cannot be merged with main."
