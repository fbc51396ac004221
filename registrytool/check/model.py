"""What a rule sees and what it has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from registrytool.catalog import Catalog
from registrytool.history import History
from registrytool.models import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from registrytool.config import Content

    from .laboratory import Laboratory
    from .sources import Sources
    from .trial import Trial
    from .waivers import Waived, Waiver


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say.

    Attributes
    ----------
    code : `str`
        Stable code of the rule, such as ``RT101``.
    rule : `str`
        Name of the rule, which is also the name of its documentation page.
    message : `str`
        One sentence: what is wrong.
    object : `str`
        What it is about, in a stable spelling that waivers use, such as ``dimensions-config daf_butler 9``.
    difference : `str`
        The exact thing that a waiver must name to cover it.
    path : `str`
        File, relative to the content folder.
    line : `int`
        Line in the file, from 1.
    good_way : `str`
        What to do instead.
    """

    code: str
    rule: str
    message: str
    object: str
    difference: str
    path: str
    line: int
    good_way: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result: dict[str, Any] = to_plain(self)
        result["documentation"] = f"docs/reference/rules/{self.rule}.md"
        return result


@dataclass
class Subject:
    """What is checked: a content folder, and what is needed to check it.

    Attributes
    ----------
    content : `Content`
        The content folder.
    base : `Content` or `None`
        The content as it was, to judge what has changed since (``--against``).
    laboratory : `Laboratory` or `None`
        Databases in which steps can be run.
    tried : `tuple` [`Trial`, ...] or `None`
        What came out when all steps were run, once they were.
    unreleased : `bool`
        Whether only those steps are run that are not released yet.
    """

    content: Content
    base: Content | None = None
    laboratory: Laboratory | None = None
    unreleased: bool = False
    tried: tuple[Trial, ...] | None = None

    @cached_property
    def sources(self) -> Sources:
        """The files of the content, for rules about files that may be broken."""
        from .sources import Sources

        return Sources(self.content)

    @cached_property
    def catalog(self) -> Catalog:
        """The versions that the content defines."""
        return Catalog(self.content)

    @cached_property
    def history(self) -> History:
        """The revisions of the content."""
        return History(self.content)

    def relative(self, path: Path) -> str:
        """Return a path relative to the content folder."""
        return path.relative_to(self.content.root).as_posix() if path.is_relative_to(self.content.root) else str(path)


class Rule(Protocol):
    """A rule is a module of `registrytool.check.rules` with these names; its file name is its name."""

    #: Stable code.
    CODE: str
    #: One sentence for lists: what the rule demands.
    SUMMARY: str
    #: What to do instead of what the rule finds.
    GOOD_WAY: str

    def check(self, subject: Subject) -> Iterable[Finding]:
        """Look at the content."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of the checks found."""

    content: str
    rules: tuple[str, ...]
    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...] = ()
    waivers_in_force: tuple[Waiver, ...] = ()
    databases: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **{k: to_plain(getattr(self, k)) for k in ("content", "rules", "databases", "notes")},
            "findings": [f.to_dict() for f in self.findings],
            "waived": [w.to_dict() for w in self.waived],
            "waivers_in_force": [w.to_dict() for w in self.waivers_in_force],
            "clean": self.clean,
        }
