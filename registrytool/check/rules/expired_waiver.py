"""RT503: no waiver has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.waivers import WAIVERS, read_waivers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT503"
SUMMARY = "No waiver has expired."
GOOD_WAY = (
    "Mend what it covered and remove it with registrytool waiver prune, or have it approved anew with a later date."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for waivers of which the time is over, or has not come."""
    find = Finder(subject, __name__)
    for waiver in read_waivers(subject.content).waivers:
        path = subject.content.schemas / WAIVERS
        if waiver.expired:
            yield find(f"The waiver for {waiver} expired on {waiver.until}.", path, waiver.line, about=str(waiver))
        elif waiver.early:
            yield find(
                f"The waiver for {waiver} is dated {waiver.when}, in the future.", path, waiver.line, about=waiver
            )
