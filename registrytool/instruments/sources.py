"""Files that are read: of this machine, or of a service that lsst-resources knows (extra ``datastore``)."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_remote(name: str) -> bool:
    """Return whether a name is that of a file of a service, and not of this machine."""
    return _REMOTE.match(name) is not None and not name.startswith("file:")


def resource(name: str, *, folder: bool = False) -> Any:
    """Return the `lsst.resources.ResourcePath` of a URI.

    Raises
    ------
    ConfigurationError
        lsst-resources is not installed, or does not know such a service.
    """
    try:
        from lsst.resources import ResourcePath
    except ImportError:
        message = f"{name} is not on this machine, and the package lsst-resources is not installed."
        hint = "Install the extra for that: pip install 'registrytool[datastore]'."
        raise ConfigurationError(message, hint=hint) from None
    try:
        return ResourcePath(name, forceDirectory=folder)
    except ImportError as error:
        scheme = urlsplit(name).scheme
        message = f"Cannot reach {name}: {reason_of(error)}."
        raise ConfigurationError(message, hint=f"Try 'pip install lsst-resources[{scheme}]'.") from error
    except (NotImplementedError, RuntimeError) as error:
        message = f"Cannot reach {name}: {reason_of(error)}."
        raise ConfigurationError(message) from error


def reason_of(error: BaseException) -> str:
    """Return why a file cannot be reached, without a period."""
    text = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return " ".join(str(text).split()).rstrip(".")[:300] or type(error).__name__


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is read.

    Attributes
    ----------
    name : `str`
        Absolute path, or URI of a service.
    """

    name: str

    @property
    def is_remote(self) -> bool:
        """Whether the file belongs to a service."""
        return is_remote(self.name)

    @property
    def uri(self) -> str:
        """URI, in which no character of a path means anything else."""
        return self.name if self.is_remote else f"file://{quote(self.name)}"

    def size(self) -> int:
        """Return how many bytes the file has."""
        return int(resource(self.name).size()) if self.is_remote else os.stat(self.name).st_size  # noqa: PTH116 (fast)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the file for reading, at any position."""
        if not self.is_remote:
            with open(self.name, "rb") as stream:  # noqa: PTH123 (fast)
                yield stream
            return
        with resource(self.name).open("rb") as stream:
            yield stream

    @contextmanager
    def as_local(self) -> Iterator[str]:
        """Return the path of the file, or of a copy of it."""
        if not self.is_remote:
            yield self.name
            return
        with resource(self.name).as_local() as local:
            yield local.ospath

    def sibling(self, name: str) -> Source:
        """Return a file beside this one; the name can lead into other folders."""
        if self.is_remote:
            return Source(str(resource(self.name).dirname().join(quote(name), forceDirectory=False)))
        return Source(str(Path(self.name).parent / name))

    def exists(self) -> bool:
        """Return whether there is such a file."""
        return bool(resource(self.name).exists()) if self.is_remote else os.path.exists(self.name)  # noqa: PTH110 (fast)


def find_files(places: Iterable[str | Path], pattern: str = r".*\.fits?(\.fz|\.gz)?") -> list[str]:
    """Return the files in some places.

    Parameters
    ----------
    places : `~collections.abc.Iterable` [`str` or `~pathlib.Path`]
        Files, which are taken as they are, and folders, which are searched for files; of this machine, or URIs.  The
        URI of a folder ends with a slash.
    pattern : `str`, optional
        Regular expression for the whole name of a file in a folder.

    Returns
    -------
    files : `list` [`str`]
        Absolute paths and URIs, each once, those of a folder in order; also folders that cannot be searched.

    Raises
    ------
    ConfigurationError
        A place does not exist, or the pattern is malformed.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        message = f"{pattern!r} is not a regular expression: {error}."
        raise ConfigurationError(message) from error
    found: dict[str, None] = {}
    for place in map(str, places):
        if is_remote(place):
            found |= dict.fromkeys(_remote_files(place, wanted))
            continue
        path = os.path.abspath(unquote(urlsplit(place).path) if place.startswith("file:") else place)  # noqa: PTH100
        if os.path.isdir(path):  # noqa: PTH112 (fast)
            refused: list[OSError] = []
            for folder, folders, names in os.walk(path, onerror=refused.append):
                folders.sort()
                found |= {os.path.join(folder, n): None for n in sorted(names) if wanted.fullmatch(n)}  # noqa: PTH118
            # Reading them says what is wrong, and does not stop the rest.
            found |= {str(error.filename): None for error in refused}
        elif os.path.lexists(path):
            found[path] = None  # links stay links
        else:
            message = f"There is no file or folder {place}."
            raise ConfigurationError(message)
    return list(found)


def _remote_files(place: str, wanted: re.Pattern[str]) -> list[str]:
    uri = resource(place, folder=place.endswith("/"))
    try:
        if not uri.isdir():
            found = [str(uri)] if uri.exists() else []
        else:
            found = sorted(
                str(folder.join(quote(name), forceDirectory=False))
                for folder, _, names in uri.walk()
                for name in names
                if wanted.fullmatch(name)
            )
    except Exception as error:
        message = f"Cannot look for files in {place}: {reason_of(error)}."
        raise ConfigurationError(message) from error
    if not found and not place.endswith("/"):
        message = f"There is no file or folder {place}."
        raise ConfigurationError(message)
    return found
