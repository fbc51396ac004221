"""RT190: a new version has nothing left to be filled in."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from registrytool.check.finding import Finding
from registrytool.scaffold.marks import MARK, SENTENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from registrytool.check.model import Subject

CODE = "RT190"
SUMMARY = "A new version has nothing left to be filled in."
GOOD_WAY = (
    "Decide what the mark asks for, write it in its place and take the mark out: the statement "
    f"'raise NotImplementedError(\"{SENTENCE}...\")', the name {MARK} in a schema file, or the word in test data."
)

_RULE = "unfinished_revision"


def check(subject: Subject) -> Iterator[Finding]:
    """Look for the marks that ``registrytool revision new`` leaves."""
    for folder, patterns in (
        (subject.content.schemas, ("*.py", "*.yaml")),
        (subject.content.alembic, ("*.py", "*.yaml")),
    ):
        for path in sorted(p for pattern in patterns for p in folder.rglob(pattern)):
            for line, what in unfinished(path):
                place = subject.relative(path)
                yield Finding(
                    CODE, _RULE, f"Something is left to be filled in: {what}.", place, what, place, line, GOOD_WAY
                )


def unfinished(path: Path) -> Iterable[tuple[int, str]]:
    """List the marks in a file.

    Parameters
    ----------
    path : `pathlib.Path`
        A script, schema file or file of test data.

    Returns
    -------
    marks : iterable of `tuple` [`int`, `str`]
        Line, from 1, and what has to be filled in.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []  # other rules say so
    if MARK not in text and SENTENCE not in text:
        return []
    if path.suffix != ".py":
        return [
            (number, line.strip().removeprefix("- "))
            for number, line in enumerate(text.splitlines(), start=1)
            if re.search(rf"\b{MARK}\b", line.partition("#")[0])
        ]
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == MARK:
            found.setdefault(node.lineno, MARK)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == MARK for t in node.targets):
            value = node.value
            found[node.lineno] = str(value.value) if isinstance(value, ast.Constant) else MARK
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith(SENTENCE):
                found[node.lineno] = node.value.removeprefix(SENTENCE)
            elif MARK in node.value:
                found.setdefault(node.lineno, f"the word {MARK} in a text")
    return sorted(found.items())
