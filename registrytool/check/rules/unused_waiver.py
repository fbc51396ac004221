"""RT504: every waiver covers something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.waivers import WAIVERS, Waiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT504"
SUMMARY = "Every waiver covers something."
GOOD_WAY = (
    "Remove it with registrytool waiver prune; if it should cover something, copy the difference exactly as "
    "check prints it."
)


def check(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001 (which waivers are used is known at the end)
    """Find nothing yet."""
    return iter(())


def unused(subject: Subject, waivers: tuple[Waiver, ...]) -> Iterator[Finding]:
    """Say of waivers in force that they cover nothing."""
    find = Finder(subject, __name__)
    for waiver in waivers:
        yield find(
            f"The waiver for {waiver} covers nothing.",
            subject.content.schemas / WAIVERS,
            waiver.line,
            about=str(waiver),
        )
