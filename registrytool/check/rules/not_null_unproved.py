"""RT405: a column of a big table becomes NOT NULL only when a validated check has proved it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import Said, alterations, bare, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT405"
SUMMARY = "A column of a big table becomes NOT NULL only when a validated check has proved it."
GOOD_WAY = "Add CHECK (column IS NOT NULL) NOT VALID, validate it, then SET NOT NULL; or declare closed = REASON."

_RULE = "not_null_unproved"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_CLAUSE = re.compile(r"ALTER\s+(?:COLUMN\s+)?(?P<column>\"[^\"]+\"|\w+)\s+SET\s+NOT\s+NULL", re.IGNORECASE)


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement, table, rest in alterations(subject):
        if size(subject, table) == "small":
            continue
        for match in _CLAUSE.finditer(rest):
            column = bare(match["column"])
            if (table, column) not in statement.proved:
                message = (
                    f"The step to {trial.edge.end} keeps everybody from {table} while it looks for NULL in {column}"
                )
                yield Said(trial, message, f"{table}.{column}")
