"""RT307: a step that computes values, or asks for options, has test data for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT307"
SUMMARY = "A step that computes values, or asks for options, has test data for it."
GOOD_WAY = (
    "Write rows before the step and the exact rows after it to <script>.rows.yaml, with direction: down "
    "for a way down that computes values."
)

_RULE = "missing_test_data"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        revision = trial.edge.revision
        given = {name for case in trial.cases if case.up for name in case.options}
        missing = sorted(set(revision.required_options) - given)
        if missing:
            message = f"No test data says what to set for {', '.join(missing)} in the step to {trial.edge.end}"
            yield Said(trial, message, f"options {', '.join(missing)}")
        for passage, down in ((trial.up, False), (trial.back, True)):
            if passage is None or not passage.fills:
                continue
            tested = {t for case in trial.cases if case.up is not down for t in (*case.after, *case.before)}
            # Tables that are gone at the end only served to get there.
            lasting = {t for t, _ in passage.fills if t in passage.start or t in passage.end}
            for table in sorted(lasting - tested):
                way = "down from" if down else "up to"
                message = f"The way {way} {trial.edge.end} computes values of {table}, and no test data says which"
                yield Said(trial, message, f"{'down' if down else 'up'} {table}", down)
