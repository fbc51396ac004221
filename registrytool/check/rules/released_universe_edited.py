"""RT203: a universe never changes without a new version number, not even its documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.lock import digest_of, read_lock
from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT203"
SUMMARY = "A universe never changes without a new version number, not even its documentation."
GOOD_WAY = "Restore the file and write the change as a universe with the next number."


def check(subject: Subject) -> Iterator[Finding]:
    """Compare released universes with their digests."""
    find = Finder(subject, __name__)
    for name, locked in read_lock(subject.content).files.items():
        path = subject.content.root / name
        if path.suffix != ".yaml" or not path.is_file():
            continue
        found = digest_of(subject.content, path)
        if found.digest != locked.digest:
            only = found.meaning == locked.meaning and found.meaning is not None
            what = "documentation or comments only" if only else "what it defines"
            yield find(
                f"The universe was released and has been edited since, with the same number: {what}.",
                path,
                difference=f"digest {found.digest}",
            )
