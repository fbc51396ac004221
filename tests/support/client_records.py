#!/usr/bin/env python3
"""Let the client export, import and change dimension records.

Run by the Python of a client environment: repository, verb, and what the verb wants. A repository that does not exist
is made.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lsst.daf.butler
from lsst.daf.butler import Butler
from lsst.sphgeom import Region

OLDEST = Path(lsst.daf.butler.__file__).parent / "tests" / "registry_data" / "hsc-rc2-subset-v0.yaml"


def main(root: str, verb: str, *words: str) -> None:
    """Do it."""
    if not Path(root, "butler.yaml").exists():
        Butler.makeRepo(root)
    butler = Butler.from_config(root, writeable=True)
    registry = butler.registry
    if verb == "export":
        with butler.export(filename=words[0], transfer=None, directory=str(Path(words[0]).parent)) as export:
            for element in butler.dimensions.elements:
                if element.has_own_table:
                    export.saveDimensionData(element.name, registry.queryDimensionRecords(element.name))
    elif verb == "import":
        butler.import_(filename=words[0], transfer=None)
    elif verb == "import-oldest":
        butler.import_(filename=str(OLDEST), transfer=None)
        print(OLDEST)  # noqa: T201
    elif verb == "change-visit":
        change = json.loads(words[0])
        (old,) = registry.queryDimensionRecords("visit", instrument=change["instrument"], visit=change["id"])
        row = old.toDict() | change | {"region": Region.decode(bytes.fromhex(change["region"]))}
        registry.insertDimensionData("visit", row, replace=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
