"""RT112: every step has a way back, or says why it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT112"
SUMMARY = "Every step has a way back, or says why it has none."
GOOD_WAY = "Write downgrade(step); where information is lost for good, set irreversible to the reason instead."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for steps without a way back and without a reason."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        if revision.target is None or revision.origin:
            continue
        downgrade, reason = script.function("downgrade"), getattr(script.module, "irreversible", None)
        stated = hasattr(script.module, "irreversible")
        if downgrade is None and not stated:
            yield find(
                "The step has neither a downgrade nor a reason why there is none (irreversible).",
                script.path,
                script.line("revision"),
                about=revision.target,
                difference="no downgrade",
            )
        elif stated and not (isinstance(reason, str) and reason.strip()):
            yield find(
                "irreversible does not say why there is no way back.",
                script.path,
                script.line("irreversible"),
                about=revision.target,
                difference="no reason",
            )
        elif stated and downgrade is not None:
            yield find(
                "The step has a downgrade, but says that there is no way back (irreversible).",
                script.path,
                script.line("irreversible"),
                about=revision.target,
                difference="irreversible with a downgrade",
            )
