"""RT102: a revision leads to a version that has a schema file or universe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT102"
SUMMARY = "A revision leads to a version that has a schema file or universe."
GOOD_WAY = (
    "Write the schema file of the version (for dimensions-config its YAML file), or remove the revision if "
    "nobody has it yet."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for revisions that lead to nothing."""
    find = Finder(subject, __name__)
    defined = {file.version for file in subject.sources.schema_files}
    for script, revision in subject.sources.sound_steps:
        if revision.target is not None and revision.target not in defined:
            yield find(
                f"The revision {revision.id} leads to {revision.target}, which has no schema file.",
                script.path,
                script.line("version"),
                about=revision.target,
                difference="no schema file",
            )
