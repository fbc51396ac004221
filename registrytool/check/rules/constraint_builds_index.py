"""RT404: a primary key, unique or exclusion constraint of a big table uses an index that is there already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import Said, alterations, bare, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT404"
SUMMARY = "A primary key, unique or exclusion constraint of a big table uses an index that is there already."
GOOD_WAY = "Build the index concurrently and add the constraint USING INDEX, or declare closed = REASON."

_RULE = "constraint_builds_index"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_CONSTRAINT = re.compile(
    r"ADD\s+(?:CONSTRAINT\s+(?P<name>\"[^\"]+\"|\S+)\s+)?(?:PRIMARY\s+KEY|UNIQUE|EXCLUDE)\b(?!\s+USING\s+INDEX)",
    re.IGNORECASE,
)


def _said(subject: Subject) -> Iterator[Said]:
    for trial, _, table, rest in alterations(subject):
        if size(subject, table) == "small":
            continue
        for match in _CONSTRAINT.finditer(rest):
            name = bare(match["name"] or f"{table}_pkey")
            message = f"The step to {trial.edge.end} keeps everybody from {table} while it builds the index of {name}"
            yield Said(trial, message, f"constraint {name}")
