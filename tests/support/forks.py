"""Programs in forked processes: processes of their own, that need not import everything anew.

To start Python and to import what a command needs takes half a second of CPU, longer than most of what it does then.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Forked:
    """A program that runs in a fork of this process, in a process group of its own.

    Parameters
    ----------
    program : callable
        The program; it finds its words in ``sys.argv``, and may raise `SystemExit`.
    *words : `object`
        Words of its command line, the first is its name; each as ``str`` gives it.
    environment : `dict` [`str`, `str`], optional
        Environment variables that it has besides those of this process.
    folder : `~pathlib.Path`, optional
        Where it runs.
    stderr : `int`, optional
        File descriptor for what it says, instead of a file that `communicate` reads.
    """

    def __init__(
        self,
        program: Callable[[], object],
        *words: object,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stderr: int | None = None,
    ) -> None:
        self.returncode: int | None = None
        self._words = [str(word) for word in words]
        # They are closed when they have been read.
        self._stdout, self._stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.pid = os.fork()
        if self.pid == 0:
            outputs = (self._stdout.fileno(), self._stderr.fileno() if stderr is None else stderr)
            _run(program, self._words, dict(environment or {}), folder, outputs)

    def poll(self) -> int | None:
        """Return the status, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, and return its status.

        Raises
        ------
        subprocess.TimeoutExpired
            It runs longer than so many seconds.
        """
        if timeout is None and self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        deadline = time.monotonic() + (timeout or 0.0)
        while (status := self.poll()) is None:
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(self._words, timeout or 0.0)
            time.sleep(min(0.002, max(deadline - time.monotonic(), 0.0)))
        return status

    def kill(self) -> None:
        """Kill it and all that it started, unless it has ended."""
        if self.poll() is None:
            # It becomes the leader of its group as the first thing that it does, which can be just now.
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it ends, and return all that it wrote to standard output and standard error."""
        self.wait(timeout)
        told = []
        for file in (self._stdout, self._stderr):
            with file:
                file.seek(0)
                told.append(file.read().decode())
        return told[0], told[1]


def finished(
    program: Callable[[], object],
    *words: object,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the parameters are those of `Forked`."""
    process = Forked(program, *words, environment=environment, folder=folder)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process._words, process.wait(), stdout, stderr)


def registrytool() -> None:
    """Run the command line of registrytool, as its program does."""
    from registrytool.cli import main

    main()


def file(path: Path) -> Callable[[], object]:
    """Return the program that is in a file."""
    return lambda: runpy.run_path(str(path), run_name="__main__")


def _run(
    program: Callable[[], object],
    words: list[str],
    environment: dict[str, str],
    folder: Path | None,
    outputs: tuple[int, int],
) -> NoReturn:
    """Run a program in this process, which must never come back to the test."""
    status = 1
    try:
        os.setsid()
        for descriptor, source in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
            os.dup2(source, descriptor)
        # What pytest has put there is not for this process.
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(n, mode, encoding="utf-8", closefd=False) for n, mode in enumerate(("r", "w", "w"))
        )
        os.environ.update(environment)
        if folder is not None:
            os.chdir(folder)
        sys.argv = words
        try:
            program()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                sys.stderr.write(f"{ended.code}\n")
        except BaseException:  # noqa: BLE001 (the test reads what it was)
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
