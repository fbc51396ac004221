"""RT201: a released schema file or revision never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.lock import digest_of, read_lock
from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT201"
SUMMARY = "A released schema file or revision never changes."
GOOD_WAY = "Restore the file and make a new version; what was wrong in a released one is mended by the next."


def check(subject: Subject) -> Iterator[Finding]:
    """Compare released files, but universes, with their digests."""
    find = Finder(subject, __name__)
    for name, locked in read_lock(subject.content).files.items():
        path = subject.content.root / name
        if path.suffix != ".yaml" and path.is_file():
            found = digest_of(subject.content, path)
            if found.digest != locked.digest:
                yield find(
                    "The file was released and has been edited since.", path, difference=f"digest {found.digest}"
                )
