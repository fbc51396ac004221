#!/usr/bin/env python3
"""Tell what the client makes of raw files in a repository, as JSON.

Run by the Python of a client environment.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

from lsst.daf.butler import Butler, DatasetIdGenEnum, DatasetRef


def main(root: str) -> dict[str, Any]:
    """Return datasets with their files, and the answers to some queries."""
    butler = Butler.from_config(root, writeable=False)
    registry = butler.registry
    datasets = []
    for ref in sorted(registry.queryDatasets("raw", collections="*"), key=lambda r: (r.run, str(r.dataId))):
        expected = DatasetRef(
            ref.datasetType, ref.dataId, run=ref.run, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN
        )
        uri = butler.getURI(ref)
        datasets.append(
            {
                "data_id": dict(ref.dataId.required),
                "run": ref.run,
                "id": str(ref.id),
                "expected_id": str(expected.id),
                "path": uri.unquoted_path,
                "digest": hashlib.sha256(uri.read()).hexdigest(),
            }
        )
    bands = {
        band: sorted(
            f"{r.instrument} {r.id}"
            for r in registry.queryDimensionRecords("exposure", where="band = wanted", bind={"wanted": band})
        )
        for band in ("r", "i", "z")
    }
    exposures = {
        f"{r.instrument} {r.id}": {k: str(v) for k, v in r.toDict().items()}
        for r in registry.queryDimensionRecords("exposure")
    }
    visits = {
        f"{r.instrument} {r.id}": sorted(
            d.exposure for d in registry.queryDimensionRecords("visit_definition", instrument=r.instrument, visit=r.id)
        )
        for r in registry.queryDimensionRecords("visit")
    }
    overlaps = {}
    for record in registry.queryDimensionRecords("visit"):
        if record.region is not None:
            pixels = registry.queryDataIds(["htm7"], instrument=record.instrument, visit=record.id)
            overlaps[f"{record.instrument} {record.id}"] = len(list(pixels))
    return {"datasets": datasets, "bands": bands, "exposures": exposures, "visits": visits, "overlaps": overlaps}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
