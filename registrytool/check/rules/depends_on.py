"""RT109: no revision uses depends_on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT109"
SUMMARY = "No revision uses depends_on."
GOOD_WAY = "Declare what other components must have reached with needs, such as {'datasets': '2.0.0'}."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for dependencies that Alembic would resolve."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        value = getattr(script.module, "depends_on", None)
        if value:
            yield find(
                f"depends_on is {value!r}; Alembic then drops the row of the other tree from alembic_version, which "
                "the existing migration tool takes for a contradiction.",
                script.path,
                script.line("depends_on"),
                about=revision.target or revision.component,
                difference=f"depends_on {value!r}",
            )
