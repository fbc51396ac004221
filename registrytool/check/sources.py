"""The files of a content folder as rules see them: read one by one, so that a broken one hides no other."""

from __future__ import annotations

import ast
import contextlib
import re
import traceback
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from registrytool.errors import ContentError
from registrytool.history import execute_script, read_revision
from registrytool.models import COMPONENTS, CONFIGURATIONS, ComponentVersion
from registrytool.naming import parse_module_name, revision_id, version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from registrytool.config import Content
    from registrytool.history import Revision


@dataclass(frozen=True)
class Script:
    """One migration script.

    Attributes
    ----------
    path : `pathlib.Path`
        The file.
    own : `bool`
        Whether it belongs to the content that is checked, and not to content below it.
    revision : `Revision` or `None`
        What it says; `None` if it is broken.
    error, error_line : `str` or `None`, `int`
        Why it is broken, and where.
    tree : `ast.Module`
        Its source; empty if that is no Python.
    """

    path: Path
    own: bool
    revision: Revision | None
    error: str | None
    error_line: int
    tree: ast.Module

    @property
    def is_switch(self) -> bool:
        """Whether it leads to another implementation."""
        return "switches" in self.path.parts

    @cached_property
    def module(self) -> ModuleType:
        """The executed script."""
        return execute_script(self.path)

    def line(self, *names: str) -> int:
        """Return the line in which the first of some names that is there is set; 1 if none is."""
        found = assignments(self.tree)
        return next((found[name].lineno for name in names if name in found), 1)

    def function(self, name: str) -> ast.FunctionDef | None:
        """Return a function of the script."""
        return next((n for n in self.tree.body if isinstance(n, ast.FunctionDef) and n.name == name), None)


@dataclass(frozen=True)
class SchemaFile:
    """One schema file or universe; ``own`` says whether it belongs to the content that is checked."""

    path: Path
    version: ComponentVersion
    own: bool


class Sources:
    """All scripts and schema files of a content folder, and of the content below it.

    Parameters
    ----------
    content : `Content`
        The content.
    """

    def __init__(self, content: Content) -> None:
        self.content = content

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """Migration scripts; those below come first."""
        return tuple(_read_script(path, own=self.owns(path)) for path in self.content.scripts)

    @cached_property
    def schema_files(self) -> tuple[SchemaFile, ...]:
        """Schema files and universes of known components; a file that hides one below counts alone."""
        found: dict[ComponentVersion, SchemaFile] = {}
        for layer in reversed(self.content.layers):
            for component in COMPONENTS:
                for path in sorted((layer.schemas / component).glob("*/*")):
                    name = parse_version(component, path)
                    if name is not None:
                        version = ComponentVersion(component, path.parent.name, name)
                        found[version] = SchemaFile(path, version, own=layer is self.content)
        return tuple(found.values())

    def owns(self, path: Path) -> bool:
        """Return whether a file belongs to the content that is checked, and not to content below it."""
        return path.is_relative_to(self.content.root)

    # -- the tree -----------------------------------------------------------

    @cached_property
    def revisions(self) -> dict[str, Script]:
        """Scripts that are not broken, by identifier; of two with the same one, the one that has it rightfully."""
        found = [s for s in self.scripts if s.revision is not None]
        rightful = [s for s in found if s.revision and self.identifiers.get(s.revision.id) == s.revision.target]
        return {s.revision.id: s for s in (*found, *reversed(rightful)) if s.revision is not None}

    def contradicts_itself(self, revision: Revision) -> bool:
        """Return whether an identifier is that of another version, so that the constants are wrong.

        If that version has its own revision, the identifier is wrong instead.
        """
        claimed = self.identifiers.get(revision.id)
        return claimed not in (None, revision.target) and self.target(revision.id) != claimed

    @property
    def steps(self) -> Iterator[tuple[Script, Revision]]:
        """Own scripts that are not broken."""
        for script in self.scripts:
            if script.own and script.revision is not None:
                yield script, script.revision

    @cached_property
    def circles(self) -> tuple[tuple[str, ...], ...]:
        """Revisions that follow each other in a circle."""
        result: list[tuple[str, ...]] = []
        for name in self.revisions:
            if not any(name in circle for circle in result) and (found := self._circle(name)):
                result.append(found)
        return tuple(result)

    def _circle(self, start: str) -> tuple[str, ...]:
        way = [start]
        while (down := self._down(way[-1])) in self.revisions:
            if down == start:
                return tuple(way)
            if down is None or down in way:
                break
            way.append(down)
        return ()

    def _down(self, identifier: str) -> str | None:
        revision = self.revisions[identifier].revision
        return revision.down if revision is not None and isinstance(revision.down, str) else None

    @cached_property
    def identifiers(self) -> dict[str, ComponentVersion]:
        """Versions with schema files, by the identifiers that their revisions have."""
        return {
            revision_id(v.component, v.implementation, v.version): v for v in (f.version for f in self.schema_files)
        }

    @property
    def sound_steps(self) -> Iterator[tuple[Script, Revision]]:
        """Own scripts that follow what they should, and of which the constants say what the identifier says.

        The others are found by the rule about contradictions, once.
        """
        for script, revision in self.steps:
            parent = self.revisions.get(revision.down) if isinstance(revision.down, str) else None
            stranger = parent is not None and parent.revision and parent.revision.component != revision.component
            if not stranger and (script.is_switch or not self.contradicts_itself(revision)):
                yield script, revision

    def left_out(self, script: Script) -> list[str]:
        """Return the versions between those of a step that have schema files, unless its file name agrees with it."""
        revision = script.revision
        start = self.target(revision.down) if revision is not None else None
        end = revision.target if revision is not None else None
        if start is None or end is None or named_versions(script.path)[0] in (None, start.version):
            return []
        versions = (f.version for f in self.schema_files)
        known = [v.version for v in versions if (v.component, v.implementation) == (end.component, end.implementation)]
        try:
            return [v for v in known if version_key(start.version) < version_key(v) < version_key(end.version)]
        except ValueError:
            return []

    def target(self, identifier: str | None) -> ComponentVersion | None:
        """Return the version that a revision leads to, if there is such a revision and it leads to one."""
        script = self.revisions.get(identifier) if isinstance(identifier, str) else None
        return script.revision.target if script is not None and script.revision is not None else None


#: ``v1_0_0_to_v1_0_1_drop_digests``, ``uuid_v1_0_0``, ``synth_int_v2_0_0_to_v2_1_0_archived``.
_NAME = re.compile(r"(?:[a-z][a-z0-9_]*?_)??(?:v(?P<start>\d+(?:_\d+)*)_to_)?v(?P<end>\d+(?:_\d+)*)(?:_[a-z]\w*)?")


def named_versions(path: Path) -> tuple[str | None, str | None]:
    """Return the versions between which a step is by the name of its file; `None` for what it does not say."""
    match = _NAME.fullmatch(path.stem)
    start, end = match.group("start", "end") if match is not None else (None, None)
    return start and start.replace("_", "."), end and end.replace("_", ".")


def parse_version(component: str, path: Path) -> str | None:
    """Return the version in the name of a schema file or universe; `None` if nothing reads a file of that name."""
    if component in CONFIGURATIONS:
        return path.stem if path.suffix == ".yaml" and path.stem.isdigit() else None
    return parse_module_name(path.stem) if path.suffix == ".py" else None


def _read_script(path: Path, *, own: bool) -> Script:
    tree = ast.Module([], [])
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        return Script(path, own, None, _syntax(error), getattr(error, "lineno", None) or 1, tree)
    try:
        return Script(path, own, read_revision(path), None, 1, tree)
    except ContentError as error:
        what, line = explain(error, path)
        return Script(path, own, None, what, line, tree)


def _syntax(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"


def explain(error: ContentError, path: Path) -> tuple[str, int]:
    """Return what is wrong with a file that cannot be executed, and the line.

    Parameters
    ----------
    error : `ContentError`
        What was raised when it was executed.
    path : `pathlib.Path`
        The file.

    Returns
    -------
    what : `str`
        Without the name of the file.
    line : `int`
        Where in the file, from 1.
    """
    cause = error.__cause__
    if cause is None:
        return error.message.removeprefix(f"{path} "), 1
    if isinstance(cause, SyntaxError):
        return _syntax(cause), cause.lineno or 1
    frames = [f for f in traceback.extract_tb(cause.__traceback__) if f.filename == str(path)]
    return f"{type(cause).__name__}: {cause}", (frames[-1].lineno or 1) if frames else 1


# -- Python -------------------------------------------------------------------


def assignments(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the statements that set the names of a module, by name."""
    result: dict[str, ast.stmt] = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            result.update({name.id: statement for name in names if isinstance(name, ast.Name)})
    return result


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """List the modules and names that a source imports when it runs, with their lines; relative ones begin with a dot.

    What is imported for type checkers only does not count.
    """
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno
        pending.extend(ast.iter_child_nodes(node))


# -- YAML ---------------------------------------------------------------------


def yaml_lines(path: Path) -> Callable[..., int]:
    """Return a function that gives the line of a place in a YAML file.

    The arguments of the function are keys and indexes that lead to the place; where they lead nowhere, it is the last
    place on the way.
    """

    @cache
    def root() -> Any:
        import yaml

        # There are no places in what is no YAML.
        with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            return yaml.compose(path.read_text(encoding="utf-8"), Loader=loader)
        return None

    def line(*keys: str | int) -> int:
        import yaml

        node, found = root(), 1
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                pairs = [(k, v) for k, v in node.value if k.value == str(key)]
                if not pairs:
                    break
                found, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                found = node.start_mark.line + 1
            else:
                break
        return found

    return line
