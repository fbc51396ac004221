"""How big the tables of a registry get: what a lock on one of them costs.

The classes are those of the large registries in operation: ``big`` tables have 10^8 rows and more (a row for every
dataset, or for every pixel of the sky that something overlaps), ``middle`` ones 10^5 to 10^7 (a row for every visit or
exposure, or for each of their detectors), ``small`` ones the rest.  Content of another project can say otherwise in
``schemas/sizes.yaml``: ``{big: [PATTERN, ...], middle: [...]}``.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registrytool.config import read_yaml

if TYPE_CHECKING:
    from registrytool.config import Content

_SIZES: dict[str, tuple[str, ...]] = {
    "big": (
        "dataset",
        "dataset_tags_*",
        "dataset_calibs_*",
        "dataset_location",
        "dataset_location_trash",
        "*_datastore_records",
        "*_skypix_overlap",
        "*_overlap_*",
        "obscore",
    ),
    "middle": ("visit", "visit_*", "exposure", "group", "collection_summary_*", "patch"),
}
_SMALL = ("visit_system",)


def size_class(table: str, content: Content) -> str:
    """Return ``big``, ``middle`` or ``small`` for a table."""
    path = content.schema_file("sizes.yaml")
    own = read_yaml(path) if path.exists() else {}
    for patterns in (own, _SIZES):
        for size in ("big", "middle"):
            if table not in _SMALL and any(fnmatchcase(table, pattern) for pattern in patterns.get(size) or ()):
                return size
    return "small"
