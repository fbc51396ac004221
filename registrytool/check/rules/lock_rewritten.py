"""RT205: what a branch finds in the list of released files stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.lock import LOCK, read_lock
from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT205"
SUMMARY = "What a branch finds in the list of released files stays there."
GOOD_WAY = (
    "Restore the line of schemas.lock; only registrytool check --release writes that file, and it only adds to it."
)

#: Without the other side there is nothing to compare with.
NEEDS_BASE = True


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the list with that of the other side (``--against``)."""
    if subject.base is None:
        return
    find = Finder(subject, __name__)
    now = read_lock(subject.content).files
    for name, locked in read_lock(subject.base).files.items():
        found = now.get(name)
        if found is None or (found.digest, found.meaning) != (locked.digest, locked.meaning):
            what = "taken out of the list" if found is None else "given another digest"
            yield find(
                f"The released file {name} has been {what}.",
                subject.content.schemas / LOCK,
                found.line if found is not None else 1,
                about=name,
                difference=what,
            )
