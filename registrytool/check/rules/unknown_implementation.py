"""RT120: every implementation with schema files is in implementations.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.errors import ContentError
from registrytool.models import COMPONENTS, CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT120"
SUMMARY = "Every implementation with schema files is in implementations.yaml."
GOOD_WAY = (
    "Add the class to implementations.yaml with the name that the database stores; content that lies over that "
    "of the package can use only the classes listed there."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look for folders that no class name leads to."""
    find = Finder(subject, __name__)
    content = subject.content
    try:
        known = content.implementations
    except ContentError:
        return  # another rule says so
    for folder in sorted(p for p in content.schemas.iterdir() if p.is_dir() and not p.name.startswith(("_", "."))):
        if folder.name not in COMPONENTS:
            yield find(f"There is no component {folder.name}.", folder, about=folder.name)
    seen = set()
    for file in subject.sources.schema_files:
        component, name = file.version.component, file.version.implementation
        if not file.own or component in CONFIGURATIONS or (component, name) in seen:
            continue
        seen.add((component, name))
        entry = (known.get(component) or {}).get(name)
        if not isinstance(entry, dict) or not entry.get("stored"):
            yield find(
                f"implementations.yaml does not say which class name the database stores for {component} {name}.",
                file.path,
                about=f"{component} {name}",
                difference="no entry",
            )
