"""RT107: no version is left out: every step begins where another one ends, with the version before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registrytool.check.model import Finder
from registrytool.naming import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT107"
SUMMARY = "No version is left out: every step begins where another one ends, with the version before."
GOOD_WAY = "Write the revision that is missing, or let the step follow the version from which it really begins."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for steps that begin nowhere, leave out a version, or lead to an older one."""
    find = Finder(subject, __name__)
    sources = subject.sources
    # Broken scripts are found by another rule.
    broken = [s for s in sources.scripts if s.revision is None]
    for script, revision in sources.sound_steps:
        if any(revision.id in circle for circle in sources.circles):
            continue
        place = (script.path, script.line("down_revision"))
        down: Any = revision.down
        if not isinstance(down, str | None):
            yield find(f"The revision follows several: {down}.", *place, about=revision.target)
            continue
        if revision.down is not None and revision.down not in sources.revisions:
            # A version without a revision is found by another rule too.
            if revision.down not in sources.identifiers and not broken:
                yield find(
                    f"The revision follows {revision.down}, which does not exist.",
                    *place,
                    about=revision.target or revision.component,
                    difference=f"follows {revision.down}",
                )
            continue
        if revision.down is None and revision.target is not None:
            yield find("The revision follows nothing, not even the root of its tree.", *place, about=revision.target)
            continue
        start, end = sources.target(revision.down), revision.target
        if start is None or end is None or start.implementation != end.implementation or script.is_switch:
            continue
        try:
            old, new = version_key(start.version), version_key(end.version)
        except ValueError:
            yield find(
                f"The version {end.version} is not made of numbers.", script.path, script.line("version"), about=end
            )
            continue
        if new <= old:
            yield find(f"The step leads from {start.version} back to {end.version}.", *place, about=end)
            continue
        left_out = sources.left_out(script)
        if end.component == "dimensions-config":
            # Universes are numbered; of other components nobody knows which versions there could be.
            known = {v.version for v in sources.identifiers.values() if v.implementation == end.implementation}
            between = [str(n) for n in range(old[0] + 1, new[0])]
            left_out = left_out or [n for n in between if n not in known]
        if left_out:
            what = f"from {start.version} to {end.version} and leaves out {' and '.join(left_out)}"
            yield find(f"The step leads {what}.", *place, about=end)
