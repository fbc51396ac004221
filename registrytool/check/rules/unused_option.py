"""RT114: every declared option is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.options import RUNNER_OPTIONS, hands_options_on, read_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT114"
SUMMARY = "Every declared option is read."
GOOD_WAY = "Read it with step.option('name'), or take it out of options."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for options that do nothing."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        if hands_options_on(script):
            continue
        used = {*read_options(script), *RUNNER_OPTIONS.get(revision.component, ())}
        for name in revision.options:
            if name not in used:
                yield find(
                    f"The option {name} is declared, but the step does not read it.",
                    script.path,
                    script.line("options"),
                    about=revision.target or revision.component,
                    difference=f"option {name}",
                )
