"""RT401: a step does not write a big table again in one transaction.

SQLite is not judged: there every step locks the whole file, and most tables can only be changed by writing them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, changes_type, emitted, findings, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT401"
SUMMARY = "A step does not write a big table again in one transaction."
GOOD_WAY = (
    "Add a new column, fill it in batches and switch over, or declare closed = REASON if the repository "
    "must be closed for it."
)

_RULE = "big_rewrite"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement in emitted(subject):
        for table in sorted(statement.rewritten):
            # A change of type has a rule of its own.
            if size(subject, table) != "small" and not changes_type(statement.sql):
                yield Said(trial, f"The step to {trial.edge.end} writes every row of {table} again", f"rewrite {table}")
