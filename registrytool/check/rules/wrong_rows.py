"""RT306: what a step computes is what its test data says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.expectations import rows_file
from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT306"
SUMMARY = "What a step computes is what its test data says."
GOOD_WAY = "Correct the step, or the test data beside it (<script>.rows.yaml) if that is what is wrong."

_RULE = "wrong_rows"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        for case, what in trial.wrong:
            message = f"In the case {case.name!r} of {rows_file(trial.edge.revision).name}: {what}".rstrip(".")
            yield Said(trial, message, f"{case.name}: {what}", down=not case.up)
