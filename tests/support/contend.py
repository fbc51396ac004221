#!/usr/bin/env python3
"""Change a repository beside others who change the same things: what one of them does.

Run as a program, with registrytool: ``contend.py FOLDER KIND NUMBER ROUNDS``.  It waits for the file ``go`` in the
folder, so that all begin together, and writes what came of it to standard output as JSON: what it says it has done,
what was refused, and how long the longest change took.  ``client_contend.py`` does the same with the client.  A new
kind of strife is a function here, and one of the same name there.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from registrytool.errors import RegistryBusyError, RegistryConflictError, RegistryStateError, RegistryToolError
from registrytool.maintain.associations import associate, disassociate
from registrytool.maintain.calibrations import certify as certify_datasets
from registrytool.maintain.calibrations import decertify
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collection_changes import remove_collection, rename_collection
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_type_changes import (
    register_dataset_type,
    remove_dataset_type,
    rename_dataset_type,
)
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.datastore import store_records
from registrytool.maintain.find import Query
from registrytool.maintain.prune import Mode, prune
from registrytool.maintain.record_changes import change_records, insert_record, remove_records
from registrytool.maintain.session import Session, change
from registrytool.maintain.timespans import Timespan
from registrytool.maintain.transfer import Files, copy_datasets, move_datasets
from registrytool.maintain.trash import empty_trash
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


# -- everything at once ----------------------------------------------------------

#: Which of all the sequences of changes this is.
SEED = os.environ.get("REGISTRYTOOL_STRIFE_SEED", "1")


def put(repository: Repository, rng: random.Random) -> None:
    """Put a dataset with a file into one of the runs that all use."""
    assert repository.root is not None
    path = repository.root / "files" / f"{uuid.uuid4()}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("a: 1", encoding="utf-8")
    where = str(path.relative_to(repository.root))

    def work(session: Session) -> None:
        into = ensure_collection(session, one_of("mix", rng), CollectionType.RUN)
        data_id = {"instrument": "Cam", "detector": rng.randrange(4)}
        found = insert_datasets(session, load_dataset_types(session)["bias"], into, [data_id])
        record = {"dataset_id": found[0], "path": where, "formatter": "f", "storage_class": "StructuredDataDict"}
        store_records(session, [record])

    try:
        change(repository, "put a dataset with a file", work)
    except RegistryStateError:
        path.unlink()
        raise


def one_of(stem: str, rng: random.Random) -> str:
    """Return one of a few names."""
    return f"{stem}/{rng.randrange(3)}"


def chosen(rng: random.Random) -> Query:
    """Return a query for some datasets."""
    return Query(("bias",), (one_of("mix", rng),), where=f"instrument = 'Cam' AND detector = {rng.randrange(4)}")


def span(rng: random.Random) -> Timespan:
    """Return a range of time."""
    begin = rng.randrange(9)
    return Timespan(begin * 10**9, (begin + rng.randrange(1, 4)) * 10**9)


MIX: dict[str, Callable[[Repository, random.Random], object]] = {
    "put": put,
    "copy": lambda r, g: copy_datasets(r, chosen(g), one_of("mix", g), files=Files.SHARE),
    "move": lambda r, g: move_datasets(r, chosen(g), one_of("mix", g)),
    "purge": lambda r, g: prune(r, Query(("bias",), (one_of("mix", g),)), Mode.PURGE),
    "unstore": lambda r, g: prune(r, chosen(g), Mode.UNSTORE),
    "empty the trash": lambda r, _: empty_trash(r),
    "associate": lambda r, g: associate(r, one_of("tags", g), chosen(g)),
    "disassociate": lambda r, g: disassociate(r, one_of("tags", g), chosen(g)),
    "certify": lambda r, g: certify_datasets(r, "calib", "bias", chosen(g), span(g)),
    "decertify": lambda r, g: decertify(r, "calib", "bias", span(g)),
    "make tags": lambda r, g: change(
        r, "make tags", lambda s: ensure_collection(s, one_of("tags", g), CollectionType.TAGGED)
    ),
    "rename a collection": lambda r, g: rename_collection(r, one_of("tags", g), one_of("tags", g)),
    "remove a collection": lambda r, g: remove_collection(r, one_of(g.choice(("tags", "mix")), g), unlink=True),
    "extend a chain": lambda r, g: edit_chain(r, ChainEdit("chain", ChainMode.EXTEND, (one_of("mix", g),))),
    "shorten a chain": lambda r, g: edit_chain(r, ChainEdit("chain", ChainMode.REMOVE, (one_of("mix", g),))),
    "register a type": lambda r, g: register_dataset_type(
        r, one_of("kind", g).replace("/", "_"), g.choice((["detector"], ["visit"], ["tract"])), "StructuredDataDict"
    ),
    "rename a type": lambda r, g: rename_dataset_type(
        r, one_of("kind", g).replace("/", "_"), one_of("kind", g).replace("/", "_")
    ),
    "remove a type": lambda r, g: remove_dataset_type(r, one_of("kind", g).replace("/", "_")),
    "insert a record": lambda r, g: insert_record(
        r, "detector", ("instrument=Cam", f"id={50 + g.randrange(3)}", f"full_name=n{g.random()}"), existing="replace"
    ),
    "update a record": lambda r, g: change_records(
        r, "detector", ("instrument=Cam", f"id={50 + g.randrange(3)}"), None, (f"full_name=u{g.random()}",)
    ),
    "delete a record": lambda r, g: remove_records(
        r, "detector", ("instrument=Cam", f"id={50 + g.randrange(3)}"), None
    ),
}


def mix(repository: Repository, number: int, turn: int) -> str:
    """Do any of the things that change a registry, to the same collections, types and records as all others."""
    rng = random.Random(f"{SEED} {number} {turn}")  # noqa: S311 (no secret)
    name = rng.choice(["put"] * 5 + list(MIX))
    MIX[name](repository, rng)
    return name


KINDS: dict[str, Change] = {
    "chain": chain,
    "circle": circle,
    "certify": certify,
    "register": register,
    "run": run,
    "mix": mix,
}


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
        except (RegistryBusyError, RegistryConflictError) as error:
            failed.append(str(error))
        except RegistryToolError as error:
            refused.append(str(error))
        longest_s = max(longest_s, time.perf_counter() - begun)
    answer = {"done": [d for d in done if d], "refused": refused, "failed": failed, "longest_s": longest_s}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
