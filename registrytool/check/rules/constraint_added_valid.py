"""RT403: a foreign key or check of a big table is added without checking the rows, and validated later."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import Said, alterations, bare, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT403"
SUMMARY = "A foreign key or check of a big table is added without checking the rows, and validated later."
GOOD_WAY = "Add it NOT VALID and validate it in a step of its own, or declare closed = REASON."

_RULE = "constraint_added_valid"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_CONSTRAINT = re.compile(
    r"ADD\s+(?:CONSTRAINT\s+(?P<name>\"[^\"]+\"|\S+)\s+)?(?P<kind>FOREIGN\s+KEY|CHECK)\b", re.IGNORECASE
)


def _said(subject: Subject) -> Iterator[Said]:
    for trial, _, table, rest in alterations(subject):
        if "NOT VALID" in rest.upper():
            continue
        for match in _CONSTRAINT.finditer(rest):
            check = match["kind"].upper() == "CHECK"
            # A check keeps readers away too, a foreign key only writers.
            if size(subject, table) not in (("big", "middle") if check else ("big",)):
                continue
            name = bare(match["name"] or "(unnamed)")
            message = f"The step to {trial.edge.end} locks {table} while all its rows are checked for {name}"
            yield Said(trial, message, f"constraint {name}")
