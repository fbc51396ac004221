"""RT113: every option that a step reads is declared, and every required one too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.options import read_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT113"
SUMMARY = "Every option that a step reads is declared, and every required one too."
GOOD_WAY = "Declare it with its help in options = {'name': 'what it means'}, so that the plan shows it."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for options that users do not learn of."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        about = revision.target or revision.component
        declared = set(revision.options)
        for name, line in read_options(script).items():
            if name not in declared:
                declared.add(name)  # once is enough
                yield find(
                    f"The step reads the option {name}, which is not declared.",
                    script.path,
                    line,
                    about=about,
                    difference=f"option {name}",
                )
        for name in revision.required_options:
            if name not in declared:
                yield find(
                    f"The option {name} is required, but not declared.",
                    script.path,
                    script.line("required_options"),
                    about=about,
                    difference=f"option {name}",
                )
        for name, meaning in revision.options.items():
            if not str(meaning).strip():
                yield find(
                    f"The option {name} has no help.",
                    script.path,
                    script.line("options"),
                    about=about,
                    difference=f"help of option {name}",
                )
