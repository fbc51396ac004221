"""Reading YAML with its line numbers: every fault of a file is gathered, with the place where it is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import yaml

from registrytool.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


class Faults:
    """What is wrong with a file.

    Parameters
    ----------
    source : `str`
        The file, as it is named in messages.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, node: yaml.Node, path: str, message: str) -> None:
        """Note a fault: what is wrong and what is right."""
        self.found.append(f"line {node.start_mark.line + 1}, {path or 'the file'}: {message}")

    def stop(self) -> None:
        """Raise what has been found.

        Raises
        ------
        DefinitionError
            There are faults.
        """
        if self.found:
            raise DefinitionError(self.source, self.found)


class Entry:
    """A mapping of a file, whose fields are asked for by name.

    Parameters
    ----------
    node : `yaml.Node`
        The node.
    path : `str`
        Where it is, such as ``detectors[3]``.
    faults : `Faults`
        Gathers what is wrong.
    fields : `~collections.abc.Iterable` [`str`] or `None`
        Which fields there can be; `None` if any.
    """

    def __init__(self, node: yaml.Node, path: str, faults: Faults, fields: Iterable[str] | None) -> None:
        self.node = node
        self.path = path
        self.faults = faults
        self.nodes: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            faults.add(node, path, f"is {_kind(node)}, and must be a mapping of fields")
            return
        known = None if fields is None else list(fields)
        for key, value in node.value:
            name = str(key.value)
            if known is not None and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there can be {', '.join(known)}"
                faults.add(key, self.at(name), f"is not a field; {hint}")
            elif name in self.nodes:
                faults.add(key, self.at(name), "is given twice; keep one")
            self.nodes[name] = value

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def fault(self, name: str, message: str) -> None:
        """Note a fault of a field."""
        self.faults.add(self.nodes.get(name, self.node), self.at(name), message)

    def value(self, name: str, kind: type, *, required: bool = False, default: Any = None) -> Any:
        """Return a single value of a kind, or the default if it is missing or wrong."""
        node = self.nodes.get(name)
        if node is None:
            if required:
                self.fault(name, f"is missing, and must be {_KINDS[kind]}")
            return default
        if _is_null(node) and not required:
            return default
        value = _checked(node, self.at(name), kind, self.faults)
        return default if value is None else value

    def text(self, name: str, *, required: bool = False, limit: int | None = None, default: Any = None) -> Any:
        """Return a text that is not empty and not too long."""
        value = self.value(name, str, required=required, default=default)
        if value == "" and required and name in self.nodes and not _is_null(self.nodes[name]):
            self.fault(name, "is empty, and must have at least one character")
        elif value is not None and limit is not None and len(value) > limit:
            self.fault(name, f"has {len(value)} characters, and a registry holds {limit} at most")
        return value

    def integer(self, name: str, *, required: bool = False, low: int = 0) -> Any:
        """Return a whole number that is not too low."""
        value = self.value(name, int, required=required)
        if value is not None and value < low:
            self.fault(name, f"is {value}, and must be {low} or more")
            return low
        return value

    def items(self, name: str, *, required: bool = False) -> Sequence[tuple[str, yaml.Node]]:
        """Return the items of a list with their paths."""
        node = self.nodes.get(name)
        if node is None or _is_null(node):
            if required:
                self.fault(name, "is missing, and must be a list")
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fault(name, f"is {_kind(node)}, and must be a list")
            return []
        return [(f"{self.at(name)}[{i}]", item) for i, item in enumerate(node.value)]

    def values(self, name: str, kind: type, *, required: bool = False) -> tuple[Any, ...]:
        """Return the values of a list, all of a kind."""
        found = (_checked(node, path, kind, self.faults) for path, node in self.items(name, required=required))
        return tuple(value for value in found if value is not None)

    def entry(self, name: str, fields: Iterable[str] | None) -> Entry | None:
        """Return the mapping in a field, `None` if there is none."""
        node = self.nodes.get(name)
        return None if node is None or _is_null(node) else Entry(node, self.at(name), self.faults, fields)

    def plain(self, name: str) -> Any:
        """Return the value of a field as YAML means it."""
        return _construct(self.nodes[name])


def read_file(path: Path, fields: Iterable[str]) -> tuple[Entry, Faults]:
    """Read a file.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    fields : `~collections.abc.Iterable` [`str`]
        Which fields there can be at the top.

    Returns
    -------
    entry : `Entry`
        The whole file.
    faults : `Faults`
        Faults found so far.

    Raises
    ------
    DefinitionError
        The file cannot be read, or is not YAML.
    """
    faults = Faults(str(path))
    try:
        with path.open("rb") as stream:
            node = yaml.compose(stream, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DefinitionError(str(path), [f"line {line}: this is not YAML ({error.problem})"]) from error
    except yaml.YAMLError as error:
        # Characters that YAML does not permit, and bytes that are not UTF-8.
        raise DefinitionError(str(path), [f"line 1: this is not YAML ({str(error).splitlines()[0]})"]) from error
    except OSError as error:
        raise DefinitionError(str(path), [f"it cannot be read ({error.strerror})"]) from error
    if node is None:
        raise DefinitionError(str(path), ["the file is empty"])
    return Entry(node, "", faults, fields), faults


def numbers(node: yaml.Node, path: str, faults: Faults) -> tuple[float, ...]:
    """Return the numbers of a list within a list."""
    if not isinstance(node, yaml.SequenceNode):
        faults.add(node, path, f"is {_kind(node)}, and must be a list of numbers")
        return ()
    found = (_checked(item, f"{path}[{i}]", float, faults) for i, item in enumerate(node.value))
    return tuple(value for value in found if value is not None)


def _checked(node: yaml.Node, path: str, kind: type, faults: Faults) -> Any:
    """Return the value of a node, `None` with a fault if it is not of a kind."""
    value = _construct(node)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    hint = "; write it in quotes" if kind is str and isinstance(node, yaml.ScalarNode) else ""
    faults.add(node, path, f"is {_kind(node)}, and must be {_KINDS[kind]}{hint}")
    return None


#: The loader in C reads a large definition in a third of the time.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _construct(node: yaml.Node) -> Any:
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_document(node)
    except (yaml.YAMLError, ValueError):
        return None


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if _is_null(node):
        return "empty"
    name = {"str": "text", "int": "number", "float": "number", "bool": "value", "timestamp": "date"}
    return f"the {name.get(node.tag.rpartition(':')[2], 'value')} {node.value}"
