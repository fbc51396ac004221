"""Maintenance of what a registry holds: collections, dataset types, datasets, calibrations, dimension records.

Nothing here changes the schema; everything works on each supported state, on both databases.  What notebooks and
scripts need can be imported from here; a module is loaded when something of it is used for the first time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collections import Collection, Collections, CollectionType, ensure_collection, load_collections  # noqa: F401 (for type checkers)
    from .dataset_types import DatasetType, ensure_dataset_type, load_dataset_types  # noqa: F401 (for type checkers)
    from .session import Session, change, reading  # noqa: F401 (for type checkers)
    from .timespans import Timespan  # noqa: F401 (for type checkers)

#: Public names and the module of each; the imports above say the same to those who check types.
_MODULES = {
    "Collection": "collections",
    "CollectionType": "collections",
    "Collections": "collections",
    "DatasetType": "dataset_types",
    "Session": "session",
    "Timespan": "timespans",
    "change": "session",
    "ensure_collection": "collections",
    "ensure_dataset_type": "dataset_types",
    "load_collections": "collections",
    "load_dataset_types": "dataset_types",
    "reading": "session",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 (a list of names)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
