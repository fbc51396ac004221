"""RT106: no revision follows itself, not even by way of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT106"
SUMMARY = "No revision follows itself, not even by way of others."
GOOD_WAY = "Let the first of them follow the version from which its step begins: change its down_revision."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for revisions that follow each other in a circle."""
    find = Finder(subject, __name__)
    sources = subject.sources
    for circle in sources.circles:
        own = [script for name in circle if (script := sources.revisions[name]).own]
        names = " and ".join(sorted(subject.relative(sources.revisions[name].path) for name in circle))
        if own:
            first = min(own, key=lambda s: s.path)
            message = f"Revisions follow each other in a circle: {names}."
            yield find(message, first.path, first.line("down_revision"))
