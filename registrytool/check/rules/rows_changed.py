"""RT304: a step keeps all rows and values but those that it declares."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registrytool.check.contents import changed_by_up, not_restored
from registrytool.check.steps import Said, declared, findings, trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject
    from registrytool.check.rows import TableContent
    from registrytool.check.tried import Trial

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
    yield from _of_nothing(subject)


def _of_nothing(subject: Subject) -> Iterator[Said]:
    """Say of what is declared that there is no such thing: it is misspelt, and the next mistake would be covered."""
    of_steps: dict[str, list[Trial]] = {}
    for trial in trials(subject):
        of_steps.setdefault(trial.edge.revision.id, []).append(trial)
    for found in of_steps.values():
        ways = [t.up for t in found if t.up is not None]
        if not all(up.sound for up in ways):
            continue
        there = [(table, c) for up in ways for content in (up.start, up.end) for table, c in _columns(content)]
        trial = found[0]
        for name in ("changes", "drops"):
            for pattern, columns in getattr(trial.edge.revision, name).items():
                for column in columns:
                    # A table that no trial has is one of registries with other options.
                    of_tables = {c for table, c in there if fnmatchcase(table, pattern)}
                    if of_tables and column not in {"*", *of_tables}:
                        message = (
                            f"The step to {trial.edge.end} declares {name} of {pattern}.{column}, which is not there"
                        )
                        yield Said(trial, message, f"{name} {pattern}.{column}")


def _columns(content: Mapping[str, TableContent]) -> Iterator[tuple[str, str]]:
    for table, rows in content.items():
        yield from ((table, column) for column in rows.columns)
