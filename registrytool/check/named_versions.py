"""The versions that ``releases.yaml`` and ``drift.yaml`` name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.config import read_yaml
from registrytool.errors import ContentError
from registrytool.models import COMPONENTS, MANAGERS
from registrytool.naming import version_key

from .sources import yaml_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .model import Subject

#: What ``drift.yaml`` says in sentences: ``universe 5``, ``dimensions 6.0.2``.
_IN_TEXT = re.compile(rf"\b(universe|{'|'.join(COMPONENTS)}) (\d+(?:\.\d+)*)\b")


@dataclass(frozen=True, slots=True)
class NamedVersion:
    """A version that a file names.

    Attributes
    ----------
    text : `str`
        How it is called.
    path, line : `pathlib.Path`, `int`
        Where.
    defined, older : `bool`
        Whether there is a schema file, and whether it is older than all that there are of the implementation.
    """

    text: str
    path: Path
    line: int
    defined: bool
    older: bool


def named_versions(subject: Subject) -> list[NamedVersion]:
    """List the versions that the lists of the content name; those of a malformed file are found by another rule."""
    result: list[NamedVersion] = []
    for name, read in (("releases.yaml", _of_releases), ("drift.yaml", _of_drift)):
        path = subject.content.schemas / name
        if not path.exists():
            continue
        try:
            result.extend(read(subject, path))
        except (ContentError, AttributeError, KeyError, TypeError, ValueError):
            continue
    return result


def _of_releases(subject: Subject, path: Path) -> Iterator[NamedVersion]:
    raw, line = read_yaml(path), yaml_lines(path)
    for part in ("weeks", "releases"):
        for number, entry in enumerate(raw[part]):
            for key, component in (*((c, c) for c in MANAGERS), ("universe", "dimensions-config")):
                if entry.get(key) is not None:
                    yield _judge(subject, component, str(entry[key]), path, line(part, number, key))
            if entry.get("supports_datasets"):
                name, *versions = str(entry["supports_datasets"]).split()
                for version in versions:
                    yield _judge(
                        subject, "datasets", f"{name} {version}", path, line(part, number, "supports_datasets")
                    )
    yield from _of_readable(subject, raw.get("readable") or {}, path, line)


def _of_readable(
    subject: Subject, raw: Mapping[str, Any], path: Path, line: Callable[..., int]
) -> Iterator[NamedVersion]:
    for component, texts in (raw.get("newest") or {}).items():
        if component in COMPONENTS:
            for number, text in enumerate(texts):
                yield _judge(subject, component, str(text), path, line("readable", "newest", component, number))
    for number, item in enumerate(raw.get("besides_default") or ()):
        if item["version"] != "same":
            text = f"{item['implementation']} {item['version']}"
            yield _judge(subject, item["component"], text, path, line("readable", "besides_default", number, "version"))


def _of_drift(subject: Subject, path: Path) -> Iterator[NamedVersion]:
    line = yaml_lines(path)
    for number, item in enumerate(read_yaml(path)):
        for key in ("summary", "era", "origin"):
            for component, version in _IN_TEXT.findall(str(item.get(key) or "")):
                found = "dimensions-config" if component == "universe" else component
                yield _judge(subject, found, version, path, line(number, key))


def _judge(subject: Subject, component: str, text: str, path: Path, line: int) -> NamedVersion:
    implementation, _, version = text.rpartition(" ")
    known = subject.catalog.versions.get(component, {})
    candidates: Sequence[tuple[str, ...]] = (
        [known[implementation]] if implementation in known else [] if implementation else list(known.values())
    )
    defined = any(version in versions for versions in candidates)
    try:
        older = any(versions and version_key(version) < version_key(versions[0]) for versions in candidates)
    except ValueError:
        older = False
    return NamedVersion(f"{component} {text}", path, line, defined, older)
