#!/usr/bin/env python3
"""Bring the dimension records of an old repository into a new one as the installed Butler client does: by a file.

Run by the Python of a client environment. The import of the client knows what
became of older universes. It asks the classes of instruments when observing
days begin; those packages are not here, so the command line says it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import lsst.daf.butler.transfers._yaml as client_yaml
import yaml
from lsst.daf.butler import Butler


def main() -> None:
    """Export, make the new repository, import."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="repository to export from")
    parser.add_argument("new", help="folder of the repository to make")
    parser.add_argument("offsets", type=json.loads, help="seconds by instrument, as JSON")
    options = parser.parse_args()

    client_yaml._DayObsOffsetCalculator.get_offset = lambda _self, name, _date: options.offsets.get(name)
    path = Path(f"{options.new}.yaml")
    old = Butler.from_config(options.old)
    with path.open("w", encoding="utf-8") as stream:
        backend = client_yaml.YamlRepoExportBackend(stream, old.dimensions)
        for element in old.dimensions.elements:
            if element.has_own_table:
                backend.saveDimensionData(element, *old.registry.queryDimensionRecords(element.name))
        backend.finish()
    if old.dimensions.version < 2:
        leave_out_visit_systems(path)
    Butler.makeRepo(options.new)
    Butler.from_config(options.new, writeable=True).import_(filename=path)


def leave_out_visit_systems(path: Path) -> None:
    """Make definitions of visits what the import accepts: it forgot that they name a visit system before universe 2."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in content["data"]:
        if part.get("element") == "visit_definition":
            kept = [{k: v for k, v in record.items() if k != "visit_system"} for record in part["records"]]
            part["records"] = [record for i, record in enumerate(kept) if record not in kept[:i]]
    path.write_text(yaml.dump(content, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
