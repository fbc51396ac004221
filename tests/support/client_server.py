#!/usr/bin/env python3
"""Run programs for which the Butler client need not be imported again.

Run by the Python of a client environment. Importing the client takes 1.5 s,
more than most of what the tests ask of it. Each request is carried out by a
fork, so that nothing the client keeps in memory, such as dimension universes,
gets from one repository to the next.

Requests and answers are lines of JSON on standard input and output: arguments
(the first is the program) and environment; status, stdout and stderr. Asked to
begin only, the server answers with a number, and gives the rest when it is
asked to finish that number: so several programs run at the same time.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from pathlib import Path
from typing import IO, Any

PRELOADED = (
    "lsst.daf.butler",
    "lsst.daf.butler.direct_butler",
    "astropy.time",
    "psycopg2.extras",
    "sqlalchemy",
    "yaml",
)


class Running:
    """A program that runs in a fork of this process.

    Parameters
    ----------
    request
        Its arguments and environment.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        # They are closed when they have been read.
        self.stdout, self.stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                status = run(request, self.stdout, self.stderr)
            finally:
                # Without what Python does at its end: that is for the parent.
                os._exit(status)

    def finish(self) -> dict[str, Any]:
        """Wait until it ends, and return what came of it."""
        _, status = os.waitpid(self.process, 0)
        with self.stdout, self.stderr:
            return {
                "status": os.waitstatus_to_exitcode(status),
                "stdout": content(self.stdout),
                "stderr": content(self.stderr),
            }


def answer(request: dict[str, Any], begun: dict[int, Running]) -> dict[str, Any]:
    """Run one program, or begin or finish that, and return what came of it."""
    if "finish" in request:
        return begun.pop(request["finish"]).finish()
    running = Running(request)
    if not request["begin"]:
        return running.finish()
    begun[running.process] = running
    return {"number": running.process}


def content(file: IO[bytes]) -> str:
    """Return the whole text of a file."""
    file.seek(0)
    return file.read().decode()


def run(request: dict[str, Any], stdout: IO[bytes], stderr: IO[bytes]) -> int:
    """Run one program in this process, and return its status."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in enumerate((nothing, stdout.fileno(), stderr.fileno())):
        os.dup2(source, descriptor)
    os.environ.update(request["environment"])
    sys.argv = list(request["arguments"])
    # As if the program had been started: it finds its neighbours.
    sys.path[0] = str(Path(sys.argv[0]).parent)
    status = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the requester gets to see it
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def main() -> int:
    """Serve until standard input ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    # The forks end long before garbage matters, and looking for it is half of what opening a repository takes.
    gc.collect()
    gc.freeze()
    gc.disable()
    begun: dict[int, Running] = {}
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line), begun)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
