"""RT117: a revision imports no schema file and does not ask for the newest version."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT117"
SUMMARY = "A revision imports no schema file and does not ask for the newest version."
GOOD_WAY = (
    "Use step.old(table) and step.new(table), which are the tables of the two versions of the step, or spell "
    "the table out."
)


#: What would let a step mean something else when versions are added.
_FORBIDDEN = ("schemas", "registrytool.catalog", "registrytool.schema", "importlib", "runpy")
_NEWEST = ("newest", "newest_state")


def check(subject: Subject) -> Iterator[Finding]:
    """Look for imports of schema files and for the newest version."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        about = revision.target or revision.component
        for name, line in imported(script.tree):
            if any(name == module or name.startswith(f"{module}.") for module in _FORBIDDEN):
                yield find(
                    f"The revision imports {name}.", script.path, line, about=about, difference=f"import of {name}"
                )
        for node in ast.walk(script.tree):
            if isinstance(node, ast.Attribute) and node.attr in _NEWEST:
                yield find(
                    f"The revision asks for the newest version ({ast.unparse(node)}).",
                    script.path,
                    node.lineno,
                    about=about,
                    difference=f"use of {node.attr}",
                )
