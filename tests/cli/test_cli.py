"""Options that all commands share, help, and what happens to errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import registrytool
import registrytool.cli
from registrytool.cli import app

if TYPE_CHECKING:
    from tests.support.places import Run

COMMANDS = [
    ("create",),
    ("status",),
    ("verify",),
    ("migrate",),
    ("history",),
    ("releases",),
    ("stamp",),
    ("log",),
    ("schema",),
    ("schema", "show"),
    ("schema", "diff"),
    ("schema", "sql"),
]


def test_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"registrytool {registrytool.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...], run: Run) -> None:
    outcome = run(*command, "--help")

    assert outcome.stdout.startswith(f"Usage: registrytool {' '.join(command)} ") or outcome.stdout.startswith(
        "Usage: "
    )
    assert "--help" in outcome.stdout
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_help_lists_the_commands_and_the_exit_codes(run: Run) -> None:
    outcome = run("--help")

    lines = outcome.stdout.splitlines()
    listed = [
        line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line.startswith("  ") and line[2] != " "
    ]
    assert {command[0] for command in COMMANDS} <= set(listed)
    assert "Exit codes: 0 done; 1 crash; 2 wrong use; 3 refused or failed; 4 ran well and the answer is no." in (
        " ".join(outcome.stdout.split())
    )
    assert (outcome.exit_code, outcome.stderr) == (0, "")


@pytest.mark.parametrize("words", [("--format", "json", "releases"), ("releases", "--format", "json")], ids=" ".join)
def test_the_format_stands_before_or_after_the_command(words: tuple[str, ...], run: Run) -> None:
    outcome = run(*words)

    assert json.loads(outcome.stdout)["format_version"] == 1
    assert outcome.exit_code == 0


def test_the_format_after_the_command_wins_and_the_environment_comes_last(run: Run) -> None:
    def is_json(*words: str, variable: str | None = None) -> bool:
        env = {"REGISTRYTOOL_FORMAT": variable} if variable else None
        return run(*words, env=env).stdout.startswith("{")

    assert is_json("--format", "table", "releases", "--format", "json")
    assert not is_json("--format", "json", "releases", "--format", "table")
    assert is_json("releases", variable="json")
    assert not is_json("releases", "--format", "table", variable="json")
    assert is_json("--format", "json", "releases", variable="table")


WRONG_USE = [
    (("nonsense",), "No such command 'nonsense'."),
    (("status",), "Missing argument 'REPO'."),
    (("status", "a", "b"), "Got unexpected extra argument(s) (b)"),
    (("status", "a", "--xyz"), "No such option: --xyz"),
    (
        ("status", "a", "postgresql://me:secret@host/db"),
        "Got unexpected extra argument(s) (postgresql://me:***@host/db)",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG_USE, ids=[" ".join(case[0]) for case in WRONG_USE])
def test_wrong_use_is_said_on_stderr_and_exits_with_2(words: tuple[str, ...], sentence: str, run: Run) -> None:
    outcome = run(*words)

    assert outcome.stderr.splitlines()[0].startswith("Usage: ")
    assert outcome.stderr.splitlines()[-1] == f"Error: {sentence}"
    assert (outcome.exit_code, outcome.stdout) == (2, "")


def test_verbose_shows_the_traceback_and_keeps_the_exit_code(run: Run) -> None:
    outcome = run("-v", "status", "nowhere")

    lines = outcome.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == (
        "Error: There is no repository nowhere: no such file or folder, and no such name in the repository "
        "index. Name a "
        "folder, its butler.yaml, or the URL of the database."
    )
    assert (outcome.exit_code, outcome.stdout) == (3, "")


def test_a_crash_keeps_its_traceback_but_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object, **__: object) -> None:
        message = "cannot use postgresql://me:secret@host/db?password=secret"
        raise RuntimeError(message)

    monkeypatch.setattr("registrytool.repository.open_repository", crash)
    monkeypatch.setattr(sys, "argv", ["registrytool", "status", "repo"])

    with pytest.raises(SystemExit) as caught:
        registrytool.cli.main()

    captured = capsys.readouterr()
    assert caught.value.code == 1
    assert captured.out == ""
    assert captured.err.startswith("Traceback (most recent call last):\n")
    assert captured.err.endswith(
        "RuntimeError: cannot use postgresql://me:***@host/db?password=***\n"
        "This is a bug in registrytool. Please report it with the lines above.\n"
    )


def test_an_interrupt_is_said_in_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("registrytool.repository.open_repository", interrupt)

    assert run("status", "repo") == (130, "", "Interrupted: nothing that was not committed is kept.\n")


def test_starting_imports_neither_sqlalchemy_nor_the_catalogue() -> None:
    code = (
        "import sys, registrytool.cli; "
        "print([m for m in ('sqlalchemy', 'alembic', 'yaml', 'rich', 'psycopg2', 'registrytool.catalog') "
        "if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_output_of_a_program_that_nobody_reads_to_the_end_is_no_error() -> None:
    program = Path(sys.executable).parent / "registrytool"
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{program}' history | head -1"], capture_output=True, text=True, check=True
    )

    assert "Traceback" not in done.stderr


def test_the_app_is_what_the_script_runs() -> None:
    assert app.info.name == "registrytool"
