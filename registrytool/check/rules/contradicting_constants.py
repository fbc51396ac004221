"""RT104: folder, file name and constants of a revision say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import Script, named_versions
from registrytool.models import COMPONENTS
from registrytool.naming import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT104"
SUMMARY = "Folder, file name and constants of a revision say the same."
GOOD_WAY = (
    "Name the file vA_to_vB_what_it_does.py in the folder of its component, and let component, implementation, "
    "version and down_revision say the same."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for contradictions."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        about = revision.target or revision.component
        # The first one explains the others.
        found = next(_contradictions(subject, script), None)
        if found is not None:
            message, name = found
            yield find(message, script.path, script.line(name) if name else 1, about=about)


def _contradictions(subject: Subject, script: Script) -> Iterator[tuple[str, str]]:
    """List contradictions, with the constants that they are about."""
    revision, folder = script.revision, script.path.parent.name
    assert revision is not None  # noqa: S101 (broken scripts are not asked)
    if revision.component not in COMPONENTS:
        yield f"There is no component {revision.component}.", "component"
        return
    if folder != revision.component:
        yield f"The revision is of {revision.component} but lies in the folder {folder}.", "component"
    claimed = subject.sources.identifiers.get(revision.id)
    if not script.is_switch and subject.sources.contradicts_itself(revision):
        said = f"lead to {revision.target}" if revision.target is not None else "do not say where it leads to"
        yield f"The revision has the identifier of {claimed}, but its constants {said}.", "version"
        return
    target, before = revision.target, subject.sources.target(revision.down)
    if target is None:
        if revision.down is not None:
            yield "A revision that leads to no version is the root of a tree, but this one follows another.", "version"
        elif not revision.origin:
            yield "The root of a tree stands for no version, so that registries begin there (origin).", "component"
        return
    parent = subject.sources.revisions.get(revision.down) if isinstance(revision.down, str) else None
    if parent is not None and parent.revision is not None and parent.revision.component != revision.component:
        yield (
            f"The revision is of {revision.component} but follows one of {parent.revision.component}.",
            "down_revision",
        )
        return
    if script.is_switch:
        return
    if before is not None and before.implementation != target.implementation:
        what = f"is of {target.implementation} but follows one of {before.implementation}"
        yield f"The revision {what}; such steps are switches.", "implementation"
        return
    if revision.origin and before is not None:
        yield f"Registries begin with {target} (origin), but it follows {before}.", "origin"
    start, end = named_versions(script.path)
    if end is None:
        yield f"The file name {script.path.name} does not say between which versions the step is.", ""
    elif end != target.version:
        yield f"The file name says version {end}, but the revision leads to {target.version}.", "version"
    elif start is None and before is not None:
        yield f"The file name does not say that the step begins with {before.version}.", ""
    elif start is not None and parent is not None and not _is_found_elsewhere(subject, script):
        found = before.version if before is not None else None
        if start != found:
            what = f"begins with {start}, but it follows {found or 'the root'}"
            yield f"The file name says that the step {what}.", "down_revision"


def _is_found_elsewhere(subject: Subject, script: Script) -> bool:
    """Return whether a step follows the wrong revision in a way that other rules find."""
    sources, revision = subject.sources, script.revision
    if revision is None or any(revision.id in circle for circle in sources.circles) or sources.left_out(script):
        return True
    before = sources.target(revision.down)
    try:
        return (
            before is not None
            and revision.target is not None
            and version_key(before.version) >= version_key(revision.target.version)
        )
    except ValueError:
        return False
