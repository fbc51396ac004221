#!/usr/bin/env python3
"""Certify, decertify, insert and remove the same things as other processes, again and again.

Run by the tests: number of rounds, seed, folder of the repository. What was refused in the right words is counted;
anything else ends the process with a traceback.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter

from registrytool.errors import RegistryStateError
from registrytool.maintain.calibrations import certify, decertify
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.find import Query
from registrytool.maintain.prune import Mode, prune
from registrytool.maintain.session import Session, change
from registrytool.maintain.timespans import Timespan
from registrytool.repository import open_repository

DAY_NS = 86_400_000_000_000


def main() -> int:
    """Run."""
    rounds, seed, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    rng = random.Random(seed)  # noqa: S311 (no secret)
    repository = open_repository(folder)
    done: Counter[str] = Counter()

    def insert(session: Session) -> None:
        run = ensure_collection(session, "race/run", CollectionType.RUN)
        rows = [{"instrument": "HSC", "detector": d} for d in rng.sample(range(4), 2)]
        insert_datasets(session, load_dataset_types(session)["bias"], run, rows)

    for _ in range(rounds):
        begin = rng.randrange(20)
        span = Timespan(begin * DAY_NS, (begin + rng.randrange(1, 8)) * DAY_NS)
        try:
            certify(repository, "race/calib", "bias", Query(("bias",), ("calib/gen-A",)), span)
            done["certified"] += 1
        except RegistryStateError as error:
            if "that are valid then" not in error.message:
                raise
            done["overlap"] += 1
        if rng.random() < 0.5:
            decertify(repository, "race/calib", "bias", span)
        try:
            change(repository, "insert datasets", insert)
            done["inserted"] += 1
        except RegistryStateError as error:
            if "has datasets of type 'bias' already" not in error.message:
                raise
            done["taken"] += 1
        if rng.random() < 0.5:
            prune(repository, Query(("bias",), ("race/run",)), Mode.PURGE)
            done["removed"] += 1
    sys.stdout.write(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
