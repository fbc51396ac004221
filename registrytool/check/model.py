"""What a rule sees and what it has to say."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from registrytool.catalog import Catalog
from registrytool.history import History
from registrytool.models import to_plain

from .finding import Finding
from .sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from registrytool.config import Content

    from .laboratory import Laboratory
    from .tried import Trial
    from .waivers import Waived, Waiver


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


class Finder:
    """Makes the findings of one rule.

    Parameters
    ----------
    subject : `Subject`
        What is checked.
    module : `str`
        Name of the module of the rule.
    """

    def __init__(self, subject: Subject, module: str) -> None:
        rule: Any = sys.modules[module]
        self._subject = subject
        self._rule = module.rpartition(".")[2]
        self._code: str = rule.CODE
        self._good_way: str = rule.GOOD_WAY

    def __call__(
        self, message: str, path: Path, line: int = 1, *, about: object = None, difference: str | None = None
    ) -> Finding:
        """Return a finding.

        Parameters
        ----------
        message : `str`
            One sentence.
        path : `pathlib.Path`
            File.
        line : `int`, optional
            Line in it.
        about : object, optional
            What it is about; by default the file.
        difference : `str`, optional
            What a waiver must name; by default the message.
        """
        place = self._subject.relative(path)
        about = place if about is None else str(about)
        return Finding(self._code, self._rule, message, about, difference or message, place, line, self._good_way)


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
