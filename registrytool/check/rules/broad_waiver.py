"""RT505: a waiver covers one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.waivers import WAIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject
    from registrytool.check.waivers import Waived

CODE = "RT505"
SUMMARY = "A waiver covers one thing."
GOOD_WAY = "Name rule and object as check prints them, and add a waiver for each of the others that is approved."


def check(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001 (what waivers cover is known at the end)
    """Find nothing yet."""
    return iter(())


def broad(subject: Subject, waived: Sequence[Waived]) -> Iterator[Finding]:
    """Say of waivers that they cover findings of several rules or about several things."""
    find = Finder(subject, __name__)
    for waiver in dict.fromkeys(w.waiver for w in waived):
        covered = sorted({f"{w.finding.code} {w.finding.object}" for w in waived if w.waiver == waiver})
        if len(covered) > 1:
            yield find(
                f"The waiver for {waiver} covers {', '.join(covered)}.",
                subject.content.schemas / WAIVERS,
                waiver.line,
                about=str(waiver),
            )
