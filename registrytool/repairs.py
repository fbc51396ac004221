"""Known drift that needs more than another structure: data that must be mended first, and values of columns."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from .dataset_ids import MAPPING
from .dimension_data import DAY_OBS_OPTION, add_day_obs, complete_visits, day_obs_offsets
from .errors import RegistryStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from .catalog import Catalog
    from .executor import Executor
    from .models import Difference
    from .reshape import Fill, Sources
    from .step import Snapshot


@dataclass(frozen=True, slots=True)
class Repair:
    """What the repair of drift is made with.

    Parameters
    ----------
    snapshot : `Snapshot`
        What the versions promise.
    catalog : `Catalog`
        The content.
    executor : `Executor`
        Executes statements.
    options : `~collections.abc.Mapping` [`str`, `str`]
        What the user set.
    tables : collection of `str`
        Tables that are there, those of others among them.
    """

    snapshot: Snapshot
    catalog: Catalog
    executor: Executor
    options: Mapping[str, str]
    tables: Collection[str]


@dataclass(frozen=True, slots=True)
class NewValues:
    """Values that columns get when their tables are written again, and what these are joined with."""

    fill: Fill
    sources: Sources


def computes_rows(name: str | None) -> bool:
    """Return whether a preparation changes rows; some only refuse those that cannot be."""
    return name is not None and name not in _CHECKS


def prepare_repair(differences: Iterable[Difference], repair: Repair) -> NewValues:
    """Mend the data that keeps known drift from being repaired.

    Parameters
    ----------
    differences : iterable of `Difference`
        The drift.
    repair : `Repair`
        What it is repaired with.

    Returns
    -------
    values : `NewValues`
        What reshaping fills columns with.

    Raises
    ------
    RegistryStateError
        The data cannot be mended.
    """
    kinds = repair.catalog.drift
    by_name: dict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        name = kinds[difference.drift or ""].prepare if difference.drift in kinds else None
        if name is not None:
            by_name[name].append(difference)
    fill: dict[str, Mapping[str, sa.ColumnElement[object]]] = {}
    sources: dict[str, sa.FromClause] = {}
    for name, found in sorted(by_name.items()):
        values = _PREPARATIONS[name](found, repair)
        fill.update(values.fill)
        sources.update(values.sources)
    return NewValues(fill, sources)


def _visit_day_obs(_: list[Difference], repair: Repair) -> NewValues:
    """Give every visit an observing day that exists."""
    snapshot, executor = repair.snapshot, repair.executor
    dialect, visit = snapshot.structure.dialect, snapshot.table("visit")
    offsets = day_obs_offsets(repair.catalog, repair.options)
    complete_visits(executor.execute, snapshot.table, offsets, dialect)

    def refusal(_: object, first: str) -> RegistryStateError:
        number, _, instrument = first.partition(", ")
        message = f"Visit {number} of {instrument} has no observing day, and none can be found for it."
        hint = f"Say when its days begin with --set {DAY_OBS_OPTION}={instrument}:SECONDS, or set visit.day_obs."
        return RegistryStateError(message, hint=hint)

    executor.forbid(sa.select(visit.c.id, visit.c.instrument).where(visit.c.day_obs.is_(None)), refusal)
    days = sa.select(visit.c.instrument, visit.c.day_obs).distinct()
    add_day_obs(executor.execute, snapshot.table("day_obs"), days, offsets, dialect)
    return NewValues({}, {})


def _collection_names(_: list[Difference], repair: Repair) -> NewValues:
    """Refuse collections of the same name: which of them keeps it is not for a program to say."""
    table = repair.snapshot.table("collection")
    twice = sa.select(table.c.name).group_by(table.c.name).having(sa.func.count() > 1).order_by(table.c.name)

    def refusal(count: object, first: str) -> RegistryStateError:
        message = f"Several collections have the same name (names: {count}, such as {first})."
        hint = "Give each collection a name of its own in the table collection; collection_id tells them apart."
        return RegistryStateError(message, hint=hint)

    repair.executor.forbid(twice, refusal)
    return NewValues({}, {})


def _integer_identifiers(found: list[Difference], repair: Repair) -> NewValues:
    """Give file records the UUIDs of their datasets, of which the existing tool's mapping tells the integers."""
    if MAPPING not in repair.tables:
        message = (
            f"The table {found[0].table} has integers for datasets that have UUIDs, and the table {MAPPING}, "
            "which tells which are the same, is not there."
        )
        hint = (
            f"Bring {MAPPING} back from a backup made after the change of identifiers, or restore the registry from "
            "one made before and migrate that."
        )
        raise RegistryStateError(message, hint=hint)
    fill: dict[str, Mapping[str, sa.ColumnElement[object]]] = {}
    sources: dict[str, sa.FromClause] = {}
    for name, column in ((d.table, d.name) for d in found):
        table = repair.snapshot.table(name)
        mapping = sa.table(MAPPING, sa.column("id"), sa.column("uuid", sa.Uuid()), schema=table.schema)
        joined = table.outerjoin(mapping, mapping.c.id == table.c[column])

        def refusal(count: object, first: str, name: str = name) -> RegistryStateError:
            message = f"The table {name} has {count} integers for datasets, such as {first}, that {MAPPING} lacks."
            hint = f"Remove these rows if their files are not wanted, or complete {MAPPING}."
            return RegistryStateError(message, hint=hint)

        unknown = (
            sa.select(sa.type_coerce(table.c[column], sa.BigInteger()))
            .select_from(joined)
            .where(mapping.c.uuid.is_(None))
        )
        repair.executor.forbid(unknown, refusal)
        fill[name] = {column: mapping.c.uuid}
        sources[name] = joined
    return NewValues(fill, sources)


_PREPARATIONS: Mapping[str, Callable[[list[Difference], Repair], NewValues]] = {
    "visit_day_obs": _visit_day_obs,
    "collection_names": _collection_names,
    "integer_identifiers": _integer_identifiers,
}

_CHECKS = frozenset({"collection_names"})
