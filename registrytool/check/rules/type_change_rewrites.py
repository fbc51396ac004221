"""RT406: a column of a big table does not get a type for which every row is written again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, changes_type, emitted, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT406"
SUMMARY = "A column of a big table does not get a type for which every row is written again."
GOOD_WAY = "Add a column of the new type, fill it in batches and switch over, or declare closed = REASON."

_RULE = "type_change_rewrites"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement in emitted(subject):
        for table in sorted(statement.rewritten) if changes_type(statement.sql) else ():
            if size(subject, table) != "small":
                message = f"The step to {trial.edge.end} writes every row of {table} again for a change of type"
                yield Said(trial, message, f"type {table}")
