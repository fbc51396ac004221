"""Files of datastores: deleting them, and seeing which there are."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .datastore import Datastore


def artifact_path(path: str) -> str | None:
    """Return the file of a record within its datastore.

    Parameters
    ----------
    path : `str`
        Path of the record: what follows a ``#`` names a member of an archive.

    Returns
    -------
    artifact : `str` or `None`
        Path relative to the root; `None` for a file elsewhere, which the datastore refers to and does not own.
    """
    if _ORDINARY.fullmatch(path):
        return path
    if urlsplit(path).scheme or path.startswith("/"):
        return None
    found = posixpath.normpath(path.partition("#")[0])
    return None if found.startswith("..") or found in (".", "") else found


#: Relative paths that are normal as they are, with nothing in them that could mean something else.
_ORDINARY = re.compile(r"(?:[\w=+,~@-][\w=+,~@.-]*/)*[\w=+,~@-][\w=+,~@.-]*", re.ASCII)


@dataclass(slots=True)
class Outcome:
    """What came of deleting files."""

    deleted: int = 0
    missing: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Artifacts:
    """The files of one datastore.

    Parameters
    ----------
    store : `Datastore`
        The datastore.

    Raises
    ------
    ConfigurationError
        Its files are not on this machine, and the extra for other places is not installed.
    """

    def __init__(self, store: Datastore) -> None:
        self.store = store
        self._remote = None if store.is_local else _resource_path(store)
        self._folder = Path(unquote(urlsplit(store.root).path) if "://" in store.root else store.root)
        self._prefix = f"{self._folder}/"

    def delete(self, paths: Iterable[str]) -> Outcome:
        """Delete files.

        Parameters
        ----------
        paths : iterable of `str`
            Paths relative to the root.
        """
        outcome = Outcome()
        for path in paths:
            try:
                if self._remote is None:
                    # Not by an object for each path: there can be millions.
                    os.unlink(self._prefix + path)  # noqa: PTH108
                else:
                    self._remote.join(quote(path), forceDirectory=False).remove()
                outcome.deleted += 1
            except FileNotFoundError:
                outcome.missing += 1
            except IsADirectoryError:
                outcome.failures[path] = "it is a folder"
            except OSError as error:
                outcome.failures[path] = error.strerror or type(error).__name__
            except Exception as error:  # noqa: BLE001 (each service has its own errors)
                outcome.failures[path] = f"{type(error).__name__}: {error}".partition("\n")[0]
        return outcome

    def exists(self, path: str) -> bool:
        """Return whether there is a file."""
        if self._remote is None:
            return (self._folder / path).exists()
        return bool(self._remote.join(quote(path), forceDirectory=False).exists())

    def walk(self, *, without: Sequence[Path] = ()) -> Iterator[str]:
        """List all files.

        Parameters
        ----------
        without : sequence of `~pathlib.Path`, optional
            Files and folders that are passed over.

        Yields
        ------
        path : `str`
            Path relative to the root.
        """
        if self._remote is not None:
            for folder, _, files in self._remote.walk():
                for name in files:
                    yield unquote(folder.join(name, forceDirectory=False).relative_to(self._remote) or name)
            return
        passed_over = {os.fspath(path) for path in without}
        stack = [os.fspath(self._folder)]
        start = len(stack[0].rstrip("/")) + 1
        while stack:
            try:
                entries = sorted(os.scandir(stack.pop()), key=lambda e: e.name)
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.path in passed_over:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    yield entry.path[start:]


def _resource_path(store: Datastore) -> Any:
    try:
        from lsst.resources import ResourcePath
    except ImportError:
        message = f"The files of {store.name} are at {store.root}, which is not a folder of this machine."
        raise ConfigurationError(
            message, hint="Install the extra for that: pip install 'registrytool[datastore]'."
        ) from None
    return ResourcePath(store.root, forceDirectory=True)
