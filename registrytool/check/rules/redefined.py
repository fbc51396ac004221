"""RT124: content that adds to that of the package defines nothing anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT124"
SUMMARY = "Content that adds to that of the package defines nothing anew."
GOOD_WAY = "Make a new version instead: what the package defines is released and never changes."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for schema files that hide one below."""
    find = Finder(subject, __name__)
    below = subject.content.below
    if below is None:
        return
    for file in subject.sources.schema_files:
        if file.own and (below.schema_file(*file.path.relative_to(subject.content.schemas).parts)).exists():
            yield find(f"{file.version} is defined by the package.", file.path, about=file.version)
