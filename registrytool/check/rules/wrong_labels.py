"""RT108: the root of a tree has the label of its component, the first revision of an implementation that of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT108"
SUMMARY = "The root of a tree has the label of its component, the first revision of an implementation that of both."
GOOD_WAY = "Set branch_labels to what the message says; registrytool revision new does it."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for labels that are missing, wrong or too many."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.sound_steps:
        target, before = revision.target, subject.sources.target(revision.down)
        if target is not None and revision.down not in subject.sources.revisions:
            continue  # what is first is not known
        wanted: tuple[str, ...] = ()
        if target is None:
            wanted = (revision.component,)
        elif not script.is_switch and (before is None or before.implementation != target.implementation):
            wanted = (f"{target.component}-{target.implementation}",)
        raw = getattr(script.module, "branch_labels", None)
        found = (raw,) if isinstance(raw, str) else tuple(raw or ())
        if found != wanted:
            yield find(
                f"branch_labels is {raw!r}, but must be {wanted or None!r}.",
                script.path,
                script.line("branch_labels", "revision"),
                about=target or revision.component,
            )
