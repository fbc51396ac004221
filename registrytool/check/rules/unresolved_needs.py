"""RT110: what a revision needs of other components is defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.models import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT110"
SUMMARY = "What a revision needs of other components is defined."
GOOD_WAY = "Name a component and one of its versions that the content defines, such as {'datasets': '2.0.0'}."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for needs that nothing can satisfy."""
    find = Finder(subject, __name__)
    defined = {(f.version.component, f.version.version) for f in subject.sources.schema_files}
    for script, revision in subject.sources.steps:
        about, line = revision.target or revision.component, script.line("needs")
        if not isinstance(revision.needs, dict):
            yield find("needs is not a mapping of components to versions.", script.path, line, about=about)
            continue
        for component, version in revision.needs.items():
            if component not in COMPONENTS:
                yield find(f"The revision needs {component}, which is no component.", script.path, line, about=about)
            elif component == revision.component:
                yield find(
                    f"The revision needs {component} {version}, but what it follows says that.",
                    script.path,
                    line,
                    about=about,
                )
            elif (component, version) not in defined:
                yield find(
                    f"The revision needs {component} {version}, which is not defined.", script.path, line, about=about
                )
