"""RT105: each implementation has one head: versions follow one another in a line."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.naming import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject
    from registrytool.check.sources import Script

CODE = "RT105"
SUMMARY = "Each implementation has one head: versions follow one another in a line."
GOOD_WAY = "Let the later revision follow the other: change its down_revision, and its version if both have the same."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for implementations with more than one newest version."""
    find = Finder(subject, __name__)
    scripts = [s for s in subject.sources.scripts if not s.is_switch]
    followed = {
        (s.revision.down, s.revision.target.implementation)
        for s in scripts
        if s.revision is not None and s.revision.target is not None
    }
    heads: dict[tuple[str, str], list[Script]] = defaultdict(list)
    for script in scripts:
        target = script.revision.target if script.revision is not None else None
        if script.revision is None or target is None or (script.revision.id, target.implementation) in followed:
            continue
        twice = any(
            script.revision.id == s.revision.id for s in heads[target.component, target.implementation] if s.revision
        )
        if not twice and _begins_at_a_root(subject, script) and not _is_elsewhere(subject, script):
            heads[target.component, target.implementation].append(script)
    for (component, implementation), found in heads.items():
        found.sort(key=_order)
        own = [s for s in found if s.own]
        if len(found) > 1 and own:
            versions = " and ".join(s.revision.target.version for s in found if s.revision and s.revision.target)
            yield find(
                f"{component} {implementation} has several heads: {versions}.",
                own[-1].path,
                own[-1].line("down_revision"),
                about=f"{component} {implementation}",
                difference=f"heads {versions}",
            )


def _is_elsewhere(subject: Subject, script: Script) -> bool:
    """Return whether a script contradicts itself, or leaves out versions, which is found by other rules."""
    sound = {s.path for s, _ in subject.sources.sound_steps}
    return script.own and (script.path not in sound or bool(subject.sources.left_out(script)))


def _begins_at_a_root(subject: Subject, script: Script) -> bool:
    """Return whether the line of a revision begins somewhere; what hangs in the air is found by other rules."""
    revisions, seen = subject.sources.revisions, set()
    revision = script.revision
    while revision is not None and revision.down is not None and revision.id not in seen:
        seen.add(revision.id)
        below = revisions.get(revision.down)
        revision = below.revision if below is not None else None
    return revision is not None and revision.down is None and revision.target is None


def _order(script: Script) -> tuple[tuple[int, ...], str]:
    version = script.revision.target.version if script.revision and script.revision.target else ""
    try:
        return version_key(version), script.path.name
    except ValueError:
        return (), script.path.name
