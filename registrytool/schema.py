"""Show, compare and write out schemas, of versions or of live registries."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .catalog import Catalog
from .database import Database
from .executor import Recorder
from .models import Difference, State, to_plain
from .repository import open_repository
from .reshape import Reshape
from .snapshot import RegistryRecord, record_registry
from .sqltext import compiled
from .structure import Structure, differences, from_metadata
from .targets import wanted_state

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Schema:
    """The schema of some versions or of a registry; ``live`` says which.

    ``registry`` is the record of a live one, from which a migration can be planned without its database.
    """

    target: str
    state: State
    structure: Structure
    live: bool
    registry: RegistryRecord | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result: dict[str, Any] = to_plain(dataclasses.replace(self, registry=None))
        return {**result, "registry": self.registry.to_dict() if self.registry is not None else None}


def find_schema(
    targets: Sequence[str],
    *,
    dialect: str = "sqlite",
    universe: Path | None = None,
    namespace: str | None = None,
    catalog: Catalog | None = None,
) -> Schema:
    """Return the schema of versions, or of a registry.

    Parameters
    ----------
    targets : sequence of `str`
        One repository, or what ``create --at`` takes; nothing means the newest versions.
    dialect : `str`, optional
        ``sqlite`` or ``postgresql``, for versions.
    universe : `pathlib.Path`, optional
        File with a dimension universe, for versions.
    namespace : `str`, optional
        PostgreSQL schema, for a registry.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    schema : `Schema`
        The schema.
    """
    catalog = catalog or Catalog.find()
    if len(targets) == 1 and _is_repository(targets[0]):
        repository = open_repository(targets[0], namespace=namespace)
        database = Database.of(repository)
        record = database.look(lambda c: record_registry(c, database.namespace, catalog, where=repository.name))
        inspection = record.inspection(catalog)
        ours = inspection.expected.tables.keys() | {d.table for d in inspection.differences}
        found = dataclasses.replace(record.found, tables={n: t for n, t in record.found.tables.items() if n in ours})
        return Schema(targets[0], record.recorded.state, found, live=True, registry=record)
    state, config = wanted_state(targets, catalog, universe=universe)
    metadata = catalog.metadata(state, dialect, universe=config)
    return Schema(" ".join(targets) or "newest", state, from_metadata(metadata, dialect), live=False)


def _is_repository(target: str) -> bool:
    return "://" in target or "/" in target or Path(target).exists()


def schema_differences(a: Schema, b: Schema) -> list[Difference]:
    """List what differs in the second schema from the first.

    Extensions are not compared, since versions do not have any of their own.
    """
    return [d for d in differences(a.structure, b.structure) if d.kind != "extension"]


def schema_sql(
    targets: Sequence[str],
    *,
    dialect: str = "sqlite",
    universe: Path | None = None,
    namespace: str | None = None,
    catalog: Catalog | None = None,
) -> list[str]:
    """Return the statements that make an empty registry of some versions, without its attributes.

    Returns
    -------
    statements : `list` [`str`]
        SQL, in the order in which it can be executed.
    """
    catalog = catalog or Catalog.find()
    state, config = wanted_state(targets, catalog, universe=universe)
    metadata = catalog.metadata(state, dialect, universe=config, namespace=namespace)
    recorder = Recorder()
    Reshape(Structure(dialect, {}), None, metadata).create(recorder)
    return [compiled(s, dialect) for s in recorder.statements]
