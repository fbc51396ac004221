"""RT104: folder, file name and constants of a revision say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registrytool.catalog import COMPONENTS
from registrytool.check.sources import Finder, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT104"
SUMMARY = "Folder, file name and constants of a revision say the same."
GOOD_WAY = (
    "Name the file vA_to_vB_what_it_does.py in the folder of its component, and let component, implementation, "
    "version and down_revision say the same."
)


#: ``v1_0_0_to_v1_0_1_drop_digests``, ``uuid_v1_0_0``, ``synth_int_v2_0_0_to_v2_1_0_archived``, ``root``.
_NAME = re.compile(r"(?:[a-z][a-z_]*?_)?(?:v(?P<start>\d+(?:_\d+)*)_to_)?v(?P<end>\d+(?:_\d+)*)(?:_[a-z]\w*)?")


def check(subject: Subject) -> Iterator[Finding]:
    """Look for contradictions."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        about = revision.target or revision.component
        for message, name in _contradictions(subject, script):
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
    target, before = revision.target, subject.sources.target(revision.down)
    if target is None:
        if revision.down is not None:
            yield "A revision that leads to no version is the root of a tree, but this one follows another.", "version"
        elif not revision.origin:
            yield "The root of a tree stands for no version, so that registries begin there (origin).", "component"
        return
    parent = subject.sources.revisions.get(revision.down) if isinstance(revision.down, str) else None
    if parent is not None and parent.revision is not None and parent.revision.component != revision.component:
        yield f"The revision is of {revision.component} but follows one of {parent.revision.component}.", "down_revision"
        return
    if script.is_switch:
        return
    if before is not None and before.implementation != target.implementation:
        yield (
            f"The revision is of {target.implementation} but follows one of {before.implementation}; "
            "such steps are switches.",
            "implementation",
        )
        return
    if revision.origin and before is not None:
        yield f"Registries begin with {target} (origin), but it follows {before}.", "origin"
    match = _NAME.fullmatch(script.path.stem)
    if match is None:
        yield f"The file name {script.path.name} does not say between which versions the step is.", ""
        return
    start, end = (text and text.replace("_", ".") for text in match.group("start", "end"))
    if end != target.version:
        yield f"The file name says version {end}, but the revision leads to {target.version}.", "version"
    elif start is not None and (before is not None or parent is not None):
        found = before.version if before is not None else None
        if start != found:
            yield f"The file name says that the step begins with {start}, but it follows {found or 'the root'}.", (
                "down_revision"
            )
    elif start is None and before is not None:
        yield f"The file name does not say that the step begins with {before.version}.", ""
