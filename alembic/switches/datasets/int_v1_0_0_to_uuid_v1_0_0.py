"""Give datasets UUIDs instead of integers.

Every table with identifiers of datasets is written again: datasets, tags, calibrations, locations, trash and all file
records.  Going back gives them integers: those of the mapping table, if it was kept, and new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.dataset_ids import (
    EXPORT,
    KEEP,
    KEEP_CHOICES,
    KIND,
    KIND_CHOICES,
    OPTIONS,
    TYPES,
    to_integers,
    to_uuids,
)

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0"

revision = "6fdcf58e7eb7"
down_revision = "635083325f20"
branch_labels = None
depends_on = None

closed = "every table with identifiers of datasets is written again, and older clients cannot read the new ones"
new_keys = "identifiers of datasets are new on both sides"
loses = "the UUIDs of datasets, unless they are kept in the mapping table"
options = OPTIONS


def upgrade(step: Step) -> None:
    to_uuids(
        step,
        types=step.option(TYPES),
        kind=step.option(KIND, KIND_CHOICES),
        keep=step.option(KEEP, KEEP_CHOICES),
        export=step.option(EXPORT),
    )


def downgrade(step: Step) -> None:
    to_integers(step, keep=step.option(KEEP, KEEP_CHOICES), export=step.option(EXPORT))
