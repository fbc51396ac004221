"""Dimension universes: the configuration that a registry stores, and what follows from it; pure.

The rules (order of dimensions, which elements have tables, required and implied dimensions) are those of the format:
a universe orders its items in rounds, in each of which all items whose dependencies are done come in alphabetical
order.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ContentError

#: What a configuration without a namespace belongs to.
DEFAULT_NAMESPACE = "daf_butler"


@dataclass(frozen=True, slots=True)
class Field:
    """A key or metadata column of an element."""

    name: str
    type: str
    length: int | None = None
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Element:
    """One dimension, or combination of dimensions, of a universe.

    ``required`` and ``implied`` are names in the order of the universe; ``required`` ends with the dimension itself.
    """

    name: str
    required: tuple[str, ...]
    implied: tuple[str, ...]
    keys: tuple[Field, ...]
    metadata: tuple[Field, ...]
    governor: bool
    has_table: bool
    spatial: bool
    temporal: bool

    @property
    def is_dimension(self) -> bool:
        """Whether the element is a dimension of its own, with a key."""
        return bool(self.keys)

    @property
    def key(self) -> Field:
        """The primary key of a dimension."""
        return self.keys[0]

    @property
    def checked_fields(self) -> frozenset[str]:
        """Alternate keys, and metadata that the universe forbids to be NULL: NOT NULL before week 2023.52 only."""
        return frozenset({f.name for f in self.keys[1:]} | {f.name for f in self.metadata if not f.nullable})


class Universe:
    """A dimension universe.

    Parameters
    ----------
    config : `~collections.abc.Mapping`
        The configuration as it is stored in a registry, or in a YAML file.

    Raises
    ------
    ContentError
        The configuration is not that of a universe.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        try:
            self.config = config
            self.namespace = str(config.get("namespace") or DEFAULT_NAMESPACE)
            self.version = int(config["version"])
            self._raw: Mapping[str, Mapping[str, Any]] = config["elements"]
            self._topology: Mapping[str, Mapping[str, Sequence[str]]] = config.get("topology") or {}
            self.order = self._order()
            self._elements = {name: self._element(name) for name in self.order if name in self._raw}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"This is not a dimension universe: {type(error).__name__}: {error}."
            raise ContentError(message, hint="It needs at least version, skypix and elements.") from error

    def __getitem__(self, name: str) -> Element:
        return self._elements[name]

    def __contains__(self, name: object) -> bool:
        return name in self._elements

    def __iter__(self) -> Iterator[Element]:
        return iter(self._elements.values())

    def is_known(self, name: str) -> bool:
        """Return whether a dimension exists, skypix dimensions included."""
        return name in self.order

    def sorted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return names of dimensions in the order of the universe.

        Raises
        ------
        ContentError
            A name is not of this universe.
        """
        unknown = [n for n in names if n not in self.order]
        if unknown:
            message = f"Universe {self.namespace} {self.version} has no dimension {', '.join(unknown)}."
            raise ContentError(message)
        return tuple(sorted(names, key=self.order.__getitem__))

    def implied_by(self, names: Iterable[str]) -> frozenset[str]:
        """Return the dimensions that records of others decide, directly or through further ones.

        They are not among the required dimensions of a group that has those others.
        """
        found: set[str] = set()
        waiting = [name for name in names if name in self]
        while waiting:
            new = set(self[waiting.pop()].implied) - found
            found |= new
            waiting.extend(name for name in new if name in self)
        return frozenset(found)

    @property
    def spatial_families(self) -> tuple[tuple[Element, ...], ...]:
        """Elements with regions, by topology family, those with tables only."""
        families = (self._topology.get("spatial") or {}).values()
        return tuple(tuple(self[n] for n in members if self[n].has_table) for members in families)

    def governor(self, element: Element) -> str:
        """Return the governor dimension that an element belongs to.

        Raises
        ------
        ContentError
            It belongs to none.
        """
        found = next((name for name in element.required if name in self and self[name].governor), None)
        if found is None:
            message = f"The element {element.name} has regions, but none of its dimensions is a governor."
            raise ContentError(message)
        return found

    @property
    def governors(self) -> tuple[Element, ...]:
        """The governor dimensions, in order."""
        return tuple(e for e in self if e.governor)

    def _skypix(self) -> Iterator[tuple[str, int]]:
        for system, settings in (self.config.get("skypix") or {}).items():
            if system != "common":
                # The lowest level of HTM and of HEALPix is 1 in all universes that exist.
                yield system, int(settings["max_level"])

    def _order(self) -> dict[str, int]:
        """Map every name to its position."""
        needs: dict[str, set[str]] = {}
        expands: dict[str, list[str]] = {}
        for system, levels in self._skypix():
            needs[system] = set()
            expands[system] = [f"{system}{level}" for level in range(1, levels + 1)]
        for name, raw in self._raw.items():
            needs[name] = {*(raw.get("requires") or ()), *(raw.get("implies") or ())}
        for kind, families in self._topology.items():
            for family, members in families.items():
                needs[f"{kind}:{family}"] = set(members)
        done: list[str] = []
        while needs:
            ready = sorted(name for name, wanted in needs.items() if wanted.isdisjoint(needs))
            if not ready:
                message = f"The dimensions {', '.join(sorted(needs))} depend on each other in a circle."
                raise ContentError(message)
            for name in ready:
                missing = needs.pop(name) - set(self._raw)
                if missing:
                    message = f"The dimension {name} depends on {', '.join(sorted(missing))}, which is not defined."
                    raise ContentError(message)
            done.extend(item for name in ready for item in expands.get(name, [name]) if ":" not in item)
        return {name: i for i, name in enumerate(done)}

    def _closure(self, name: str) -> set[str]:
        result: set[str] = set()
        for other in self._raw[name].get("requires") or ():
            result |= self._closure(other)
        if self._raw[name].get("keys"):
            result.add(name)
        return result

    def _element(self, name: str) -> Element:
        raw = self._raw[name]
        storage = raw.get("storage") or {}
        nested = storage.get("nested") or {}
        return Element(
            name,
            self.sorted(list(self._closure(name))),
            self.sorted(list(raw.get("implies") or ())),
            tuple(_field(item) for item in raw.get("keys") or ()),
            tuple(_field(item) for item in raw.get("metadata") or ()),
            governor=bool(raw.get("governor")) or "governor" in str(storage.get("cls", "")).rpartition(".")[0],
            has_table="view_of" not in storage and "view_of" not in nested,
            spatial=self._in_family("spatial", name),
            temporal=self._in_family("temporal", name),
        )

    def _in_family(self, kind: str, name: str) -> bool:
        return any(name in members for members in (self._topology.get(kind) or {}).values())


def _field(raw: Mapping[str, Any]) -> Field:
    length = raw.get("length")
    return Field(
        raw["name"], raw["type"], int(length) if length is not None else None, nullable=raw.get("nullable") is not False
    )


# -- documentation strings ----------------------------------------------------


def without_docs(config: Any) -> Any:
    """Return a configuration without its documentation strings, which decide nothing."""
    if isinstance(config, Mapping):
        return {k: without_docs(v) for k, v in config.items() if k != "doc"}
    if isinstance(config, list):
        return [without_docs(v) for v in config]
    return config


def same_universe(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Return whether two configurations differ in documentation strings at most."""
    return bool(without_docs(a) == without_docs(b))


def docs(config: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List the documentation strings of a configuration with the path to each.

    Members of a list are called by their name, so that a path means the same in another version.

    Yields
    ------
    path : `str`
        Such as ``/elements/exposure/metadata/can_see_sky``.
    doc : `str`
        The documentation string there.
    """
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "doc" and isinstance(value, str):
                yield path, value
            else:
                yield from docs(value, f"{path}/{key}")
    elif isinstance(config, list):
        for item in config:
            if isinstance(item, Mapping) and "name" in item:
                yield from docs(item, f"{path}/{item['name']}")


def with_docs(config: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration with other documentation strings.

    Parameters
    ----------
    config : `~collections.abc.Mapping`
        A configuration; it is not changed.
    wanted : `~collections.abc.Mapping` [`str`, `str`]
        Documentation strings by path, as `docs` lists them; what has no entry keeps its own.

    Returns
    -------
    config : `dict`
        A new configuration.
    """
    result = copy.deepcopy(dict(config))
    _replace_docs(result, wanted, "")
    return result


def _replace_docs(config: Any, wanted: Mapping[str, str], path: str) -> None:
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "doc":
                config[key] = wanted.get(path, value)
            else:
                _replace_docs(value, wanted, f"{path}/{key}")
    elif isinstance(config, list):
        for item in config:
            if isinstance(item, Mapping) and "name" in item:
                _replace_docs(item, wanted, f"{path}/{item['name']}")
