"""RT308: a step can be written down as SQL without a database, and that does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.contents import different_tables
from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT308"
SUMMARY = "A step can be written down as SQL without a database, and that does the same."
GOOD_WAY = (
    "Let the statements depend on the two snapshots and the options only: what depends on rows belongs "
    "into their conditions, not into Python."
)

_RULE = "not_a_script"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        script, up = trial.script, trial.up
        if script is None or up is None:
            continue
        name = trial.edge.end
        if script.error is not None or script.refused is not None:
            reason = (script.error or script.refused or "").rstrip(".")
            yield Said(trial, f"The step to {name}, written down as SQL, fails: {reason}", "script fails")
            continue
        # What is wrong on both ways is said by another rule.
        for difference in [d for d in script.differences if d not in up.differences]:
            what = f"{difference.table} {difference.kind} {difference.name} {difference.aspect}"
            yield Said(trial, f"After the step to {name}, written down as SQL: {difference}", f"script {what}")
        for table in different_tables(up.end, script.end):
            message = f"The step to {name}, written down as SQL, leaves other rows in {table}"
            yield Said(trial, message, f"script rows {table}")
