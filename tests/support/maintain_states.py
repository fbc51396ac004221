"""States and content for the tests of maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import DatasetType, ensure_dataset_type, load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.session import Session, change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.maintain.datasets import DatasetId
    from registrytool.repository import Repository

#: What differs for datasets: keys of collections, kind of identifiers, ingest dates, universes.
STATES: dict[str, tuple[str, ...]] = {
    "newest": ("newest",),
    "old": (
        "collections=NameKeyCollectionManager/2.0.0",
        "datasets=ByDimensionsDatasetRecordStorageManagerUUID/1.0.0",
        "dimensions-config=0",
    ),
    "numbers": (
        "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0",
        "datastores=MonolithicDatastoreRegistryBridgeManager/0.2.0",
        "dimensions=StaticDimensionRecordStorageManager/6.0.0",
        "dimensions-config=0",
    ),
}

INSTRUMENT = "Cam O'1"
RUN = "u/o'neill “%s” :x"
DETECTORS = 10


def fill(repository: Repository, *, detectors: int = DETECTORS) -> None:
    """Add an instrument with detectors and filters, a calibration type, a type for filters, and a run."""

    def work(session: Session) -> None:
        add_records(session, INSTRUMENT, detectors)
        ensure_dataset_type(session, "bias", ["instrument", "detector"], "Exposure", is_calibration=True)
        ensure_dataset_type(
            session, "flat", ["instrument", "detector", "physical_filter"], "Exposure", is_calibration=True
        )
        ensure_dataset_type(session, "note", [], "StructuredDataDict")
        ensure_collection(session, RUN, CollectionType.RUN)
        ensure_collection(session, "calib", CollectionType.CALIBRATION)
        ensure_collection(session, "tagged", CollectionType.TAGGED)

    change(repository, "fill", work)


def add_records(session: Session, instrument: str, detectors: int = DETECTORS) -> None:
    """Add an instrument with detectors and two filters."""
    session.execute(sa.insert(session.table("instrument")), {"name": instrument, "detector_max": detectors})
    session.execute(
        sa.insert(session.table("detector")),
        [
            {"instrument": instrument, "id": i, "full_name": f"R{i}", "purpose": "SCIENCE" if i % 2 else None}
            for i in range(detectors)
        ],
    )
    session.execute(
        sa.insert(session.table("physical_filter")),
        [{"instrument": instrument, "name": name, "band": name[-1]} for name in ("F-g", "F-r")],
    )


def bias(*detectors: int, instrument: str = INSTRUMENT) -> list[dict[str, Any]]:
    """Return data IDs of some detectors."""
    return [{"instrument": instrument, "detector": i} for i in detectors]


def add(
    repository: Repository, dataset_type: str, run: str, rows: Sequence[dict[str, Any]], **settings: Any
) -> list[DatasetId]:
    """Put datasets into a run, which is made if it is missing."""

    def work(session: Session) -> list[DatasetId]:
        into = ensure_collection(session, run, CollectionType.RUN)
        return insert_datasets(session, types(session)[dataset_type], into, rows, **settings)

    return change(repository, "add", work)


def types(session: Session) -> dict[str, DatasetType]:
    """Return all dataset types."""
    return dict(load_dataset_types(session))


def counts(session: Session, *tables: str) -> dict[str, int]:
    """Return how many rows tables have."""
    return {name: session.scalar(sa.select(sa.func.count()).select_from(session.table(name))) for name in tables}
