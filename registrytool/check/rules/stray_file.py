"""RT123: every file in the folder of an implementation is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import parse_version
from registrytool.models import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT123"
SUMMARY = "Every file in the folder of an implementation is read."
GOOD_WAY = "Give the file a name that is read (v1_2_0.py, or 9.yaml for a universe), or move it elsewhere."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for files whose names say no version, so that nobody reads them."""
    find = Finder(subject, __name__)
    for component in COMPONENTS:
        for path in sorted((subject.content.schemas / component).rglob("*")):
            if path.is_dir() or path.name.startswith(".") or "__pycache__" in path.parts:
                continue
            if path.parent.parent.name != component or parse_version(component, path) is None:
                yield find("Nobody reads this file: its name says no version.", path)
