"""RT304: a step keeps all rows and values but those that it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.contents import changed_by_up, not_restored
from registrytool.check.steps import Said, declared, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT304"
SUMMARY = "A step keeps all rows and values but those that it declares."
GOOD_WAY = (
    "Keep the values, with renames or fill, or declare what is meant: changes = {TABLE: (COLUMN, ...)} "
    "for values that the way down brings back, drops = {TABLE: (COLUMN, ...)} for what is not kept."
)

_RULE = "rows_changed"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        revision, up, back = trial.edge.revision, trial.up, trial.back
        if up is None or not up.sound:
            continue
        for table, column, what in changed_by_up(trial.edge.end.component, up):
            if not declared(revision, table, column):
                message = f"The step to {trial.edge.end} {what}, and does not declare it"
                yield Said(trial, message, f"{table}.{column}")
        for table, column, what in not_restored(up, back) if back is not None and back.sound else ():
            if column not in revision.drops.get(table, ()) and "*" not in revision.drops.get(table, ()):
                message = f"Up to {trial.edge.end} and down again {what}, and the step does not declare it"
                yield Said(trial, message, f"{table}.{column} after up and down", down=True)
