"""RT103: the identifier of a revision follows from component, implementation and version, and is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.naming import revision_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT103"
SUMMARY = "The identifier of a revision follows from component, implementation and version, and is its own."
GOOD_WAY = "Take the identifier that the message names; registrytool revision new computes it."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for identifiers that are not by rule, and for those that two revisions have."""
    find = Finder(subject, __name__)
    for script in subject.sources.scripts:
        revision = script.revision
        if revision is None:
            continue
        first = subject.sources.revisions[revision.id]
        wanted = revision_id(revision.component)
        if revision.target is not None:
            wanted = revision_id(revision.component, revision.target.implementation, revision.target.version)
        wrong = revision.id != wanted and not script.is_switch
        if wrong and script.own and not subject.sources.contradicts_itself(revision):
            yield find(
                f"The revision has the identifier {revision.id}, but by the rule of the format it is {wanted}.",
                script.path,
                script.line("revision"),
                about=revision.target or revision.component,
                difference=f"{revision.id} instead of {wanted}",
            )
        elif script.own and first is not script:
            yield find(
                f"The revision has the same identifier {revision.id} as {subject.relative(first.path)}.",
                script.path,
                script.line("revision"),
                about=revision.target or revision.component,
                difference=f"{revision.id} twice",
            )
