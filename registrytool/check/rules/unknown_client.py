"""RT701: the content has everything that a client of the Butler makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.client import ClientReport
    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT701"
SUMMARY = "The content has everything that a client of the Butler makes (--client)."
GOOD_WAY = (
    "Make a new version with its migration (registrytool revision new), or undo the change of the client; what changed "
    "without a new version number by mistake is a known drift (schemas/drift.yaml)."
)


def check(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001 (there is no client)
    """Find nothing: only ``--client`` makes registries with a client."""
    return iter(())


def of_client(subject: Subject, client: ClientReport) -> Iterator[Finding]:
    """Say what a client makes that the content does not have."""
    find = Finder(subject, __name__)
    for made in client.registries:
        if not made.good:
            details = "; ".join([*made.changes, *(str(d) for d in made.differences)])
            yield find(
                f"{client.client} with {made.configuration} on {made.dialect}: {made.message}",
                subject.content.schemas / "releases.yaml",
                about=f"client {made.configuration} {made.dialect}",
                difference=f"{made.outcome}: {details or made.message}",
            )
