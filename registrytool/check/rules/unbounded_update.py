"""RT408: a step does not change all rows of a big table in one statement."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import NAME, Said, bare, emitted, existed, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT408"
SUMMARY = "A step does not change all rows of a big table in one statement."
GOOD_WAY = "Change them in batches, each a transaction of its own, or declare closed = REASON."

_RULE = "unbounded_update"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_CHANGE = re.compile(rf"\s*(?:UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?{NAME}", re.IGNORECASE)
#: What limits a statement to some rows.
_BOUND = re.compile(r"\b(LIMIT|BETWEEN|CTID)\b", re.IGNORECASE)


def _said(subject: Subject) -> Iterator[Said]:
    for dialect in ("postgresql", "sqlite"):
        for trial, statement in emitted(subject, dialect):
            match = _CHANGE.match(statement.sql)
            if match is None or _BOUND.search(statement.sql):
                continue
            table = bare(match["table"])
            if existed(trial, table) and size(subject, table) == "big":
                message = f"The step to {trial.edge.end} changes rows of {table} in one statement without a bound"
                yield Said(trial, message, f"update {table}")
