"""RT100: the content can be read as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.errors import RegistryToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT100"
SUMMARY = "The content can be read as a whole."
GOOD_WAY = "Mend what the message names."


def check(subject: Subject) -> Iterator[Finding]:
    """Read the content as all commands do; what another rule has found is not reported again."""
    find = Finder(subject, __name__)
    try:
        _ = subject.history.revisions
        catalog = subject.catalog
        for component, implementations in catalog.versions.items():
            for implementation in implementations:
                catalog.newest(component, implementation)
        _ = subject.content.implementations
        catalog.newest_state()
    except (RegistryToolError, ValueError) as error:
        message = error.message if isinstance(error, RegistryToolError) else str(error)
        yield find(message, subject.content.schemas)
