"""Butler releases: which state each one makes, and which it can read and write (``schemas/releases.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .config import Content, read_yaml
from .errors import ContentError, UnknownVersionError
from .models import MANAGERS, ComponentVersion, Release, State
from .naming import format_week, parse_week, version_key


@dataclass(frozen=True, slots=True)
class Support:
    """Versions that a client has for one component, besides the one it makes by default."""

    component: str
    implementation: str
    version: str


class Releases:
    """What is known of Butler releases.

    Parameters
    ----------
    content : `Content`
        Where the file is.
    """

    def __init__(self, content: Content) -> None:
        self._content = content

    @cached_property
    def _raw(self) -> Mapping[str, Any]:
        path = self._content.schema_file("releases.yaml")
        raw = read_yaml(path)
        if not isinstance(raw, Mapping) or not {"weeks", "releases"} <= raw.keys():
            message = f"{path} does not hold weeks and releases."
            raise ContentError(message)
        return raw

    @cached_property
    def weeks(self) -> list[tuple[tuple[int, int], Mapping[str, Any]]]:
        """Weeks from which on a state held, oldest first, and what the file says of them."""
        return [(parse_week(entry["week"]) or (0, 0), entry) for entry in self._raw["weeks"]]

    def known(self) -> list[Release]:
        """Return all formal releases and the weeks in which something changed, oldest first."""
        result = [Release(format_week(week), format_week(week), self.state_of(entry)) for week, entry in self.weeks]
        result.extend(
            Release(str(entry["release"]), entry.get("state_of"), self.state_of(entry))
            for entry in self._raw["releases"]
        )
        return result

    def find(self, name: str) -> Release:
        """Return what is known of a release.

        Parameters
        ----------
        name : `str`
            ``w_2026_43``, ``30.2026.4300``, ``30.0.11``, ``v30_0_0`` or ``30.0``.

        Raises
        ------
        UnknownVersionError
            There is no such release.
        """
        week = parse_week(name)
        if week is not None:
            entry = next((e for start, e in reversed(self.weeks) if start <= week), None)
            if entry is None or not 1 <= week[1] <= 53:
                raise UnknownVersionError(
                    "Butler release", name, hint=f"The first week is {format_week(self.weeks[0][0])}."
                )
            return Release(format_week(week), str(entry["week"]), self.state_of(entry))
        number = name.removeprefix("v").replace("_", ".")
        if not re.fullmatch(r"\d+(\.\d+)*", number):
            raise UnknownVersionError(
                "Butler release", name, hint="Releases look like w_2026_43, 30.2026.4300 or 30.0.11."
            )
        wanted = version_key(number)
        found = None
        for entry in self._raw["releases"]:
            start = version_key(str(entry["release"]))
            # An entry holds for its patch releases until the next entry.
            if start <= wanted and start[0] == wanted[0]:
                found = entry
        if found is None:
            known = [str(e["release"]) for e in self._raw["releases"]]
            raise UnknownVersionError("Butler release", name, known)
        return Release(name, found.get("state_of"), self.state_of(found))

    def state_of(self, entry: Mapping[str, Any]) -> State:
        """Return the state that an entry of the file says."""
        versions = []
        for component in MANAGERS:
            text = str(entry[component])
            implementation, _, version = text.rpartition(" ")
            if not implementation:
                implementation = next(iter(self._content.implementations[component]))
            versions.append(ComponentVersion(component, implementation, version))
        if entry.get("universe"):
            namespace, _, version = str(entry["universe"]).partition(" ")
            versions.append(ComponentVersion("dimensions-config", namespace, version))
        return State({v.component: v for v in versions})

    # -- who can use a registry -------------------------------------------

    def readers_and_writers(self, state: State) -> tuple[str, str]:
        """Say which weekly releases can read and write a registry.

        Parameters
        ----------
        state : `State`
            State of the registry.

        Returns
        -------
        readers, writers : `str`
            Such as ``"w_2023_14 and later"`` or ``"none"``.
        """
        boundaries = {week for week, _ in self.weeks}
        for item in self._extra:
            boundaries.add(item[1])
            if item[2] is not None:
                boundaries.add(_next_week(item[2]))
        ordered = sorted(boundaries)
        read = [self._access(state, week) in ("read", "write") for week in ordered]
        write = [self._access(state, week) == "write" for week in ordered]
        return _ranges(ordered, read), _ranges(ordered, write)

    def accepted(self, release: Release, component: str, implementation: str) -> str | None:
        """Return the newest version of an implementation that the client of a release has.

        Returns
        -------
        version : `str` or `None`
            `None` if it does not have the implementation.
        """
        week = parse_week(release.name) or parse_week(str(release.since))
        entry = next((e for start, e in reversed(self.weeks) if week is not None and start <= week), None)
        if week is None or entry is None:
            return None
        found = self._supported(component, implementation, release.state, week, entry)
        return max(found, key=version_key, default=None)

    @cached_property
    def _extra(self) -> list[tuple[Support, tuple[int, int], tuple[int, int] | None]]:
        result = []
        for item in (self._raw.get("readable") or {}).get("besides_default") or ():
            until = parse_week(item["until"]) if item.get("until") else None
            support = Support(item["component"], item["implementation"], str(item["version"]))
            result.append((support, parse_week(item["from"]) or (0, 0), until))
        return result

    def _access(self, state: State, week: tuple[int, int]) -> str:
        """Return ``write``, ``read`` or ``none`` for the client of a week."""
        entry = next((e for start, e in reversed(self.weeks) if start <= week), None)
        if entry is None:
            return "none"
        default = self.state_of(entry)
        if default.get("dimensions-config") is None and state.get("dimensions-config") is not None:
            return "none"
        access = "write"
        for component in (*MANAGERS, "obscore"):
            version = state.get(component)
            if version is None:
                continue
            supported = self._supported(component, version.implementation, default, week, entry)
            if component == "datasets" and len(supported) > 1:
                # A client with several versions accepts exactly these.
                found = "write" if version.version in supported else "none"
            else:
                found = min((_rule(s, version.version) for s in supported), key=_RANK.index, default="none")
            access = max(access, found, key=_RANK.index)
        return access

    def _supported(
        self, component: str, implementation: str, default: State, week: tuple[int, int], entry: Mapping[str, Any]
    ) -> list[str]:
        own = default.get(component)
        result = [own.version] if own is not None and own.implementation == implementation else []
        if component == "datasets" and entry.get("supports_datasets"):
            name, *versions = str(entry["supports_datasets"]).split()
            if name == implementation:
                result = versions
        for support, start, end in self._extra:
            if (support.component, support.implementation) != (component, implementation):
                continue
            if start <= week and (end is None or week <= end):
                result.append(own.version if support.version == "same" and own is not None else support.version)
        return result


_RANK = ("write", "read", "none")


def _rule(client: str, stored: str) -> str:
    """Apply the rule by which clients compare versions."""
    try:
        c, s = version_key(client), version_key(stored)
    except ValueError:
        return "none"
    if c[0] != s[0] or c[1] < s[1]:
        return "none"
    return "write" if c[1] == s[1] else "read"


def _next_week(week: tuple[int, int]) -> tuple[int, int]:
    return (week[0], week[1] + 1) if week[1] < 53 else (week[0] + 1, 1)


def _ranges(weeks: list[tuple[int, int]], wanted: list[bool]) -> str:
    """Write the weeks for which something holds, each until the next, as ranges."""
    result = []
    start: tuple[int, int] | None = None
    for week, holds in zip(weeks, wanted, strict=True):
        if holds and start is None:
            start = week
        elif not holds and start is not None:
            result.append(f"{format_week(start)} until before {format_week(week)}")
            start = None
    if start is not None:
        result.append(f"{format_week(start)} and later")
    return ", ".join(result) or "none"
