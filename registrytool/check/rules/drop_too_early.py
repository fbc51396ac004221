"""RT409: what clients still use is dropped or renamed only in the contract phase."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import NAME, Said, alterations, bare, emitted, existed, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT409"
SUMMARY = "What clients still use is dropped or renamed only in the contract phase."
GOOD_WAY = (
    "Add what is new first, and drop what is old in a later step with phase = 'contract', when no client "
    "reads it any more; or declare closed = REASON."
)

_RULE = "drop_too_early"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_DROP_TABLE = re.compile(rf"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}", re.IGNORECASE)
_DROP_COLUMN = re.compile(r"DROP\s+COLUMN\s+(?:IF\s+EXISTS\s+)?(?P<column>\"[^\"]+\"|\w+)", re.IGNORECASE)
_RENAME = re.compile(r"RENAME\s+(?!CONSTRAINT)(?:COLUMN\s+)?(?P<column>\"[^\"]+\"|\w+)\s+TO\b", re.IGNORECASE)


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement in emitted(subject):
        match = _DROP_TABLE.match(statement.sql)
        if match and existed(trial, bare(match["table"])) and trial.edge.revision.phase != "contract":
            table = bare(match["table"])
            yield Said(trial, f"The step to {trial.edge.end} drops {table}, which clients may use", f"drop {table}")
    for trial, _, table, rest in alterations(subject):
        if trial.edge.revision.phase == "contract":
            continue
        for pattern, what in ((_DROP_COLUMN, "drops"), (_RENAME, "renames")):
            for found in pattern.finditer(rest):
                column = bare(found["column"])
                message = f"The step to {trial.edge.end} {what} {table}.{column}, which clients may use"
                yield Said(trial, message, f"{what} {table}.{column}")
