"""What a registry is, recorded in a file: enough to plan a migration and to write its script without the database."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .inspection import Inspection, compare, inspect
from .models import DynamicContent, State, to_plain
from .state import Recorded  # noqa: TC001 (read from the annotation)
from .structure import Structure, from_metadata

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from .catalog import Catalog

#: Version of the form of the record.
RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """A live registry at one moment.

    Attributes
    ----------
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    namespace : `str` or `None`
        PostgreSQL schema.
    recorded : `Recorded`
        What the registry says about itself.
    found : `Structure`
        The tables that it has, those of others included.
    strangers : `~collections.abc.Mapping`
        Name and definition of indexes and triggers on SQLite, by table.
    """

    dialect: str
    namespace: str | None
    recorded: Recorded
    found: Structure
    strangers: Mapping[str, tuple[tuple[str, str], ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"record_version": RECORD_VERSION, **to_plain(self)}

    def inspection(self, catalog: Catalog) -> Inspection:
        """Compare the registry with what its versions promise."""
        recorded = self.recorded
        metadata = catalog.metadata(
            recorded.state, self.dialect, recorded.dynamic, universe=recorded.universe, namespace=self.namespace
        )
        return compare(recorded, self.found, catalog, from_metadata(metadata, self.dialect))


def record_registry(
    connection: sa.Connection, namespace: str | None, catalog: Catalog, *, where: str
) -> RegistryRecord:
    """Record a registry.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    namespace : `str` or `None`
        PostgreSQL schema.
    catalog : `Catalog`
        The versions.
    where : `str`
        Name of the registry, for messages.

    Returns
    -------
    record : `RegistryRecord`
        The registry as it is.
    """
    inspection = inspect(connection, namespace, catalog, where=where)
    return RegistryRecord(
        connection.dialect.name, namespace, inspection.recorded, inspection.found, read_strangers(connection)
    )


def read_strangers(connection: sa.Connection) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return name and definition of all indexes and triggers on SQLite, by table; nothing on PostgreSQL."""
    result: dict[str, tuple[tuple[str, str], ...]] = {}
    if connection.dialect.name == "sqlite":
        for table, name, sql in connection.exec_driver_sql(
            "SELECT tbl_name, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "
            "ORDER BY rowid"
        ):
            result[table] = (*result.get(table, ()), (name, sql))
    return result


def load_record(path: Path) -> RegistryRecord:
    """Read the record of a registry that ``registrytool schema show REPO --format json`` wrote.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or is none.
    """
    hint = "'registrytool schema show REPO --format json' writes one."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{path} is not JSON."
        raise ConfigurationError(message, hint=hint) from error
    record = data.get("registry") if isinstance(data, dict) else None
    if not isinstance(record, dict) or "record_version" not in record:
        message = f"{path} does not hold the record of a registry."
        raise ConfigurationError(message, hint=hint)
    if record.pop("record_version") != RECORD_VERSION:
        message = f"{path} was written by a registrytool that records registries in another form."
        raise ConfigurationError(message, hint="Write it again with this one, or use the same registrytool for both.")
    try:
        found: RegistryRecord = _from_plain(RegistryRecord, record)
    except (KeyError, TypeError, AttributeError) as error:
        message = f"The record of a registry in {path} is incomplete: {error}."
        raise ConfigurationError(message, hint=hint) from error
    return found


#: What the annotations of the data classes name, where it is imported for checking alone.
_NAMES = {"Mapping": Mapping, "State": State, "DynamicContent": DynamicContent}


def _from_plain(kind: Any, value: Any) -> Any:
    """Turn plain JSON values into what a type says: the counterpart of `registrytool.models.to_plain`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _from_plain(next(a for a in arguments if a is not types.NoneType), value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, localns=_NAMES)
        names = {f.name for f in dataclasses.fields(kind)}
        return kind(**{name: _from_plain(hints[name], item) for name, item in value.items() if name in names})
    if origin is Mapping:
        return {key: _from_plain(arguments[1], item) for key, item in value.items()}
    if origin is frozenset:
        return frozenset(value)
    if origin is tuple:
        inner = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        return tuple(_from_plain(k, item) for k, item in zip(inner, value, strict=True))
    return value
