"""Ctrl-C at any moment: one line and exit code 130, from all processes together."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registrytool.create import CreateOptions, create_repository
from registrytool.database import Database
from registrytool.interrupts import SENTENCE, Deaf, Undoing
from registrytool.repository import open_repository
from tests.support import raws
from tests.support.registries import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.places import Place

#: Presses Ctrl-C when a module is looked for that was not loaded before, or when the process ends.
PRESSING = """
import atexit, os, signal, sys
moment = sys.argv.pop(1)
def press(): os.kill(os.getpid(), signal.SIGINT)
class Presser:
    def find_spec(self, name, path=None, target=None):
        if name == moment: press()
sys.meta_path.insert(0, Presser())
if moment == "end": atexit.register(press)
from registrytool.__main__ import main
main()
"""
#: The same for all processes of the session, some time after work was given to a worker for the first time.
PRESSING_WORKERS = """
import concurrent.futures, os, signal, sys, threading
delay = float(sys.argv.pop(1))
submit = concurrent.futures.ProcessPoolExecutor.submit
timer = threading.Timer(delay, lambda: os.killpg(0, signal.SIGINT))
timer.daemon = True
def submit_and_press(*words, **more):
    if not timer.ident: timer.start()
    return submit(*words, **more)
concurrent.futures.ProcessPoolExecutor.submit = submit_and_press
from registrytool.__main__ import main
main()
"""


#: Whoever runs the tests in the background lets all that they start ignore Ctrl-C.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def interrupted(program: str, *words: str) -> tuple[int, str, str]:
    """Run a program in a session of its own."""
    command = [sys.executable, "-c", HEARING + program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "moment",
    [
        "registrytool.cli",
        "typer",
        "typer.core",
        "registrytool.cli._output",
        "registrytool.cli.status",
        "sqlalchemy",
        "sqlalchemy.engine",
        "registrytool.catalog",
        "yaml",
        "sqlalchemy.dialects.sqlite",
    ],
)
def test_ctrl_c_while_modules_are_loaded_ends_with_one_line(moment: str, tmp_path: Path) -> None:
    place = tmp_path / "repo"
    place.mkdir()
    (place / "butler.yaml").write_text("registry:\n  db: sqlite:///<butlerRoot>/gen3.sqlite3\n")
    (place / "gen3.sqlite3").touch()

    assert interrupted(PRESSING, moment, "status", str(place)) == (130, "", f"{SENTENCE}\n")


def test_ctrl_c_while_the_process_ends_ends_with_one_line() -> None:
    exit_code, _, stderr = interrupted(PRESSING, "end", "--version")

    assert (exit_code, stderr) == (130, f"{SENTENCE}\n")


def test_the_script_is_the_program_that_hears_ctrl_c() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["scripts"] == {"registrytool": "registrytool.__main__:main"}
    done = subprocess.run(
        [sys.executable, "-m", "registrytool", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("registrytool ")


def test_ctrl_c_is_ignored_by_what_was_started_to_ignore_it() -> None:
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{PRESSING}"

    exit_code, stdout, stderr = interrupted(ignoring, "typer", "--version")

    assert (exit_code, stderr) == (0, "")
    assert stdout.startswith("registrytool ")


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", ["0", "0.3", "1.5"])
def test_ctrl_c_while_workers_start_and_read_ends_with_one_line(delay_s: str, tmp_path: Path) -> None:
    create_repository(tmp_path / "repo", CreateOptions())
    repo = str(tmp_path / "repo")
    raws.register(open_repository(repo), raws.cameras()[0])
    folder = tmp_path / "raws"
    folder.mkdir()
    content = raws.hsc(folder / "0.fits", 2, 50).read_bytes()
    for i in range(1, 2000):
        (folder / f"{i}.fits").write_bytes(content)

    words = ("-q", "raw", "ingest", repo, str(folder), "--transfer", "copy", "-j", "2")
    ended = interrupted(PRESSING_WORKERS, delay_s, *words)

    assert ended == (130, "", f"{SENTENCE}\n")


#: Waits for a lock of SQLite, which nothing can cancel, and presses Ctrl-C twice.
PRESSING_TWICE = """
import os, signal, sqlite3, sys, threading
from registrytool.interrupts import Undoing, leave_at_once
leave_at_once()
for delay in (0.2, 1.0):
    timer = threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
with Undoing():
    sqlite3.connect(sys.argv[1], timeout=600, isolation_level=None).execute("BEGIN IMMEDIATE")
"""


def test_a_second_ctrl_c_ends_what_nothing_can_cancel(tmp_path: Path) -> None:
    file = str(tmp_path / "database")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")

        assert interrupted(PRESSING_TWICE, file) == (130, "", f"{SENTENCE}\n")


#: Takes minutes.
LONG = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3e9) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def test_a_long_statement_is_cancelled(place: Place, pressed: Callable[[], None]) -> None:
    del pressed
    database = Database.of(make(place))
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    begun = time.monotonic()

    def work() -> None:
        with Undoing(), database.read() as connection:
            timer.start()
            connection.exec_driver_sql(LONG[place.dialect])

    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - begun < 60


# -- what they are made of ----------------------------------------------------------


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Ctrl-C in this process, where it would end it at once."""
    monkeypatch.setattr("registrytool.interrupts._leave", signal.default_int_handler)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_what_comes_of_an_interrupted_error_is_the_interruption(pressed: Callable[[], None]) -> None:
    def undo() -> None:
        try:
            pressed()
        except KeyboardInterrupt:
            message = "the session is gone"
            raise RuntimeError(message) from None

    with pytest.raises(KeyboardInterrupt), Undoing():
        undo()


def test_an_error_without_ctrl_c_stays_what_it_is(pressed: Callable[[], None]) -> None:
    del pressed
    with pytest.raises(ZeroDivisionError), Undoing():
        _ = 1 / 0


def test_who_starts_processes_hears_ctrl_c_when_they_are_started(pressed: Callable[[], None]) -> None:
    done = []

    def start() -> None:
        with Deaf():
            pressed()
            done.append("started")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started"]


def test_processes_that_are_started_deaf_do_not_hear_ctrl_c() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('there')"

    with Deaf():
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "there\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
