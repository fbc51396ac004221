"""RT305: a step down that loses something asks first, and says what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.contents import lost_by_down
from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT305"
SUMMARY = "A step down that loses something asks first, and says what."
GOOD_WAY = "Look for what would be lost with step.refuse_loss before step.reshape, and name it in loses."

_RULE = "loss_without_asking"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        down = trial.down
        if down is None or not down.sound:
            continue
        lost = list(lost_by_down(down))
        asked = down.asked if down.asked_loss else ()
        if unasked := ", ".join(what for table, what in lost if table not in asked):
            message = f"The step down from {trial.edge.end} loses {unasked} without asking"
            yield Said(trial, message, f"loses {unasked}", down=True)
        elif lost and not (trial.edge.revision.loses or "").strip():
            everything = ", ".join(what for _, what in lost)
            message = f"The step down from {trial.edge.end} loses {everything} and does not say so in loses"
            yield Said(trial, message, f"does not say that it loses {everything}", down=True)
