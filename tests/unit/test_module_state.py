"""No module of the package remembers anything: what an instrument or a filter is depends on no earlier call.

What counts: a container that is bound at the top of a module or in the body of a class, and that something in the
package changes; a name that a function rebinds with ``global``; a cache of a function with parameters, since that of
one without has a single value.  A container that nobody changes is a constant.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import registrytool

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(registrytool.__file__).parent

MAKERS = {"dict", "list", "set", "bytearray", "defaultdict", "OrderedDict", "Counter", "deque", "ChainMap"}
MAKERS |= {"WeakKeyDictionary", "WeakValueDictionary", "WeakSet"}
CHANGES = {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "popleft"}
CHANGES |= {"clear", "remove", "discard", "sort", "reverse", "__setitem__", "__delitem__"}
CHANGES |= {"intersection_update", "difference_update", "symmetric_difference_update"}
CACHES = {"cache", "lru_cache"}

#: What is remembered on purpose, and why that cannot make one call depend on another.
ALLOWED = {
    # Names that are loaded when they are asked for the first time, as PEP 562 has it; the value is always the same.
    ("maintain/__init__.py", "globals()"),
    # The outcome of one pytest session, for tests of that session; instruments have no part in it.
    ("testing/claims.py", "_SUBJECTS"),
    # Connections that are open, for Ctrl-C alone: whoever puts one in takes it out again.
    ("interrupts.py", "_CANCELS"),
    # What the text of a table means: the same text always means the same.
    ("introspect.py", "@lru_cache"),
}


def is_container(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and name_of(node.func) in MAKERS


def name_of(node: ast.AST) -> str:
    """Return the last part of a name with dots."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def containers(body: list[ast.stmt]) -> Iterator[str]:
    """List the names of containers of a module or class, those of its classes included."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from containers(statement.body)
        elif isinstance(statement, ast.Assign) and is_container(statement.value):
            yield from (name_of(t) for t in statement.targets)
        elif isinstance(statement, ast.AnnAssign) and is_container(statement.value):
            yield name_of(statement.target)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            yield from containers(statement.body)


class Changes(ast.NodeVisitor):
    """Finds what a module changes, apart from what is bound within the function that does so."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []
        self._local: list[set[str]] = []
        self._depth = 0

    def _note(self, node: ast.AST, line: int) -> None:
        # Attributes of an object are its own business: only names, and attributes of modules and classes, count.
        if isinstance(node, ast.Attribute) and name_of(node.value) == "self":
            return
        name = name_of(node)
        if isinstance(node, ast.Call) and name_of(node.func) == "globals":
            name = "globals()"
        if name and not any(name in names for names in self._local):
            self.found.append((name, line))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if name_of(target) in CACHES and (node.args.args or node.args.kwonlyargs):
                self.found.append((f"@{name_of(target)}", node.lineno))
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        names = {a.arg for a in arguments if a is not None}
        shared: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Global):
                shared.update(inner.names)
                self.found += [(f"global {name}", inner.lineno) for name in inner.names]
            elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                names.add(inner.id)
        self._local.append(names - shared)
        self.generic_visit(node)
        self._local.pop()

    visit_FunctionDef = _function  # noqa: N815 (the name that ast asks for)
    visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del) and self._local:
            self._note(node.value, node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES and self._local:
            self._note(node.func.value, node.lineno)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if self._local:
            self._note(node.target, node.lineno)
        self.generic_visit(node)


def remembered(sources: dict[str, str]) -> list[str]:
    """Return what the modules of a package remember."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    shared = {name for tree in trees.values() for name in containers(tree.body)}
    result = []
    for path, tree in trees.items():
        changes = Changes()
        changes.visit(tree)
        for name, line in changes.found:
            is_own = name.startswith(("global ", "@")) or name == "globals()"
            if (name in shared or is_own) and (path, name) not in ALLOWED:
                result.append(f"{path}:{line}: {name}")
    return result


def test_no_module_of_the_package_remembers_anything() -> None:
    sources = {str(p.relative_to(PACKAGE)): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))}
    assert remembered(sources) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FILTERS = {}\ndef define(f):\n    FILTERS[f.name] = f\n", ["m.py:3: FILTERS"]),
        ("FILTERS: dict[str, int] = dict()\ndef define(f):\n    FILTERS.update(f)\n", ["m.py:3: FILTERS"]),
        (
            "class Filter:\n    known = []\n    def __init__(self):\n        Filter.known.append(self)\n",
            ["m.py:4: known"],
        ),
        (
            "class Filter:\n    known = []\n    @classmethod\n    def of(cls):\n        cls.known += [1]\n",
            ["m.py:5: known"],
        ),
        ("_LAST = None\ndef of(x):\n    global _LAST\n    _LAST = x\n", ["m.py:3: global _LAST"]),
        ("@functools.lru_cache(maxsize=None)\ndef of(x):\n    return x\n", ["m.py:2: @lru_cache"]),
        ("@functools.cache\ndef all():\n    return read()\n", []),
        ("def of(x):\n    globals()[x] = 1\n", ["m.py:2: globals()"]),
        ("NAMES = {'a': 1}\ndef of(x):\n    return NAMES[x]\n", []),
        ("def of(x):\n    names = {}\n    names[x] = 1\n    return names\n", []),
        ("NAMES = {}\ndef of(NAMES):\n    NAMES['x'] = 1\n", []),
        ("NAMES = []\nNAMES.append(1)\n", []),
    ],
)
def test_the_check_finds_what_is_remembered(text: str, found: list[str]) -> None:
    assert remembered({"m.py": text}) == found
