"""RT501: every waiver has the form that waivers have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.waivers import WAIVERS, read_waivers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT501"
SUMMARY = "Every waiver has the form that waivers have."
GOOD_WAY = "Write it with registrytool waiver add, which asks for everything that a waiver needs."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for waivers that cannot be read."""
    find = Finder(subject, __name__)
    for line, reason in read_waivers(subject.content).faults:
        yield find(reason, subject.content.schemas / WAIVERS, line)
