"""RT204: the list of released files can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.lock import LOCK, read_lock
from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT204"
SUMMARY = "The list of released files can be read."
GOOD_WAY = "Restore schemas.lock; only registrytool check --release writes it."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for lines that say nothing."""
    find = Finder(subject, __name__)
    for line, reason in read_lock(subject.content).faults:
        yield find(f"The line cannot be read: {reason}.", subject.content.schemas / LOCK, line)
