"""RT107: no version is left out: every step begins where another one ends, with the version before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.sources import Finder
from registrytool.naming import revision_id, version_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT107"
SUMMARY = "No version is left out: every step begins where another one ends, with the version before."
GOOD_WAY = (
    "Write the revision that is missing, or let the step follow the version from which it really begins."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for steps that begin nowhere, leave out a version, or lead to an older one."""
    find = Finder(subject, __name__)
    sources = subject.sources
    # Versions without a revision are found by another rule, and so are broken scripts.
    missing = {revision_id(v.component, v.implementation, v.version) for v in (f.version for f in sources.schema_files)}
    broken = [s for s in sources.scripts if s.revision is None]
    for script, revision in sources.steps:
        place = (script.path, script.line("down_revision"))
        if revision.down is not None and revision.down not in sources.revisions:
            if revision.down not in missing and not broken:
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
            yield find(f"The version {end.version} is not made of numbers.", script.path, script.line("version"), about=end)
            continue
        if new <= old:
            yield find(f"The step leads from {start.version} back to {end.version}.", *place, about=end)
        # Universes are numbered; of other components nobody knows which versions there could be.
        elif end.component == "dimensions-config" and new[0] > old[0] + 1:
            left_out = " and ".join(str(n) for n in range(old[0] + 1, new[0]))
            yield find(
                f"The step leads from {start.version} to {end.version} and leaves out {left_out}.", *place, about=end
            )
