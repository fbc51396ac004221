"""Files of raw data, brought to their place in a datastore so that a kill at any moment leaves nothing half done.

Before the first file is placed, a journal in the datastore says which files are going to be.  It is locked as long as
its process lives, and deleted after the commit.  The next run finds the journals of processes that have died: files of
which the registry knows stay, all others go.
"""

from __future__ import annotations

import enum
import fcntl
import filecmp
import json
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from registrytool.errors import RegistryStateError, RegistryToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Known = Callable[[Sequence[str]], set[str]]

#: Folder of the journals, in the datastore.
JOURNALS = ".registrytool-ingest"


class Transfer(enum.StrEnum):
    """How files get to their place."""

    AUTO = "auto"  # in place where they are in the datastore already, else link
    COPY = "copy"
    MOVE = "move"
    LINK = "link"  # hardlink, or symlink where that cannot be
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    RELSYMLINK = "relsymlink"
    DIRECT = "direct"  # stay where they are, and the registry names that place
    IN_PLACE = "in-place"  # are in the datastore already


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a file goes.

    Attributes
    ----------
    source : `str`
        Absolute path of the file.
    path : `str`
        What the registry says: a path relative to the datastore, or a URI.
    target : `str` or `None`
        Absolute path of the new file; `None` if none is made.
    """

    source: str
    path: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What processes that died had left.

    Attributes
    ----------
    removed : `int`
        Number of files that were placed, and that the registry does not know; they are gone.
    moved : `frozenset` [`str`]
        Files that were ingested, and only had to be removed from where they were.
    """

    removed: int
    moved: frozenset[str]


def resolve(transfer: Transfer, root: str, files: Sequence[str]) -> Transfer:
    """Return how files are placed if nobody says so."""
    if transfer is not Transfer.AUTO:
        return transfer
    return Transfer.IN_PLACE if files and all(_inside(root, f) for f in files) else Transfer.LINK


def _inside(root: str, file: str) -> bool:
    return os.path.realpath(file).startswith(os.path.realpath(root).rstrip("/") + "/")


def place_of(transfer: Transfer, root: str, source: str, path: str) -> Placed:
    """Return where a file goes.

    Parameters
    ----------
    transfer : `Transfer`
        How; not `Transfer.AUTO`.
    root : `str`
        Folder of the datastore.
    source : `str`
        Absolute path of the file.
    path : `str`
        Path in the datastore, with suffix, that the template gives.

    Raises
    ------
    RegistryStateError
        The file should be in the datastore and is not; or there is another file in its place.
    """
    if transfer is Transfer.DIRECT:
        return Placed(source, f"file://{quote(source)}", None)
    if transfer is Transfer.IN_PLACE:
        if not _inside(root, source):
            message = f"The file {source} is not in the datastore {root}."
            raise RegistryStateError(message, hint="Choose another way of transfer, such as copy.")
        return Placed(source, os.path.relpath(os.path.realpath(source), os.path.realpath(root)), None)
    target = os.path.join(root, path)  # noqa: PTH118 (a path of text, as it is stored)
    if os.path.lexists(target):
        if not _same(source, target):
            message = f"There is another file in the place of {source}: {target}."
            raise RegistryStateError(message, hint="Remove it if nothing needs it.")
        # It was placed by hand, or by something that did not get to the end.
        return Placed(source, path, None)
    return Placed(source, path, target)


def _same(source: str, target: str) -> bool:
    try:
        return Path(source).samefile(target) or filecmp.cmp(source, target, shallow=False)
    except OSError:
        return False


class Journal:
    """Which files are going to be placed, and what is to be done after the commit."""

    def __init__(self, root: str, transfer: Transfer, files: Sequence[Placed]) -> None:
        self._transfer = transfer
        self._files = [f for f in files if f.target is not None]
        folder = Path(root) / JOURNALS
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{uuid.uuid4()}.json"
        self._made: list[str] = []
        # Locked before it has a name that others look for.
        partial = self._path.with_suffix(".part")
        self._stream = partial.open("w", encoding="utf-8")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX)
            content = {"transfer": transfer.value, "files": [[f.source, f.path, f.target] for f in self._files]}
            json.dump(content, self._stream)
            self._stream.flush()
            os.fsync(self._stream.fileno())
            partial.rename(self._path)
        except BaseException:
            self._stream.close()
            partial.unlink(missing_ok=True)
            raise

    def place(self) -> None:
        """Place the files.

        Raises
        ------
        RegistryStateError
            A file cannot be placed; those before it are gone again.
        """
        for file in self._files:
            assert file.target is not None  # noqa: S101 (chosen so)
            try:
                os.makedirs(os.path.dirname(file.target), exist_ok=True)  # noqa: PTH103, PTH120
                _place(self._transfer, file.source, file.target)
            except OSError as error:
                message = f"Cannot {self._transfer.value} {file.source} to {file.target}: {error.strerror or error}."
                raise RegistryStateError(message) from error
            self._made.append(file.target)

    def undo(self) -> None:
        """Remove what was placed."""
        for target in self._made:
            Path(target).unlink(missing_ok=True)
        self._close()

    def abandon(self) -> None:
        """Leave all to `recover`, since nobody knows whether the commit came about."""
        self._stream.close()

    def done(self) -> None:
        """Finish after the commit: moved files are removed from where they were."""
        if self._transfer is Transfer.MOVE:
            for file in self._files:
                Path(file.source).unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._stream.close()


@contextmanager
def placing(root: str, transfer: Transfer, files: Sequence[Placed], known: Known) -> Iterator[None]:
    """Place files for a commit, which must be the end of the ``with``.

    Parameters
    ----------
    root : `str`
        Folder of the datastore.
    transfer : `Transfer`
        How; not `Transfer.AUTO`.
    files : `~collections.abc.Sequence` [`Placed`]
        The files.
    known : callable
        Returns which of some paths the registry knows; asked if something goes wrong.
    """
    if not any(f.target for f in files):
        yield
        return
    journal = Journal(root, transfer, files)
    try:
        journal.place()
    except BaseException:
        journal.undo()
        raise
    try:
        yield
    except BaseException:
        journal.abandon()
        # Where the registry cannot be asked, the next run does this.
        with suppress(RegistryToolError):
            recover(root, known)
        raise
    journal.done()


def _place(transfer: Transfer, source: str, target: str) -> None:
    """Make a file; it has its name only when it is complete, and never takes the place of another."""
    if transfer in (Transfer.LINK, Transfer.HARDLINK, Transfer.MOVE):
        try:
            os.link(os.path.realpath(source), target)
        except OSError:
            # Another file system, or one that has no such links.
            if transfer is Transfer.HARDLINK or os.path.lexists(target):
                raise
        else:
            return
    if transfer in (Transfer.LINK, Transfer.SYMLINK, Transfer.RELSYMLINK):
        folder = os.path.realpath(os.path.dirname(target))  # noqa: PTH120
        Path(target).symlink_to(os.path.relpath(source, folder) if transfer is Transfer.RELSYMLINK else source)
        return
    partial = f"{target}.{uuid.uuid4().hex}.part"
    try:
        shutil.copy2(source, partial)
        os.link(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def recover(root: str, known: Known) -> Recovered:
    """Clean up after processes that died.

    Parameters
    ----------
    root : `str`
        Folder of the datastore.
    known : callable
        Returns which of some paths the registry knows.

    Returns
    -------
    recovered : `Recovered`
        What was found.
    """
    folder = Path(root) / JOURNALS
    dead, busy = [], set()
    for path in sorted(folder.glob("*.json")):
        try:
            stream = path.open("r+", encoding="utf-8")
        except FileNotFoundError:
            continue
        content = _content(stream)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            busy |= {target for _, _, target in content["files"]}
            stream.close()
            continue
        dead.append((path, stream, content))
    removed = 0
    moved: set[str] = set()
    for path, stream, content in dead:
        there = known([p for _, p, _ in content["files"]])
        for source, file, target in content["files"]:
            if target in busy:
                continue
            if file in there:
                if content["transfer"] == Transfer.MOVE.value and os.path.lexists(target):
                    Path(source).unlink(missing_ok=True)
                    moved.add(source)
            elif os.path.lexists(target):
                removed += 1
                Path(target).unlink(missing_ok=True)
            for partial in Path(target).parent.glob(f"{_escaped(Path(target).name)}.*.part"):
                partial.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        stream.close()
    return Recovered(removed, frozenset(moved))


def _content(stream: IO[str]) -> Any:
    # A journal has its name only when it is complete.
    return json.load(stream)


def _escaped(name: str) -> str:
    import glob

    return glob.escape(name)
