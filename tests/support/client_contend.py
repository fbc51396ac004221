#!/usr/bin/env python3
"""Change a repository beside others who change the same things, with the client; see ``contend.py``."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

#: What a client says when it must not do what it was told; all else is a failure.
REFUSALS = ("ConflictingDefinitionError", "CollectionCycleError")
#: What it says besides when things go that it has just looked at, as it does not try again.
GONE = (
    "ArgumentError",
    "AssertionError",  # of decertify, if nothing of the dataset type was ever certified
    "CollectionTypeError",
    "DatabaseConflictError",  # of a dataset type that others have just registered with other dimensions
    "DatasetNotFoundError",
    "FileNotFoundError",
    "ForeignKeyViolation",
    "IntegrityError",
    "MissingCollectionError",
    "MissingDatasetTypeError",
    "NoDefaultCollectionError",
    "OrphanedRecordError",
)


def chain(butler: Any, number: int, turn: int) -> str:
    """Put collections of its own into one chain, in front and at the end, and take every third out again."""
    name = f"run/{number}/{turn}"
    (butler.collections.prepend_chain if turn % 2 else butler.collections.extend_chain)("chain", [name])
    if turn % 3 == 0:
        butler.collections.remove_from_chain("chain", [name])
        return ""
    return name


def circle(butler: Any, number: int, turn: int) -> str:
    """Put one chain into another, all of them in a circle."""
    del turn
    butler.collections.extend_chain(f"link{number}", [f"link{(number + 1) % 8}"])
    return f"link{number}"


def certify(butler: Any, number: int, turn: int) -> str:
    """Certify a dataset of its own for the time of the turn, which all others want for theirs."""
    timespan = importlib.import_module("lsst.daf.butler").Timespan
    refs = list(butler.registry.queryDatasets("bias", collections=f"calib/{number}"))
    span = timespan(None, None, _nsec=(turn * 10**9, (turn + 2) * 10**9))
    butler.registry.certify("calib", refs, span)
    return f"{number} at {turn}"


def register(butler: Any, number: int, turn: int) -> str:
    """Register the same dataset type as all others, and make the same collection."""
    del number
    api = importlib.import_module("lsst.daf.butler")
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
    kind = api.DatasetType(
        f"type{turn}", groups[turn % 8], "StructuredDataDict", universe=butler.dimensions, isCalibration=True
    )
    butler.registry.registerDatasetType(kind)
    butler.registry.registerRun(f"new/{turn}")
    return f"type{turn}"


def run(butler: Any, number: int, turn: int) -> str:
    """Put a dataset of its own into a run that all use, and remove it."""
    ref = butler.put({"turn": turn}, "bias", instrument="Cam", detector=number, run="shared")
    if turn % 2:
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    return str(turn)


def mix(butler: Any, number: int, turn: int) -> str:
    """Do any of some things that change a registry; see ``contend.py``."""
    api = importlib.import_module("lsst.daf.butler")
    rng = random.Random(f"{os.environ.get('REGISTRYTOOL_STRIFE_SEED', '1')} {number} {turn}")  # noqa: S311 (no secret)
    name = rng.choice(["put", "put", "put", "purge", "associate", "certify", "decertify", "register", "chain", "tags"])
    run, tags = f"mix/{rng.randrange(3)}", f"tags/{rng.randrange(3)}"
    begin = rng.randrange(9)
    span = api.Timespan(None, None, _nsec=(begin * 10**9, (begin + rng.randrange(1, 4)) * 10**9))
    butler.registry.refresh()
    match name:
        case "put":
            butler.put({"turn": turn}, "bias", instrument="Cam", detector=rng.randrange(4), run=run)
        case "purge":
            refs = list(butler.registry.queryDatasets("bias", collections=run))
            butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
        case "associate":
            refs = list(butler.registry.queryDatasets("bias", collections=run))
            butler.registry.associate(tags, refs)
        case "certify":
            refs = list(butler.registry.queryDatasets("bias", collections=run))
            butler.registry.certify("calib", refs, span)
        case "decertify":
            butler.registry.decertify("calib", "bias", span)
        case "register":
            kind = api.DatasetType(
                f"kind_{rng.randrange(3)}", ["detector"], "StructuredDataDict", universe=butler.dimensions
            )
            butler.registry.registerDatasetType(kind)
        case "chain":
            butler.collections.prepend_chain("chain", [run])
        case "tags":
            butler.registry.registerCollection(tags, api.CollectionType.TAGGED)
    return name


def among_clients(folder: Path, text: str) -> bool:
    """Return whether a deadlock is one of clients with each other, which nobody else can prevent."""
    db = importlib.import_module("sqlalchemy")
    config = importlib.import_module("yaml").safe_load((folder / "butler.yaml").read_text(encoding="utf-8"))
    processes = [int(number) for number in re.findall(r"blocked by process (\d+)", text)]
    query = db.text("SELECT application_name FROM pg_stat_activity WHERE pid = ANY(:processes)")
    with db.create_engine(config["registry"]["db"]).connect() as connection:
        names = connection.scalars(query, {"processes": processes}).all()
    # A client stays connected.
    return len(names) == len(set(processes)) and not any(name.startswith("registrytool") for name in names)


KINDS = {"chain": chain, "circle": circle, "certify": certify, "register": register, "run": run, "mix": mix}


def main() -> int:
    """Wait for the sign to begin, and do it."""
    warnings.simplefilter("ignore")
    folder, kind, number, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    butler = importlib.import_module("lsst.daf.butler").Butler.from_config(str(folder), writeable=True)
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
            done.append(KINDS[kind](butler, number, turn))
        except Exception as error:  # noqa: BLE001 (told to the test)
            name = type(error).__name__
            known = name in (REFUSALS if kind != "mix" else REFUSALS + GONE)
            known = known or ("DeadlockDetected" in str(error) and among_clients(folder, str(error)))
            (refused if known else failed).append(f"{name}: {error}")
        longest_s = max(longest_s, time.perf_counter() - begun)
    answer = {"done": [d for d in done if d], "refused": refused, "failed": failed, "longest_s": longest_s}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
