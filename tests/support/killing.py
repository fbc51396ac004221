"""Commands of registrytool that kill themselves at a chosen point: before a statement, before or after a commit.

They run in a forked process: to import everything anew would take longer than most of them.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class _Ended:
    status: int
    points: list[str]
    said: str


def points_of(*words: object) -> list[str]:
    """Run a command to its end; return the points that it passes."""
    done = _run(0, words)
    assert done.status == 0, done.said
    return done.points


def killed_at(number: int, *words: object) -> bool:
    """Run a command that kills itself before its point of this number, from 1 on; return whether it came there."""
    done = _run(number, words)
    assert done.status in (0, -signal.SIGKILL), done.said
    return done.status != 0


def watch(passed: Callable[[str], None]) -> Callable[[], None]:
    """Let a function be told of each statement, commit and closed session of this process before it happens.

    Returns
    -------
    stop : callable
        Ends that.
    """

    def statement(_connection: object, _cursor: object, text: str, *_: object) -> None:
        passed(" ".join(text.split()))

    def commit(_connection: object) -> None:
        passed("COMMIT")

    def close(*_: object) -> None:
        passed("CLOSE")

    listened = (
        (Engine, "before_cursor_execute", statement),
        (Engine, "commit", commit),
        (Pool, "close", close),
    )
    for what in listened:
        event.listen(*what)

    def stop() -> None:
        for what in listened:
            event.remove(*what)

    return stop


def stop_when_locked() -> None:
    """Let this process stand still as soon as it has the run lock."""
    asked = stood = False

    def pass_by(text: str) -> None:
        nonlocal asked, stood
        if asked and not stood:
            stood = True
            os.kill(os.getpid(), signal.SIGSTOP)
        asked = text == "BEGIN IMMEDIATE" or "pg_try_advisory_lock(" in text

    watch(pass_by)


def _run(at: int, words: tuple[object, ...]) -> _Ended:
    with tempfile.TemporaryDirectory() as folder:
        written, said = Path(folder) / "points", Path(folder) / "said"
        process = os.fork()
        if process == 0:
            _child(at, [str(word) for word in words], written, said)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        points = written.read_text(encoding="utf-8").split("\n") if written.exists() else []
        return _Ended(status, points, said.read_text(encoding="utf-8"))


def _child(at: int, words: list[str], written: Path, said: Path) -> NoReturn:
    """Run a command in this process, which must never come back to the test."""
    status = 1
    seen: list[str] = []

    def pass_by(text: str) -> None:
        seen.append(text)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (this process ends soon)
        sys.stdout = sys.stderr = said.open("w", encoding="utf-8")
        sys.argv = ["registrytool", *words]
        watch(pass_by)
        from registrytool.cli import main

        try:
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001 (the test reads what it was)
            traceback.print_exc()
        written.write_text("\n".join(seen), encoding="utf-8")
        sys.stdout.flush()
    finally:
        os._exit(status)
