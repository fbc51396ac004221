"""Configurations of the live ObsCore table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .config import parse_yaml
from .errors import ConfigurationError, RegistryStateError

if TYPE_CHECKING:
    from pathlib import Path

    from .step import Step

#: Option of the step that makes the table, and its help.
CONFIG_OPTION = "obscore_config"
CONFIG_HELP = "YAML file with the configuration of the ObsCore table"

#: Namespace that a configuration without one has.
DEFAULT_NAMESPACE = "daf_butler_obscore"
_DEFAULTS = {"namespace": DEFAULT_NAMESPACE, "table_name": "obscore"}
_REQUIRED = ("version", "collection_type", "dataset_types", "obs_collection", "facility_name")


def require_free(step: Step, table: str) -> None:
    """Check that the name of the ObsCore table is free.

    Raises
    ------
    RegistryStateError
        There is such a table: the existing migration tool leaves it when it goes back.
    """
    if step.has_table(table):
        message = f"There is a table {table} already, though the registry has no configuration of it."
        raise RegistryStateError(message, hint="Drop it, or let the configuration have another table_name.")


def read_obscore_config(path: Path) -> dict[str, Any]:
    """Read a configuration of the ObsCore table.

    Parameters
    ----------
    path : `pathlib.Path`
        YAML file; its fields are those that a registry stores.

    Returns
    -------
    config : `dict`
        The configuration, with namespace and table name.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or a field is missing or wrong.
    """
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"Cannot read {path}: {getattr(error, 'strerror', None) or error}."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{path} is not YAML: {error}."
        raise ConfigurationError(message) from error
    if not isinstance(raw, Mapping):
        message = f"{path} does not hold the configuration of an ObsCore table."
        raise ConfigurationError(message)
    missing = [name for name in _REQUIRED if raw.get(name) is None]
    if missing:
        message = f"The ObsCore configuration {path} lacks {', '.join(missing)}."
        raise ConfigurationError(message, hint="See the Butler's documentation of ObsCore configurations.")
    collections = raw.get("collections") or []
    if raw["collection_type"] not in ("RUN", "TAGGED"):
        message = f"The ObsCore configuration {path} has the collection type {raw['collection_type']!r}."
        raise ConfigurationError(message, hint="It must be RUN or TAGGED.")
    if raw["collection_type"] == "TAGGED" and len(collections) != 1:
        message = f"The ObsCore configuration {path} names {len(collections)} collections of type TAGGED."
        raise ConfigurationError(message, hint="It must name exactly one.")
    return {**_DEFAULTS, **{str(k): v for k, v in raw.items()}}
