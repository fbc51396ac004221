"""RT101: a schema file or universe has the revision that leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.naming import revision_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT101"
SUMMARY = "A schema file or universe has the revision that leads to it."
GOOD_WAY = "Write the migration: registrytool revision new COMPONENT VERSION."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for versions to which no revision leads."""
    find = Finder(subject, __name__)
    sources = subject.sources
    reached = {s.revision.target for s in sources.scripts if s.revision is not None}
    # A broken script is found by another rule; it could be the one that leads here.
    broken = [s.path.parent.name for s in sources.scripts if s.revision is None]
    for file in sources.schema_files:
        version = file.version
        if file.own and version not in reached and version.component not in broken:
            identifier = revision_id(version.component, version.implementation, version.version)
            if identifier in sources.revisions:
                continue  # its constants are wrong, which is found by another rule
            yield find(
                f"No revision leads to {version}; it would have the identifier {identifier}.",
                file.path,
                about=version,
                difference="no revision",
            )
