"""RT303: a step down leads exactly to the snapshot of the version before, and leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.contents import attribute_traces
from registrytool.check.steps import Said, exact, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT303"
SUMMARY = "A step down leads exactly to the snapshot of the version before, and leaves no trace."
GOOD_WAY = "Call step.reshape() in downgrade, or say with irreversible why there is no way back."

_RULE = "down_differs"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        for passage in (trial.back, trial.down):
            for difference in passage.differences if passage is not None and passage.done else ():
                message = f"After the step down from {trial.edge.end}: {difference}"
                yield Said(trial, message, exact(difference), down=True)
        if trial.up is not None and trial.back is not None and trial.back.sound:
            for name in attribute_traces(trial.edge.end.component, trial.up.start, trial.back.end):
                message = f"The step down from {trial.edge.end} leaves the attribute {name} other than it was"
                yield Said(trial, message, f"attribute {name}", down=True)
