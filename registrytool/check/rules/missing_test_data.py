"""RT307: a step that computes values, or asks for options, has test data for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.steps import Said, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.expectations import Case
    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

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
            cases = [case for case in trial.cases if case.up is not down]
            for table, column in sorted(passage.fills):
                # Tables that are there neither before nor after only serve to get there.
                lasts = table in passage.start or table in passage.end
                if lasts and not any(_tests(case, table, column, gone=table not in passage.end) for case in cases):
                    way = "down from" if down else "up to"
                    what = table if column == "*" else f"{table}.{column}"
                    message = f"The way {way} {trial.edge.end} computes values of {what}, and no test data says which"
                    yield Said(trial, message, f"{'down' if down else 'up'} {what}", down)


def _tests(case: Case, table: str, column: str, *, gone: bool) -> bool:
    """Whether test data has rows of a table, and says which values of a column come out."""
    before, after = case.before.get(table), case.after.get(table)
    if gone:
        return before is not None and bool(before.rows)
    if after is None or column == "*":
        return after is not None
    # A timespan is one value, whatever columns hold it.
    return bool(after.rows) and (column in after.columns or ("timespan" in column and "timespan" in after.columns))
