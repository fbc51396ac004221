"""Every command that changes something is killed at many moments: all is consistent then, and run again it finishes.

A command is killed before its first commit and after each, and at other moments: before other commits, before files
that it makes, changes or deletes, and before statements.  ``REGISTRYTOOL_KILLS`` says at how many of these.  If it has
done nothing, there is nothing to see; if it has done something, the same command must do the rest.  What had all been
done may be done again, or refused in a sentence, and nothing may change by that.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.support.stage import COMMANDS

if TYPE_CHECKING:
    from tests.support.stage import Stage

pytestmark = pytest.mark.slow

#: How many moments are tried for a command, beside those after its commits.
KILLS = int(os.environ.get("REGISTRYTOOL_KILLS", "1"))
#: Commands of which each run is another change.  They have one commit, so that a killed one has done all or nothing.
AGAIN = {"collection chain pop", "calibration shift"}


def choose(name: str, moments: tuple[str, ...]) -> list[int]:
    """Choose moments: before the first commit, after each commit, and some of the others, those of files first."""
    first = moments.index("before commit")
    chosen = {first, *(n for n, kind in enumerate(moments) if kind == "after commit")}
    rng = random.Random(name)  # noqa: S311 (no secret)
    for kind in ("file", "before commit", "write"):
        others = [n for n, other in enumerate(moments) if other == kind and n not in chosen]
        chosen.update(
            rng.sample(others, min(len(others), max(KILLS + moments.count("after commit") + 1 - len(chosen), 0)))
        )
    return sorted(chosen)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.changes])
def test_a_command_that_is_killed_leaves_nothing_half_done_and_finishes_when_run_again(name: str, stage: Stage) -> None:
    stage.begin(name)
    start = stage.look()
    undisturbed = stage.act_until(name)
    assert undisturbed.answer["exit_code"] == 0, undisturbed.answer
    done = stage.look()
    assert done.differences(start) != [], "it changes nothing"
    stage.assert_consistent(files=True)
    commits = undisturbed.moments.count("before commit")
    assert commits, undisturbed.moments
    assert commits == 1 or name not in AGAIN

    fresh = False
    for moment in choose(name, undisturbed.moments):
        where = f"killed at {moment} of {undisturbed.moments}"
        if not fresh:
            stage.begin(name)
        assert stage.act_until(name, moment).killed, where
        found = stage.look()
        fresh = found.same(start)
        if fresh:
            continue
        complete = found.differences(done) == []
        if not complete:
            stage.assert_consistent(files=False)
        elif name in AGAIN:
            continue
        again = stage.act_until(name).answer
        refused = complete and again["exit_code"] in (2, 3) and again["stderr"].count("Error: ") == 1
        assert again["exit_code"] == 0 or refused, (where, again)
        assert stage.look().differences(done) == [], where
