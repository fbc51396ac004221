"""RT125: what a script declares is something that is declared, and says something."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import Script, assignments
from registrytool.history import PHASES, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT125"
SUMMARY = "What a script declares is something that is declared, and says something."
GOOD_WAY = "Spell the variable as docs/how-to/write-a-step.md does, and give the reason in words."

_REASONS = ("closed", "loses", "computes", "new_keys")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the variables of all scripts."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        about = revision.target or revision.component
        for name in _REASONS:
            reason = getattr(revision, name)
            if reason is not None and not str(reason).strip():
                yield find(f"{name} does not say why.", script.path, script.line(name), about=about)
        if revision.phase is not None and revision.phase not in PHASES:
            yield find(
                f"phase is {revision.phase!r} and not {' or '.join(map(repr, PHASES))}.",
                script.path,
                script.line("phase"),
                about=about,
            )
        for name, meant in _misspelt(script):
            yield find(
                f"{name} is no variable that a script has; {meant} is.", script.path, script.line(name), about=about
            )


def _misspelt(script: Script) -> Iterator[tuple[str, str]]:
    """Give names that nothing reads and that look like one that is read, with that one."""
    used = {n.id for n in ast.walk(script.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for name in assignments(script.tree):
        if name not in VARIABLES and name not in used:
            yield from ((name, meant) for meant in get_close_matches(name, VARIABLES, n=1, cutoff=0.75))
