"""What a registry is: versions, what is pending, who can use it, its log; and stamping it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalog import Catalog, parse_json
from .database import Database
from .errors import PlanError, RegistryDriftError
from .models import COMPONENTS, CONFIGURATIONS, ComponentStatus, ComponentVersion, LogEntry, Stamping, Status
from .naming import revision_id
from .planner import make_plan
from .state import LOG_PREFIX, PATCHES, read_recorded, require_attributes, require_known, table_names, write_stamps

if TYPE_CHECKING:
    from .repository import Repository
    from .state import Recorded


def registry_status(repository: Repository, *, catalog: Catalog | None = None) -> Status:
    """Say which versions a registry has and what is pending; nothing is written.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    status : `Status`
        Versions, pending steps, and the Butler releases that can read and write it.
    """
    catalog = catalog or Catalog.find()
    database = Database.of(repository)
    recorded = database.look(lambda c: read_recorded(c, database.namespace, catalog, where=repository.name))
    history = catalog.history
    components: list[ComponentStatus] = []
    pending: list[str] = []
    notes: list[str] = []
    for component in COMPONENTS:
        version = recorded.state.get(component)
        if version is None:
            continue
        newest = _newest(catalog, version, repository.name)
        steps = 0
        if newest != version:
            try:
                plan = make_plan(history, recorded.state, {component: newest})
                steps = len(plan.steps)
                pending.extend(step.name for step in plan.steps)
            except PlanError as error:
                notes.append(error.message)
        revision = revision_id(component, version.implementation, version.version)
        stamped = recorded.stamps is not None and revision in recorded.stamps
        components.append(
            ComponentStatus(
                component, version.implementation, version.version, newest.version, steps, revision, stamped
            )
        )
    notes.extend(_notes(recorded, repository.name))
    readers, writers = catalog.releases.readers_and_writers(recorded.state)
    return Status(
        repository.name,
        database.dialect,
        database.namespace,
        tuple(components),
        tuple(pending),
        readers,
        writers,
        tuple(notes),
    )


def _newest(catalog: Catalog, version: ComponentVersion, where: str) -> ComponentVersion:
    known = catalog.versions.get(version.component, {}).get(version.implementation)
    if version.component in CONFIGURATIONS and not known:
        return version
    require_known(catalog, version, where=where)
    return catalog.newest(version.component, version.implementation)


def _notes(recorded: Recorded, where: str) -> list[str]:
    notes = []
    if recorded.online is not None:
        run = recorded.online
        notes.append(
            f"an online migration is under way since {run.get('since')}: step {run.get('step')}, {run.get('phase')}; "
            f"'registrytool migrate {where} --resume' goes on, --abort goes back"
        )
    if recorded.stamps is None:
        notes.append("not stamped: no alembic_version table (registrytool does not need it)")
        return notes
    missing = recorded.expected_stamps - recorded.stamps
    if recorded.foreign_stamps:
        foreign = ", ".join(recorded.foreign_stamps)
        notes.append(f"alembic_version contradicts butler_attributes, and nothing can be migrated: {foreign}")
    elif missing:
        notes.append(f"alembic_version lacks {', '.join(sorted(missing))}")
    return notes


def registry_log(repository: Repository) -> list[LogEntry]:
    """Return what registrytool did to a registry, oldest first.

    Parameters
    ----------
    repository : `Repository`
        The repository.

    Returns
    -------
    entries : `list` [`LogEntry`]
        One entry for each run.
    """
    database = Database.of(repository)
    with database.read() as connection:
        # The versions do not matter here: also a registry that is too new has a log.
        tables = table_names(connection, database.namespace)
        attributes = require_attributes(connection, database.namespace, tables, where=repository.name)
    entries = []
    for name in sorted(attributes):
        if name.startswith(LOG_PREFIX):
            raw = parse_json(attributes[name], f"The attribute {name}")
            known = {k: str(raw.pop(k, "")) for k in ("when", "operation", "who", "tool")}
            raw.pop("docs", None)
            entries.append(LogEntry(**known, details=raw))
    return entries


def stamp_registry(
    repository: Repository, *, purge: bool = False, catalog: Catalog | None = None, wait_s: float = 5.0
) -> Stamping:
    """Write ``alembic_version`` from ``butler_attributes``, after verifying that the structure keeps to it.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    purge : `bool`, optional
        Replace revisions that contradict the versions.
    catalog : `Catalog`, optional
        The content.
    wait_s : `float`, optional
        How long to wait for locks, in seconds.

    Returns
    -------
    stamping : `Stamping`
        The revisions, before and after.

    Raises
    ------
    RegistryDriftError
        The structure differs from the versions in an unknown way.
    RegistryStateError
        The present revisions contradict the versions, and ``purge`` is not set.
    """
    catalog = catalog or Catalog.find()
    database = Database.of(repository)
    with database.write(f"stamp {repository.name}", wait_s=wait_s) as connection:
        # Not at the top: only this needs the knowledge of structures, which costs more to load than 'status' takes.
        from .inspection import inspect

        inspection = inspect(connection, database.namespace, catalog, where=repository.name)
        recorded = inspection.recorded
        recorded.check_online(repository.name)
        if inspection.unknown:
            raise RegistryDriftError([str(d) for d in inspection.unknown])
        if not purge:
            recorded.check_stamps()
        before = recorded.stamps or frozenset()
        after = recorded.expected_stamps | (before & PATCHES)
        if recorded.stamps != after:
            write_stamps(connection, database.namespace, after)
    return Stamping(repository.name, tuple(sorted(before)), tuple(sorted(after)))
