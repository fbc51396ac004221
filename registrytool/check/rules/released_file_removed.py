"""RT202: a released file is never removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.lock import LOCK, read_lock
from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT202"
SUMMARY = "A released file is never removed."
GOOD_WAY = "Restore the file: repositories that have this version need it for good."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for released files that are gone."""
    find = Finder(subject, __name__)
    for name, locked in read_lock(subject.content).files.items():
        if not (subject.content.root / name).is_file():
            yield find(
                f"The file {name} was released and has been removed.",
                subject.content.schemas / LOCK,
                locked.line,
                about=name,
                difference="removed",
            )
