#!/usr/bin/env python3
"""Do something in a repository through the client's own Python API.

Run by the Python of a client environment: folder of the repository, then the text of a program. In the program
``butler`` is the open Butler, ``registry`` its registry, ``refs(...)`` finds datasets, and these names of the client
are there: Butler, CollectionType, DatasetType, DatasetRef, Timespan, UUID, time_at. What the program assigns to
``answer`` is written to standard output as JSON. What it raises is written as JSON, too: its class and its text.
"""

from __future__ import annotations

import importlib
import json
import sys
import uuid
import warnings
from typing import Any


def main() -> int:
    """Run the program."""
    folder, program = sys.argv[1:]
    # As the other programs: the client warns of much that it does itself.
    warnings.simplefilter("ignore")
    api = importlib.import_module("lsst.daf.butler")
    butler = api.Butler.from_config(folder, writeable=True)
    names = {name: getattr(api, name) for name in ("Butler", "CollectionType", "DatasetType", "DatasetRef", "Timespan")}
    names |= {"butler": butler, "registry": butler.registry, "UUID": uuid.UUID, "answer": None, "time_at": time_at}

    def refs(dataset_type: Any, collections: Any, where: str = "", **bind: Any) -> list[Any]:
        found = butler.registry.queryDatasets(dataset_type, collections=collections, where=where, bind=bind or None)
        return sorted(set(found), key=str)

    names["refs"] = refs
    try:
        exec(compile(program, "<test>", "exec"), names)  # noqa: S102 (a test says what the client shall do)
    except Exception as error:  # noqa: BLE001 (the test decides what it means)
        answer = {"raised": type(error).__name__, "text": str(error)}
    else:
        answer = {"answer": names["answer"]}
    sys.stdout.write(json.dumps(answer, default=str))
    return 0


def time_at(tai_ns: int) -> Any:
    """Return an astropy time from TAI nanoseconds since 1970, exactly."""
    day, rest = divmod(tai_ns, 86_400 * 10**9)
    time = importlib.import_module("astropy.time")
    return time.Time(2440587.5 + day, rest / (86_400 * 10**9), format="jd", scale="tai")


if __name__ == "__main__":
    sys.exit(main())
