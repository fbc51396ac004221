"""RT408: a step does not change all rows of a big table in one statement."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import NAME, Said, bare, emitted, existed, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT408"
SUMMARY = "A step does not change all rows of a big table in one statement."
GOOD_WAY = "Change them in batches, each a transaction of its own, or declare closed = REASON."

_RULE = "unbounded_update"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


#: At the beginning, after WITH or in it.
_CHANGE = re.compile(rf"(?:^|[()])\s*(?:UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(?:ONLY\s+)?{NAME}", re.IGNORECASE)
#: What limits a statement to some rows.
_BOUND = re.compile(r"\b(LIMIT|BETWEEN|CTID)\b", re.IGNORECASE)


def _said(subject: Subject) -> Iterator[Said]:
    for dialect in ("postgresql", "sqlite"):
        for trial, statement in emitted(subject, dialect):
            if _BOUND.search(statement.sql):
                continue
            for match in _CHANGE.finditer(statement.sql):
                table = bare(match["table"])
                if existed(trial, table) and size(subject, table) == "big":
                    message = f"The step to {trial.edge.end} changes rows of {table} in one statement without a bound"
                    yield Said(trial, message, f"update {table}")
