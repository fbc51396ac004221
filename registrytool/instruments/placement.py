"""Files of raw data, brought to their place in a local datastore so that a kill at any moment leaves nothing half done.

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
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from registrytool.errors import RegistryStateError, RegistryToolError

from .sources import Source, is_remote, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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


class LocalStore:
    """A datastore in a folder of this machine.

    Parameters
    ----------
    root : `str`
        The folder.
    known : callable
        Returns which of some paths the registry knows; asked after something went wrong.
    """

    def __init__(self, root: str, known: Known) -> None:
        self.root, self._known = root, known

    def resolve(self, transfer: Transfer, files: Sequence[str]) -> Transfer:
        """Return how files are placed if nobody says so."""
        if transfer is not Transfer.AUTO:
            return transfer
        if files and all(self._has(f) for f in files):
            return Transfer.IN_PLACE
        return Transfer.COPY if any(map(is_remote, files)) else Transfer.LINK

    def _has(self, file: str) -> bool:
        return not is_remote(file) and os.path.realpath(file).startswith(os.path.realpath(self.root).rstrip("/") + "/")

    def taken(self, paths: Iterable[str]) -> set[str]:
        """Return which of some paths in the datastore are taken."""
        return {path for path in paths if os.path.lexists(os.path.join(self.root, path))}  # noqa: PTH118 (fast)

    def place_of(self, transfer: Transfer, source: str, path: str, *, taken: bool) -> Placed:
        """Return where a file goes.

        Parameters
        ----------
        transfer : `Transfer`
            How; not `Transfer.AUTO`.
        source : `str`
            Absolute path or URI of the file.
        path : `str`
            Path in the datastore, with suffix, that the template gives.
        taken : `bool`
            Whether there is a file.

        Raises
        ------
        RegistryStateError
            The file should be in the datastore and is not; or there is another file in its place.
        """
        if transfer is Transfer.DIRECT:
            return Placed(source, Source(source).uri, None)
        if transfer is Transfer.IN_PLACE:
            if not self._has(source):
                raise not_in(self.root, source)
            return Placed(source, os.path.relpath(os.path.realpath(source), os.path.realpath(self.root)), None)
        if is_remote(source) and transfer not in (Transfer.COPY, Transfer.MOVE):
            raise no_links(transfer, source)
        target = os.path.join(self.root, path)  # noqa: PTH118 (a path of text, as it is stored)
        if taken:
            if not _same(source, target):
                raise another_file(source, target)
            # It was placed by hand, or by something that did not get to the end.
            return Placed(source, path, None)
        return Placed(source, path, target)

    def recover(self) -> Recovered:
        """Clean up after processes that died."""
        return recover(self.root, self._known)

    def placing(self, transfer: Transfer, files: Sequence[Placed]) -> AbstractContextManager[None]:
        """Place files for a commit, which must be the end of the ``with``."""
        return _placing(self.root, transfer, files, self._known)


def not_in(root: str, source: str) -> RegistryStateError:
    """Return the error for a file that is not in the datastore."""
    message = f"The file {source} is not in the datastore {root}."
    return RegistryStateError(message, hint="Choose another way of transfer, such as copy.")


def no_links(transfer: Transfer, source: str) -> RegistryStateError:
    """Return the error for a link from or to a service."""
    message = f"Cannot {transfer.value} {source}: there are no links from or to other machines."
    return RegistryStateError(message, hint="Choose another way of transfer, such as copy.")


def another_file(source: str, target: str) -> RegistryStateError:
    """Return the error for a file whose place is taken."""
    message = f"There is another file in the place of {source}: {target}."
    return RegistryStateError(message, hint="Remove it if nothing needs it.")


def _same(source: str, target: str) -> bool:
    try:
        with Source(source).as_local() as file:
            return Path(file).samefile(target) or filecmp.cmp(file, target, shallow=False)
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
        partial, self._stream = _own_file(self._path.with_suffix(".part"))
        try:
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
                _remove(file.source)
        self._close()

    def _close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._stream.close()


def _own_file(path: Path) -> tuple[Path, IO[str]]:
    """Make a file that this process has locked, so that `recover` leaves it alone."""
    while True:
        stream = path.open("w", encoding="utf-8")
        fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return path, stream
        # Somebody took it for one of a process that died, before it was locked.
        stream.close()


@contextmanager
def _placing(root: str, transfer: Transfer, files: Sequence[Placed], known: Known) -> Iterator[None]:
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


def _remove(source: str) -> None:
    if is_remote(source):
        with suppress(FileNotFoundError):
            resource(source).remove()
    else:
        Path(source).unlink(missing_ok=True)


def _place(transfer: Transfer, source: str, target: str) -> None:
    """Make a file; it has its name only when it is complete, and never takes the place of another."""
    if transfer in (Transfer.LINK, Transfer.HARDLINK, Transfer.MOVE) and not is_remote(source):
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
        with Source(source).as_local() as file:
            shutil.copy2(file, partial)
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
    for path in sorted(folder.glob("*")):
        try:
            stream = path.open("r+", encoding="utf-8")
        except FileNotFoundError:
            continue
        # A journal has its name only when it is complete; before that nothing was placed.
        content: dict[str, Any] = {"transfer": "", "files": []}
        if path.suffix == ".json":
            content = json.load(stream)
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
                    _remove(source)
                    moved.add(source)
            elif os.path.lexists(target):
                removed += 1
                Path(target).unlink(missing_ok=True)
            for partial in Path(target).parent.glob(f"{_escaped(Path(target).name)}.*.part"):
                partial.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        stream.close()
    return Recovered(removed, frozenset(moved))


def _escaped(name: str) -> str:
    import glob

    return glob.escape(name)
