"""What the rules about steps share: from the trials of a step to findings about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .finding import Finding
from .sizes import size_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from registrytool.history import Revision
    from registrytool.models import Difference

    from .model import Subject
    from .tried import Emitted, Trial

NAMES: Mapping[str, str] = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing to say of a trial.

    Attributes
    ----------
    trial : `Trial`
        The trial.
    message : `str`
        A sentence without its full stop, to which the databases are added.
    difference : `str`
        What a waiver must name.
    down : `bool`
        Whether it is about the way down.
    """

    trial: Trial
    message: str
    difference: str
    down: bool = False


def trials(subject: Subject) -> tuple[Trial, ...]:
    """Return the trials of all steps; none if there is no laboratory."""
    from .trial import all_trials

    return all_trials(subject.laboratory, subject) if subject.laboratory is not None else ()


def findings(rule: str, code: str, good_way: str, subject: Subject, said: Iterable[Said]) -> Iterator[Finding]:
    """Turn what was said into findings, one for each step and difference, whatever the databases and states."""
    groups: dict[tuple[str, str], list[Said]] = {}
    for item in said:
        groups.setdefault((item.trial.edge.revision.id, item.difference), []).append(item)
    for items in groups.values():
        first = items[0]
        revision = first.trial.edge.revision
        where = " and ".join(sorted({NAMES[item.trial.dialect] for item in items}, reverse=True))
        yield Finding(
            code,
            rule,
            f"{first.message} ({where}).",
            str(first.trial.edge.end),
            first.difference,
            subject.relative(revision.path),
            line_of(revision.path, "downgrade" if first.down else "upgrade"),
            good_way,
        )


def exact(difference: Difference) -> str:
    """Return a difference as a waiver names it: what it is about, and from what to what."""
    what = " ".join(part for part in (difference.table, difference.kind, difference.name, difference.aspect) if part)
    return f"{what}: {difference.expected} -> {difference.found}"


def line_of(path: Path, function: str) -> int:
    """Return the line in which a function of a script begins, 1 if it has none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((n for n, line in enumerate(lines, start=1) if line.startswith(f"def {function}(")), 1)


# -- dangerous statements -----------------------------------------------------

#: A name in SQL, of which the last part counts.
NAME = r'(?:(?:"(?:[^"]|"")+"|[\w$]+)\.)?(?P<table>"(?:[^"]|"")+"|[\w$]+)'
_ALTER = re.compile(
    rf"\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{NAME}\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)


def open_trials(subject: Subject, dialect: str = "postgresql") -> Iterator[Trial]:
    """Give the trials of steps that do not say that the repository must be closed."""
    for trial in trials(subject):
        if trial.dialect == dialect and not trial.edge.revision.closed and trial.up is not None and trial.up.done:
            yield trial


def emitted(subject: Subject, dialect: str = "postgresql") -> Iterator[tuple[Trial, Emitted]]:
    """Give the statements of the ways up that are to be judged."""
    for trial in open_trials(subject, dialect):
        for statement in trial.up.emitted if trial.up is not None else ():
            yield trial, statement


def alterations(subject: Subject) -> Iterator[tuple[Trial, Emitted, str, str]]:
    """Give every ALTER TABLE of a table that existed before: trial, statement, table and what follows its name."""
    for trial, statement in emitted(subject):
        match = _ALTER.match(statement.sql)
        if match and existed(trial, bare(match["table"])):
            yield trial, statement, bare(match["table"]), match["rest"]


def bare(name: str) -> str:
    """Return a name of SQL without quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def existed(trial: Trial, table: str) -> bool:
    """Whether a table was there before the step."""
    return trial.up is not None and table in trial.up.start


def size(subject: Subject, table: str) -> str:
    """Return ``big``, ``middle`` or ``small``."""
    return size_class(table, subject.content)


def declared(revision: Revision, table: str, column: str) -> bool:
    """Whether a script says that the values of a column change or go."""
    return any(
        fnmatchcase(table, pattern) and column in columns
        for pattern, columns in (*revision.changes.items(), *revision.drops.items())
    )


def changes_type(sql: str) -> bool:
    """Whether a statement changes the type of a column."""
    return re.search(r"\bALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DATA\s+)?TYPE\b", sql, re.IGNORECASE) is not None
