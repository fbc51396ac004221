"""RT502: every waiver says who approved it where, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.waivers import WAIVERS, read_waivers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT502"
SUMMARY = "Every waiver says who approved it where, and why."
GOOD_WAY = (
    "Fill in approval (such as RFC-123), by and why; a waiver is the record of a decision of the change-control board."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for waivers without an explanation."""
    find = Finder(subject, __name__)
    for waiver in read_waivers(subject.content).waivers:
        if waiver.unexplained:
            missing = ", ".join(waiver.unexplained)
            yield find(
                f"The waiver for {waiver} does not say: {missing}.",
                subject.content.schemas / WAIVERS,
                waiver.line,
                about=str(waiver),
                difference=missing,
            )
