"""Digests of released files (``schemas/schemas.lock``): what is released never changes again.

Each line has the BLAKE2b digest of a file with its line ends as on Unix, for universes also that of its content
without documentation strings, otherwise ``-``, and the path.  A file that is not in the lock is not released yet.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registrytool.config import read_yaml
from registrytool.errors import ContentError
from registrytool.universe import without_docs

from .sources import Sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from registrytool.config import Content

#: Name of the file in ``schemas/``.
LOCK = "schemas.lock"

#: Bytes of a digest.
_SIZE = 20

_HEADER = """\
# Digests of released schema files, universes and revisions, which never change again.  'registrytool check' compares
# them; 'registrytool check --release' adds what is new.  Nobody edits this file by hand.
"""

_LINE = re.compile(rf"([0-9a-f]{{{2 * _SIZE}}}) ([0-9a-f]{{{2 * _SIZE}}}|-) (\S.*)")


@dataclass(frozen=True, slots=True)
class Locked:
    """A released file.

    Attributes
    ----------
    path : `str`
        Relative to the content folder.
    digest : `str`
        Of the file.
    meaning : `str` or `None`
        Of a universe without its documentation strings.
    line : `int`
        Line in the lock.
    """

    path: str
    digest: str
    meaning: str | None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """What is released, by path; ``faults`` are lines that say nothing, with the reason."""

    files: Mapping[str, Locked]
    faults: tuple[tuple[int, str], ...] = ()


def read_lock(content: Content) -> Lock:
    """Read the lock of a content folder; without the file nothing is released."""
    path = content.schemas / LOCK
    files: dict[str, Locked] = {}
    faults = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            faults.append((number, "it is not two digests and a path"))
        elif match[3] in files:
            faults.append((number, f"{match[3]} is in line {files[match[3]].line} already"))
        else:
            files[match[3]] = Locked(match[3], match[1], None if match[2] == "-" else match[2], number)
    return Lock(files, tuple(faults))


def digest_of(content: Content, path: Path) -> Locked:
    """Compute the digests of a file."""
    meaning = None
    if path.suffix == ".yaml":
        try:
            plain = json.dumps(without_docs(read_yaml(path)), sort_keys=True, default=str)
            meaning = _digest(plain.encode())
        except ContentError:
            meaning = None
    unified = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return Locked(path.relative_to(content.root).as_posix(), _digest(unified), meaning)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_SIZE).hexdigest()


def lockable(content: Content) -> list[Path]:
    """List the files of a content folder that are frozen once they are released."""
    sources = Sources(content)
    scripts = [p for p in content.scripts if sources.owns(p)]
    return sorted([f.path for f in sources.schema_files if f.own] + scripts)


def release(content: Content) -> list[str]:
    """Add all files that are not released yet to the lock; what is in it stays as it is.

    Returns
    -------
    added : `list` [`str`]
        Paths of the new ones.
    """
    lock = read_lock(content)
    found = [digest_of(content, path) for path in lockable(content)]
    added = [item for item in found if item.path not in lock.files]
    if added:
        items = sorted([*lock.files.values(), *added], key=lambda item: item.path)
        lines = [f"{item.digest} {item.meaning or '-'} {item.path}\n" for item in items]
        (content.schemas / LOCK).write_text(_HEADER + "".join(lines), encoding="utf-8")
    return [item.path for item in added]
