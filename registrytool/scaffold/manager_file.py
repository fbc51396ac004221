"""Write the schema file of a manager on the one of the version before."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from .marks import MARK, as_sentence

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.models import ComponentVersion


def build_on(path: Path, start: ComponentVersion, version: ComponentVersion, message: str | None) -> str:
    """Return a schema file that defines what another one does, with a place for what is new.

    Constants are repeated, and every function but the private ones calls that of the version before.
    """
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    doc = (ast.get_docstring(tree) or "").partition("\n")[0]
    subject = re.sub(r",?\s*$", "", doc.partition(start.version)[0]) or version.component.capitalize()
    what = message or MARK
    parts = [f'"""{subject} {version.version}: {as_sentence(what[0].lower() + what[1:] if message else what)}"""']
    imports = ["from __future__ import annotations", "from typing import TYPE_CHECKING, Any"]
    constants, functions, uses_sa, types = [], [], False, set[str]()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_public_constant(node):
            text = ast.get_source_segment(source, node) or ""
            uses_sa = uses_sa or "sa." in text
            constants.append(_comment_above(source, node.lineno) + text)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args]
            if not arguments or arguments[0].arg != "registry":
                continue
            signature = ast.get_source_segment(source, node) or ""
            types |= set(re.findall(r"\b(Sequence|Mapping)\b", signature.partition(":\n")[0]))
            uses_sa = uses_sa or "sa." in ast.unparse(node.args)
            functions.append(_forwarded(node))
    parts += [imports[0], ""]
    typing = (
        "from typing import TYPE_CHECKING, Any"
        if any("Any" in f for f in functions)
        else ("from typing import TYPE_CHECKING")
    )
    parts.append(typing)
    if uses_sa:
        parts += ["", "import sqlalchemy as sa"]
    guarded = [f"    from collections.abc import {', '.join(sorted(types))}"] if types else []
    guarded += ["    from types import ModuleType", "", "    from registrytool.catalog import Builder"]
    parts += ["", "if TYPE_CHECKING:", *guarded, ""]
    parts += [
        "#: Take this line out when tables() says what is new; 'registrytool check' fails until then.",
        f'{MARK} = "what is new in the tables"',
        "",
    ]
    for constant in constants:
        parts += [constant, ""]
    parts += [
        "",
        "def _base(registry: Builder) -> ModuleType:",
        f'    return registry.version("{start.component}", "{start.implementation}", "{start.version}")',
        "",
    ]
    for function in functions:
        parts += ["", function, ""]
    text = "\n".join(parts).rstrip("\n") + "\n"
    return text.replace('"""\nfrom __future__', '"""\n\nfrom __future__')


def _is_public_constant(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(
        isinstance(t, ast.Name) and t.id.isupper() and not t.id.startswith("_") and t.id != MARK for t in targets
    )


def _comment_above(source: str, line: int) -> str:
    lines = source.splitlines()
    result: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.startswith("#"):
            break
        result.insert(0, text)
    return "".join(f"{t}\n" for t in result)


def _forwarded(node: ast.FunctionDef) -> str:
    """Return a function that calls the one of the same name of the version before."""
    positional = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    if node.args.vararg is not None:
        positional.append(f"*{node.args.vararg.arg}")
    passed = positional + [f"{a.arg}={a.arg}" for a in node.args.kwonlyargs]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    is_none = node.returns is None or ast.unparse(node.returns) == "None"
    doc = ast.get_docstring(node)
    head = f"def {node.name}({ast.unparse(node.args)}){returns}:\n" + (f'    """{doc}"""\n' if doc else "")
    call = f"    {'' if is_none else 'return '}_base(registry).{node.name}({', '.join(passed)})"
    if node.name == "tables":
        call += (
            "\n    # Here goes what is new: a table, by registry.table(...).  If a table changes, define all tables"
            "\n    # here, as the file of the version before does, instead of calling it."
        )
    return head + call
