"""RT407: a step never waits for a lock without a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, emitted, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT407"
SUMMARY = "A step never waits for a lock without a bound."
GOOD_WAY = "Leave lock_timeout as the runner sets it."

_RULE = "lock_without_timeout"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


_STRONG = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


def _said(subject: Subject) -> Iterator[Said]:
    for trial, statement in emitted(subject):
        for table, mode in sorted(statement.locks):
            if mode in _STRONG and not statement.timeout:
                message = f"The step to {trial.edge.end} waits for a lock on {table} longer than the runner does"
                yield Said(trial, message, f"lock {table}")
