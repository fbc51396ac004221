"""Judge what a branch changes: the content at a git revision, and what a merge with it would give.

Two branches that are right by themselves can be wrong together, such as two that each add a version after the same
one: what is going to land is the merge, so that is what is checked.  Nothing is written to the repository.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registrytool.config import Content
from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .finding import Finding
    from .model import Report

_FOLDERS = ("schemas", "alembic")


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge gives.

    Attributes
    ----------
    content : `Content` or `None`
        The merged content; `None` if there are conflicts.
    conflicts : `tuple` [`str`, ...]
        Files that cannot be merged, relative to the content folder.
    same : `bool`
        Whether the merge changes nothing: the branch has all of the revision already.
    """

    content: Content | None
    conflicts: tuple[str, ...] = ()
    same: bool = False


@contextmanager
def open_base(content: Content, revision: str) -> Iterator[Content | None]:
    """Give the content as it is at a git revision.

    Parameters
    ----------
    content : `Content`
        A content folder in a working tree of git.
    revision : `str`
        Any name that git knows.

    Yields
    ------
    base : `Content` or `None`
        The same folder at that revision, gone afterwards; `None` if there was none yet.

    Raises
    ------
    ConfigurationError
        The folder is not under git, or git does not know the revision.
    """
    git = _Git(content)
    with tempfile.TemporaryDirectory(prefix="registrytool-base-") as folder:
        yield git.extract(git.commit(revision), Path(folder))


@contextmanager
def merge_result(content: Content, revision: str) -> Iterator[Merge]:
    """Give the content as a merge of the working tree with a git revision would make it.

    Parameters
    ----------
    content : `Content`
        A content folder in a working tree of git; what is not committed yet counts.
    revision : `str`
        Any name that git knows.

    Yields
    ------
    merge : `Merge`
        The merged content, gone afterwards, or the conflicts.

    Raises
    ------
    ConfigurationError
        The folder is not under git, git does not know the revision, or cannot merge with it.
    """
    git = _Git(content)
    other = git.commit(revision)
    with tempfile.TemporaryDirectory(prefix="registrytool-merge-") as name:
        folder = Path(name)
        mine = git.snapshot(folder)
        tree, conflicts = git.merge(mine, other)
        if conflicts:
            yield Merge(None, conflicts)
            return
        target = folder / "content"
        target.mkdir()
        same = git.tree(mine) == tree
        yield Merge(git.extract(tree, target), same=same)


def check_against(content: Content, revision: str, **options: Any) -> Report:
    """Check a content folder, what has changed in it since a git revision, and the merge with that.

    Parameters
    ----------
    content : `Content`
        A content folder in a working tree of git.
    revision : `str`
        Any name that git knows.
    **options
        As `registrytool.check.check_content` takes them.

    Returns
    -------
    report : `Report`
        Findings of the branch and of the merge; what only the merge has says so.

    Raises
    ------
    ConfigurationError
        The folder is not under git, or git does not know the revision.
    """
    from .run import check_content

    with open_base(content, revision) as base, merge_result(content, revision) as merge:
        report = check_content(content, base=base, **options)
        if merge.conflicts:
            from .rules import merge_conflict

            found = [merge_conflict.finding(path, revision) for path in merge.conflicts]
            return replace(report, findings=(*report.findings, *found))
        if merge.same or merge.content is None:
            return report
        merged = check_content(merge.content, base=base, **options)
        known = {_identity(f) for f in report.findings}
        new = [
            replace(f, message=f"After the merge with {revision}: {f.message}")
            for f in merged.findings
            if _identity(f) not in known
        ]
        return replace(report, findings=(*report.findings, *new))


def _identity(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.object, finding.difference


class _Git:
    """The git repository around a content folder."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._environment: dict[str, str] = {}
        top = self._run("rev-parse", "--show-toplevel", failure="is not in a working tree of git")
        self._top = Path(top.strip()).resolve()
        inside = content.root.resolve().relative_to(self._top).as_posix()
        self._prefix = "" if inside == "." else f"{inside}/"

    def _run(self, *words: str, failure: str, accept: Sequence[int] = (0,)) -> str:
        return self._call(*words, failure=failure, accept=accept)[1].decode("utf-8", "surrogateescape")

    def _call(self, *words: str, failure: str, accept: Sequence[int] = (0,)) -> tuple[int, bytes]:
        environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C", **self._environment}
        try:
            done = subprocess.run(  # noqa: S603 (git, with words of our own)
                ["git", "-C", str(self._content.root), *words],  # noqa: S607 (the user's git is the right one)
                capture_output=True,
                check=False,
                env=environment,
            )
        except FileNotFoundError as error:
            message = "To compare with a revision, git must be installed."
            raise ConfigurationError(message) from error
        if done.returncode not in accept:
            said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
            message = f"The content folder {self._content.root} {failure}: {said}"
            raise ConfigurationError(
                f"{message.rstrip('.')}.", hint="Fetch it first, if it is a branch of another clone."
            )
        return done.returncode, done.stdout

    def commit(self, revision: str) -> str:
        """Return the commit that a name means."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self._run(*words, failure=f"has no git revision {revision!r}").strip()

    def tree(self, commit: str) -> str:
        """Return the tree of a commit."""
        return self._run("rev-parse", f"{commit}^{{tree}}", failure="cannot be read").strip()

    def snapshot(self, folder: Path) -> str:
        """Make a commit of the working tree, outside of the repository, and return it."""
        objects = self._run("rev-parse", "--git-path", "objects", failure="cannot be read").strip()
        common = (self._content.root / objects).resolve()
        (folder / "objects").mkdir()
        self._environment = {
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(common),
            **{f"GIT_{who}_{what}": "registrytool" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self._run("read-tree", "HEAD", failure="has no commit yet")
        present = [name for name in _FOLDERS if (self._content.root / name).is_dir()]
        self._run("add", "--all", "--", *present, failure="cannot be read")
        tree = self._run("write-tree", failure="cannot be read").strip()
        return self._run("commit-tree", tree, "-p", "HEAD", "-m", "working tree", failure="cannot be read").strip()

    def merge(self, mine: str, other: str) -> tuple[str, tuple[str, ...]]:
        """Merge two commits; return the tree, and the files with conflicts."""
        # Names are relative to the folder in which git runs.
        words = ("-C", str(self._top), "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", mine, other)
        code, output = self._call(*words, failure="cannot be merged", accept=(0, 1))
        tree, *names = output.decode("utf-8", "surrogateescape").strip("\0").split("\0")
        inside = [n.removeprefix(self._prefix) for n in names if n.startswith(self._prefix)]
        ours = tuple(n for n in inside if n.partition("/")[0] in _FOLDERS)
        return tree.strip(), ours if code else ()

    def extract(self, tree: str, folder: Path) -> Content | None:
        """Write the content folder of a tree to a folder."""
        wanted = [f"{self._prefix}{name}" for name in _FOLDERS]
        listed = self._run("ls-tree", "--full-tree", "--name-only", "-z", tree, "--", *wanted, failure="cannot be read")
        names = [n for n in listed.split("\0") if n]
        if set(names) != set(wanted):
            return None
        words = ("-C", str(self._top), "archive", "--format=tar", tree, "--", *names)
        _, data = self._call(*words, failure="cannot be read")
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
        found = Content.find(folder / self._prefix)
        return Content(found.root, self._content.below)
