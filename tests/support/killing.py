"""Commands of registrytool that kill themselves at a chosen point: before a statement, before or after a commit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

#: Counts statements, commits and closed sessions; kills itself before one of them, or writes them all down.
_PROGRAM = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

at, written, seen = int(sys.argv.pop(1)), sys.argv.pop(1), []

def pass_by(text):
    seen.append(" ".join(text.split()))
    if len(seen) == at:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", lambda c, cursor, statement, *rest: pass_by(statement))
event.listen(Engine, "commit", lambda connection: pass_by("COMMIT"))
event.listen(Pool, "close", lambda *rest: pass_by("CLOSE"))
from registrytool.cli import main
try:
    main()
finally:
    with open(written, "w", encoding="utf-8") as file:
        file.write(chr(10).join(seen))
"""


def points_of(*words: object) -> list[str]:
    """Run a command to its end; return the points that it passes."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "points"
        done = _run(0, written, words)
        assert done.returncode == 0, done.stderr
        return written.read_text(encoding="utf-8").split("\n")


def killed_at(number: int, *words: object) -> bool:
    """Run a command that kills itself before its point of this number, from 1 on; return whether it came there."""
    done = _run(number, Path(os.devnull), words)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def _run(at: int, written: Path, words: tuple[object, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM, str(at), str(written), *(str(word) for word in words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
