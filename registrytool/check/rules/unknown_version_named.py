"""RT121: releases.yaml and drift.yaml name versions that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.named_versions import named_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT121"
SUMMARY = "releases.yaml and drift.yaml name versions that exist."
GOOD_WAY = (
    "Correct the version, or add its schema file; versions older than the oldest schema file of an "
    "implementation need none."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for versions that nothing defines."""
    find = Finder(subject, __name__)
    for named in named_versions(subject):
        if not named.defined and not named.older:
            yield find(
                f"{named.path.name} names {named.text}, which is not defined.",
                named.path,
                named.line,
                about=named.path.name,
                difference=named.text,
            )


def notes(subject: Subject) -> Iterator[str]:
    """Name the versions that are known but not defined."""
    texts = sorted({named.text for named in named_versions(subject) if named.older and not named.defined})
    if texts:
        yield f"Known to releases.yaml but not defined, since older than the oldest schema file: {', '.join(texts)}."
