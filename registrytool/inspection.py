"""Compare a registry with what its versions promise; only reads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drift import classify
from .introspect import read_structure
from .naming import KEPT, is_helper
from .state import STAMPS, Recorded, read_recorded
from .structure import Structure, differences, from_metadata
from .universe import Universe, same_universe

if TYPE_CHECKING:
    import sqlalchemy as sa

    from .catalog import Catalog
    from .models import Difference


#: Known drift: objects of an online migration that is under way.
ONLINE_DRIFT = "online-migration"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a registry says about itself, what it has, and how the two differ."""

    recorded: Recorded
    expected: Structure
    found: Structure
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def unknown(self) -> list[Difference]:
        """Differences that belong to no known drift."""
        return [d for d in self.differences if d.drift is None]


def inspect(connection: sa.Connection, namespace: str | None, catalog: Catalog, *, where: str) -> Inspection:
    """Read a registry and compare its structure with the snapshot of its state.

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
    inspection : `Inspection`
        Everything that a check or a migration needs to know.
    """
    recorded = read_recorded(connection, namespace, catalog, where=where)
    dialect = connection.dialect.name
    metadata = catalog.metadata(
        recorded.state, dialect, recorded.dynamic, universe=recorded.universe, namespace=namespace
    )
    return compare(recorded, read_structure(connection, namespace), catalog, from_metadata(metadata, dialect))


def compare(recorded: Recorded, found: Structure, catalog: Catalog, expected: Structure) -> Inspection:
    """Compare a structure with the snapshot of the state that a registry says it has."""
    listed: list[Difference] = []
    online: list[Difference] = []
    notes: list[str] = []
    for difference in differences(expected, found):
        if recorded.online is not None and difference.aspect == "unexpected" and is_helper(difference.name):
            online.append(dataclasses.replace(difference, drift=ONLINE_DRIFT))
            continue
        if difference.kind == "table" and difference.aspect == "unexpected":
            if difference.name.startswith(KEPT):
                notes.append(f"table {difference.name} keeps what a step back restores")
            elif difference.name != STAMPS:
                notes.append(f"table {difference.name} does not belong to the registry")
        elif difference.kind == "index" and difference.aspect == "unexpected":
            notes.append(f"index {difference.name} on {difference.table} does not belong to the registry")
        elif difference.kind == "sequence" and difference.aspect == "unexpected":
            notes.append(f"sequence {difference.name} does not belong to the registry")
        else:
            listed.append(difference)
    notes.extend(f"opaque table {name} is of an unknown kind and was not checked" for name in recorded.strange_tables)
    version = recorded.state.get("dimensions-config")
    known = catalog.versions["dimensions-config"].get(version.implementation, ()) if version is not None else ()
    if (
        version is not None
        and version.version in known
        and not same_universe(catalog.universe_config(version), recorded.universe)
    ):
        notes.append(
            f"the dimension universe is not {version.implementation} {version.version} as released: "
            "its configuration was modified"
        )
    universe = Universe(recorded.universe)
    kinds = catalog.drift
    return Inspection(
        recorded, expected, found, (*classify(listed, kinds.values(), expected, universe), *online), tuple(notes)
    )
