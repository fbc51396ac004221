"""RT402: an index of a big table is built concurrently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.check.steps import NAME, Said, bare, emitted, existed, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT402"
SUMMARY = "An index of a big table is built concurrently."
GOOD_WAY = "Build it with CREATE INDEX CONCURRENTLY outside of the transaction, or declare closed = REASON."

_RULE = "big_index"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_INDEX = re.compile(
    rf"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?P<how>CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<name>\"[^\"]+\"|\S+)\s+ON\s+(?:ONLY\s+)?|REINDEX\s+TABLE\s+){NAME}",
    re.IGNORECASE,
)


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement in emitted(subject):
        match = _INDEX.match(statement.sql)
        if match is None or match["how"]:
            continue
        table = bare(match["table"])
        if existed(trial, table) and size(subject, table) == "big":
            index = bare(match["name"]) if match["name"] else "all of its indexes"
            message = f"The step to {trial.edge.end} keeps writers from {table} while it builds {index}"
            yield Said(trial, message, f"index {index}")
