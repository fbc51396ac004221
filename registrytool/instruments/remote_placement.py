"""Files of raw data, brought to a datastore of a service, such as S3, by lsst-resources (extra ``datastore``).

A file is complete as soon as the service shows it, and the registry knows of it only after that.  A process that is
killed in between leaves files of which the registry does not know: the same command takes them as they are, since they
are the same, and ``registrytool dataset orphans`` finds them otherwise.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from registrytool.errors import RegistryStateError, RegistryToolError

from .placement import Placed, Recovered, Transfer, another_file, no_links, not_in
from .sources import Source, reason_of, resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .placement import Known

#: How many files are on their way at once.
_AT_ONCE = 16


class RemoteStore:
    """A datastore of a service.

    Parameters
    ----------
    root : `str`
        URI of its root.
    known : callable
        Returns which of some paths the registry knows; asked after something went wrong.
    """

    def __init__(self, root: str, known: Known) -> None:
        self.root, self._known = root, known
        self._folder = resource(root, folder=True)

    def _target(self, path: str) -> Any:
        return self._folder.join(quote(path), forceDirectory=False)

    def _path(self, source: str) -> str | None:
        """Return the path of a file in the datastore, `None` if it is not there."""
        inside = resource(Source(source).uri).relative_to(self._folder)
        return None if inside is None else unquote(inside)

    def resolve(self, transfer: Transfer, files: Sequence[str]) -> Transfer:
        """Return how files are placed if nobody says so."""
        if transfer is not Transfer.AUTO:
            return transfer
        return Transfer.IN_PLACE if files and all(self._path(f) is not None for f in files) else Transfer.COPY

    def taken(self, paths: Iterable[str]) -> set[str]:
        """Return which of some paths in the datastore are taken."""
        targets = {self._target(path): path for path in paths}
        try:
            there = self._folder.mexists(targets, num_workers=_AT_ONCE)
        except Exception as error:
            message = f"Cannot see which files {self.root} has: {reason_of(error)}."
            raise RegistryStateError(message) from error
        return {path for target, path in targets.items() if there[target]}

    def place_of(self, transfer: Transfer, source: str, path: str, *, taken: bool) -> Placed:
        """Return where a file goes, as `LocalStore.place_of` does."""
        if transfer is Transfer.DIRECT:
            return Placed(source, Source(source).uri, None)
        if transfer is Transfer.IN_PLACE:
            inside = self._path(source)
            if inside is None:
                raise not_in(self.root, source)
            return Placed(source, inside, None)
        if transfer not in (Transfer.COPY, Transfer.MOVE):
            raise no_links(transfer, source)
        target = self._target(path)
        if taken:
            origin = resource(Source(source).uri)
            if origin.size() != target.size() or origin.read() != target.read():
                raise another_file(source, str(target))
            return Placed(source, path, None)
        return Placed(source, path, str(target))

    def recover(self) -> Recovered:
        """Return that nothing is known of processes that died."""
        return Recovered(0, frozenset())

    @contextmanager
    def placing(self, transfer: Transfer, files: Sequence[Placed]) -> Iterator[None]:
        """Place files for a commit, which must be the end of the ``with``."""
        wanted = [f for f in files if f.target is not None]
        made: list[Placed] = []
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda file: self._copy(file, made), wanted))
            yield
        except BaseException:
            # Nobody knows whether the commit came about.
            with suppress(RegistryToolError):
                there = self._known([f.path for f in made])
                self._remove([self._target(f.path) for f in made if f.path not in there])
            raise
        if transfer is Transfer.MOVE:
            self._remove([resource(Source(f.source).uri) for f in wanted])

    def _copy(self, file: Placed, made: list[Placed]) -> None:
        try:
            self._target(file.path).transfer_from(resource(Source(file.source).uri), transfer="copy")
        except Exception as error:
            message = f"Cannot copy {file.source} to {file.target}: {reason_of(error)}."
            raise RegistryStateError(message) from error
        made.append(file)

    @staticmethod
    def _remove(uris: Sequence[Any]) -> None:
        for uri in uris:
            with suppress(FileNotFoundError):
                uri.remove()
