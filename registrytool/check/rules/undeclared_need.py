"""RT115: a step that looks at the version of another component declares that it needs it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.models import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT115"
SUMMARY = "A step that looks at the version of another component declares that it needs it."
GOOD_WAY = "Declare it in needs = {'component': 'version'}, so that the plan puts the steps in order."


def check(subject: Subject) -> Iterator[Finding]:
    """Look for versions of other components that a step reads: ``state["datasets"]`` and ``state.get("datasets")``."""
    find = Finder(subject, __name__)
    for script, revision in subject.sources.steps:
        declared = {revision.component, *revision.needs}
        for node in ast.walk(script.tree):
            key: ast.expr | None = None
            if isinstance(node, ast.Subscript) and _is_state(node.value):
                key = node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                key = node.args[0] if node.args and _is_state(node.func.value) else None
            name = key.value if isinstance(key, ast.Constant) else None
            if name in COMPONENTS and name not in declared and isinstance(node, ast.expr):
                declared.add(str(name))
                yield find(
                    f"The step looks at the version of {name}, but does not declare what it needs of it.",
                    script.path,
                    node.lineno,
                    about=revision.target or revision.component,
                    difference=f"need of {name}",
                )


def _is_state(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "state") or (
        isinstance(node, ast.Name) and node.id == "state"
    )
