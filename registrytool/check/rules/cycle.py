"""RT106: no revision follows itself, not even by way of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.sources import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT106"
SUMMARY = "No revision follows itself, not even by way of others."
GOOD_WAY = "Let the first of them follow the version from which its step begins: change its down_revision."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for revisions that follow each other in a circle."""
    find = Finder(subject, __name__)
    downs = {name: s.revision.down for name, s in subject.sources.revisions.items() if s.revision is not None}
    reported: set[str] = set()
    for name in downs:
        circle = _circle(downs, name)
        if circle and not reported & set(circle):
            reported |= set(circle)
            own = [s for i in circle if (s := subject.sources.revisions[i]).own]
            names = " and ".join(sorted(subject.relative(subject.sources.revisions[i].path) for i in circle))
            if own:
                first = min(own, key=lambda s: s.path)
                yield find(f"Revisions follow each other in a circle: {names}.", first.path, first.line("down_revision"))


def _circle(downs: dict[str, str | None], start: str) -> list[str]:
    """Return the revisions between a revision and itself; none if it is not part of a circle."""
    way = [start]
    while (down := downs.get(way[-1])) is not None and down in downs:
        if down == start:
            return way
        if down in way:
            return []
        way.append(down)
    return []
