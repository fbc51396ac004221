"""RT301: every step runs on every content that its versions permit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT301"
SUMMARY = "Every step runs on every content that its versions permit."
GOOD_WAY = (
    "Make the step work with the rows that the version before permits, or refuse them with "
    "step.refuse_if, which says what to do."
)

_RULE = "step_fails"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the steps did."""
    yield from findings(_RULE, CODE, GOOD_WAY, subject, _said(subject))


def _said(subject: Subject) -> Iterator[Said]:
    for trial in trials(subject):
        name = trial.edge.end
        if trial.problem is not None:
            what = f"cannot be tried: {trial.problem}".rstrip(".")
            yield Said(trial, f"The step to {name} {what}", what)
        for passage, down in ((trial.up, False), (trial.back, True), (trial.down, True)):
            what = f"The way {'down from' if down else 'up to'} {name}"
            if passage is None:
                continue
            if passage.error is not None:
                message = f"{what} fails: {passage.error}".rstrip(".")
                yield Said(trial, message, f"{'down' if down else 'up'} fails: {passage.error}", down)
            elif passage.refused is not None and passage is not trial.down:
                message = f"{what} refuses content that is permitted: {passage.refused}".rstrip(".")
                yield Said(trial, message, f"{'down' if down else 'up'} refuses: {passage.refused}", down)
            for keys in passage.dangling:
                yield Said(trial, f"{what} leaves rows that refer to nothing: {keys}", f"dangling {keys}", down)
