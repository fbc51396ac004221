"""RT302: a step leads exactly to the snapshot of its version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, exact, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT302"
SUMMARY = "A step leads exactly to the snapshot of its version."
GOOD_WAY = (
    "Call step.reshape(), which derives the statements from the two snapshots, or add what is missing to the step."
)

_RULE = "up_differs"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        for difference in trial.up.differences if trial.up is not None and trial.up.done else ():
            message = f"After the step to {trial.edge.end}: {difference}"
            yield Said(trial, message, exact(difference))
