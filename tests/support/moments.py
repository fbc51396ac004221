"""Work in a forked process that ends itself, as by SIGKILL, at a chosen moment: around a commit, before a file changes.

To fork takes milliseconds where a new process would have to import everything, so that many moments can be tried.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Exit status of a process that ended itself at its moment.
KILLED = 77
#: Files that come, go or change; a file that is opened counts if it is written.
_CHANGES = ("os.remove", "os.rename", "os.link", "os.symlink", "os.truncate", "open")
_READING = ("SELECT", "PRAGMA", "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "LOCK", "SET")


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes
    ----------
    killed : `bool`
        Whether it came to its moment, and ended itself.
    moments : `tuple` [`str`, ...]
        Kinds of the moments that it passed, if it came to its end: ``write``, ``before commit``, ``after commit``,
        ``file``.
    answer : object
        What the work returned, as JSON gives it.
    """

    killed: bool
    moments: tuple[str, ...] = ()
    answer: Any = None


def run_until(work: Callable[[], Any], folders: Sequence[Path], log: Path, moment: int | None = None) -> Ended:
    """Do something in a forked process.

    Parameters
    ----------
    work : callable
        What to do; its result must be JSON.
    folders : sequence of `~pathlib.Path`
        Where files matter.
    log : `~pathlib.Path`
        A file for the result.
    moment : `int`, optional
        Number of the moment at which the process ends itself; without it, it comes to its end.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            moments = _Moments(tuple(f"{os.path.realpath(f)}/" for f in folders), moment)
            moments.watch()
            answer = work()
            moments.over = True
            log.write_text(json.dumps([moments.passed, answer]), encoding="utf-8")
            status = 0
        except BaseException:
            import traceback

            log.write_text(traceback.format_exc(), encoding="utf-8")
            raise
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status == KILLED:
        return Ended(killed=True)
    assert status == 0, log.read_text(encoding="utf-8")
    passed, answer = json.loads(log.read_text(encoding="utf-8"))
    return Ended(killed=False, moments=tuple(passed), answer=answer)


class _Moments:
    """Listens to databases and files, in a process that ends soon."""

    def __init__(self, folders: tuple[str, ...], moment: int | None) -> None:
        self.passed: list[str] = []
        self.over = False
        self._folders, self._moment = folders, moment

    def watch(self) -> None:
        """Begin to listen."""
        sa.event.listen(sa.Engine, "before_cursor_execute", self._statement)
        commit = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            self._pass("before commit")
            commit(dialect, connection)  # type: ignore[no-untyped-call]
            self._pass("after commit")

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
        sys.addaudithook(self._audit)

    def _statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(_READING):
            self._pass("write")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.over or event not in _CHANGES or (event == "open" and not self._writes(arguments)):
            return
        if any(self._matters(path) for path in arguments):
            self._pass("file")

    def _writes(self, arguments: tuple[Any, ...]) -> bool:
        return isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))

    def _matters(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.path.abspath(path).startswith(self._folders)  # noqa: PTH100

    def _pass(self, kind: str) -> None:
        if self._moment == len(self.passed):
            os._exit(KILLED)
        self.passed.append(kind)
