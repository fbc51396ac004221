"""What somebody types who is careless, or means harm, in every text that a command takes: it is refused, or a name.

``REGISTRYTOOL_HOSTILE`` says how many of the texts are tried for each parameter on each database.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.commands import GROUPS
from tests.support.stage import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.commands import Command
    from tests.support.places import Run
    from tests.support.stage import Stage

pytestmark = pytest.mark.slow

HOSTILE = (
    "x'; DROP TABLE collection; --",
    "",
    '") %s %(x)s :x {0} {repo} $1 \\ ` ü\u202e',
    "nope",
    "*",
    "a\nb",
    "-x",
    "instrument='a' OR 1=1",
    "\udcff",
    "[a-z]?{",
    "x" * 5000,
    "\x00",
    "99999999999999999999",
    "2024-01-01T00:00:00",
    "name=x",
)
TRIES = int(os.environ.get("REGISTRYTOOL_HOSTILE", "1"))


def hostile(command: Command, example: dict[str, Any], first: int) -> Iterator[dict[str, Any]]:
    """Give the values of a command, with some text instead of each parameter in turn."""
    for number, parameter in enumerate(command.texts):
        for turn in range(min(TRIES, len(HOSTILE))):
            text = HOSTILE[(first + number + turn) % len(HOSTILE)]
            yield {**example, parameter: [text] if isinstance(example.get(parameter), list) else text}


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_text_is_refused_in_a_sentence_or_taken_as_it_is(group: str, stage: Stage) -> None:
    # Each text meets other parameters on the other database.
    first = 0 if stage.place.dialect == "sqlite" else len(HOSTILE) // 2
    for number, (name, command) in enumerate(COMMANDS.items()):
        if command.path[0] != group:
            continue
        stage.begin(name)
        before = stage.look()
        for values in hostile(command, stage.example(name), first + 2 * number):
            done = stage.act(name, values)
            said = f"{name} {values}: {done}"
            assert "Traceback" not in done.stderr, said
            assert not stage.password or stage.password not in done.stdout + done.stderr, said
            if done.exit_code in (2, 3):
                assert done.stdout == "", said
                assert done.stderr.count("Error: ") == 1, said
                assert stage.look().same(before), said
                continue
            assert done.exit_code in (0, 4), said
            if command.changes:
                # It was taken as a name, or as a text.
                stage.assert_consistent(files=False)
                stage.begin(name)
            else:
                # What it was asked to write is not the repository's.
                after = stage.look()
                kept = {name: content for name, content in after.files.items() if name in before.files}
                assert dataclasses.replace(after, files=kept).same(before), said
                if kept != after.files:
                    stage.begin(name)


@pytest.mark.parametrize("parameter", ["repo", "--db", "--namespace", "--content"])
@pytest.mark.parametrize("name", ["collection list", "raw ingest", "skymap list", "instrument diff"])
def test_hostile_names_of_registries_are_refused_in_a_sentence(
    name: str, parameter: str, stage: Stage, run: Run
) -> None:
    command, values = COMMANDS[name], stage.example(name)
    secret = "geheim!"  # noqa: S105 (nobody's)
    for text in (*HOSTILE, f"postgresql://u:{secret}@localhost:1/x", f"mysql://u:{secret}@x/y", f"://u:{secret}@"):
        if parameter == "repo":
            done = run(*command.words(text, values))
        elif parameter.strip("-") in command.parameters:
            done = stage.act(name, values, f"{parameter}={text}")
        else:
            continue
        said = f"{name} {parameter} {text!r}: {done}"
        assert secret not in done.stdout + done.stderr, said
        if done.exit_code not in (2, 3):
            assert parameter == "--namespace", said  # A file has none.
            assert stage.place.dialect == "sqlite", said
            continue
        assert done.stderr.count("Error: ") == 1, said


@pytest.mark.parametrize("words", [["instrument", "register"], ["skymap", "register"]])
def test_a_file_that_the_system_does_not_take_is_named_in_a_sentence(words: list[str], stage: Stage, run: Run) -> None:
    stage.begin("skymap list")
    done = run(*words, stage.place.url, "x" * 5000)

    assert (done.exit_code, done.stdout) == (3, "")
    named = f"Error: Cannot use the file {'x' * 200}…: File name too long. Mend that, or name another one.\n"
    assert done.stderr == named
