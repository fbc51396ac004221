#!/usr/bin/env python3
"""Change a repository beside others who change the same things: what one of them does.

Run as a program, with registrytool: ``contend.py FOLDER KIND NUMBER ROUNDS``.  It waits for the file ``go`` in the
folder, so that all begin together, and writes what came of it to standard output as JSON: what it says it has done,
what was refused, and how long the longest change took.  ``client_contend.py`` does the same with the client.  A new
kind of strife is a function here, and one of the same name there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from registrytool.errors import RegistryConflictError, RegistryStateError
from registrytool.maintain.calibrations import certify as certify_datasets
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_type_changes import register_dataset_type
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.find import Query
from registrytool.maintain.prune import Mode, prune
from registrytool.maintain.session import Session, change
from registrytool.maintain.timespans import Timespan
from registrytool.repository import Repository, open_repository

#: One change; returns what it did.
Change = Callable[[Repository, int, int], str]


def chain(repository: Repository, number: int, turn: int) -> str:
    """Put collections of its own into one chain, in front and at the end, and take every third out again."""
    mode = ChainMode.PREPEND if turn % 2 else ChainMode.EXTEND
    edit_chain(repository, ChainEdit("chain", mode, (f"run/{number}/{turn}",)))
    if turn % 3 == 0:
        edit_chain(repository, ChainEdit("chain", ChainMode.REMOVE, (f"run/{number}/{turn}",)))
        return ""
    return f"run/{number}/{turn}"


def circle(repository: Repository, number: int, turn: int) -> str:
    """Put one chain into another, all of them in a circle: somebody must be refused."""
    del turn
    edit_chain(repository, ChainEdit(f"link{number}", ChainMode.EXTEND, (f"link{(number + 1) % 8}",)))
    return f"link{number}"


def certify(repository: Repository, number: int, turn: int) -> str:
    """Certify a dataset of its own for the time of the turn, which all others want for theirs."""
    query = Query(collections=(f"calib/{number}",))
    certify_datasets(repository, "calib", "bias", query, Timespan(turn * 10**9, (turn + 2) * 10**9))
    return f"{number} at {turn}"


def register(repository: Repository, number: int, turn: int) -> str:
    """Register the same dataset type as all others, and make the same collection."""
    del number
    groups = (
        ["visit"],
        ["detector", "visit"],
        ["tract"],
        ["patch", "band"],
        ["exposure"],
        ["group"],
        ["day_obs"],
        ["htm7"],
    )
    register_dataset_type(repository, f"type{turn}", groups[turn % 8], "StructuredDataDict", is_calibration=True)
    change(repository, "make a run", lambda s: ensure_collection(s, f"new/{turn}", CollectionType.RUN))
    return f"type{turn}"


def run(repository: Repository, number: int, turn: int) -> str:
    """Put a dataset of its own into a run that all use, or remove all that are in it."""
    if number % 4 == 3:
        prune(repository, Query(("bias",), ("shared",)), Mode.PURGE)
        return ""

    def work(session: Session) -> None:
        into = ensure_collection(session, "shared", CollectionType.RUN)
        insert_datasets(session, load_dataset_types(session)["bias"], into, [{"instrument": "Cam", "detector": number}])

    change(repository, "put a dataset into a run", work)
    return str(turn)


KINDS: dict[str, Change] = {"chain": chain, "circle": circle, "certify": certify, "register": register, "run": run}


def main() -> int:
    """Wait for the sign to begin, and do it."""
    folder, kind, number, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    repository = open_repository(str(folder))
    (folder / f"ready{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    done: list[str] = []
    refused: list[str] = []
    failed: list[str] = []
    longest_s = 0.0
    for turn in range(rounds):
        begun = time.perf_counter()
        try:
            done.append(KINDS[kind](repository, number, turn))
        except RegistryConflictError as error:
            failed.append(str(error))
        except RegistryStateError as error:
            refused.append(str(error))
        longest_s = max(longest_s, time.perf_counter() - begun)
    answer = {"done": [d for d in done if d], "refused": refused, "failed": failed, "longest_s": longest_s}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
