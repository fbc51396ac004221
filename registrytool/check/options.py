"""Which options a migration script reads, from its source."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from registrytool.obscore import CONFIG_OPTION

if TYPE_CHECKING:
    from .sources import Script

#: Options that are read before the step runs, since its tables follow from them, by component.
RUNNER_OPTIONS = {"obscore": (CONFIG_OPTION,)}


def read_options(script: Script) -> dict[str, int]:
    """Return the options that a script reads by name, with the lines.

    Parameters
    ----------
    script : `Script`
        The script; a name that is a constant of it, or that it imports, is looked up.

    Returns
    -------
    options : `dict` [`str`, `int`]
        Line by name, in the order of the source.
    """
    result: dict[str, int] = {}
    for node in ast.walk(script.tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "option" or (node.func.attr == "get" and _is_options(node.func.value)):
                key = node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript) and _is_options(node.value):
            key = node.slice
        if key is None:
            continue
        name = key.value if isinstance(key, ast.Constant) else None
        if isinstance(key, ast.Name):
            name = getattr(script.module, key.id, None)
        if isinstance(name, str):
            result.setdefault(name, key.lineno)
    return result


def hands_options_on(script: Script) -> bool:
    """Return whether a script gives all options to a function, which may read any."""
    read = {
        id(node.value)
        for node in ast.walk(script.tree)
        if isinstance(node, ast.Subscript | ast.Attribute) and _is_options(node.value)
    }
    return any(_is_options(node) and id(node) not in read for node in ast.walk(script.tree))


def _is_options(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "options"
