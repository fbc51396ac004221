"""What comes before the first write of a migration: planning, and everything that can be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from .errors import ConfigurationError, RegistryDriftError, RegistryStateError
from .obscore import CONFIG_OPTION
from .planner import make_plan
from .progress import NullProgress, Progress
from .runner import Run
from .targets import parse_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .catalog import Catalog
    from .history import History
    from .inspection import Inspection
    from .models import Plan


def plan_run(
    inspection: Inspection,
    namespace: str | None,
    catalog: Catalog,
    targets: Sequence[str],
    settings: Mapping[str, str],
    *,
    accept_loss: bool,
    where: str,
    progress: Progress | None = None,
) -> Run:
    """Plan, and check what can be checked without the database.

    Parameters
    ----------
    inspection : `Inspection`
        The registry as it is.
    namespace : `str` or `None`
        PostgreSQL schema.
    catalog : `Catalog`
        The content.
    targets : sequence of `str`
        What is wanted, as on the command line.
    settings : `~collections.abc.Mapping` [`str`, `str`]
        Options of the steps.
    accept_loss : `bool`
        Whether information may be lost.
    where : `str`
        Name of the registry, for messages.
    progress : `Progress`, optional
        Is told what happens.

    Raises
    ------
    RegistryStateError
        The registry is not fit for a migration.
    PlanError
        There is no way.
    ConfigurationError
        An option is missing or not known.
    """
    inspection.recorded.check_online(where)
    inspection.recorded.check_stamps()
    missing = [d.name for d in inspection.differences if d.kind == "extension"]
    if missing:
        message = f"The database lacks the extension {', '.join(missing)}, which the Butler needs."
        raise RegistryStateError(message, hint=f"Ask an administrator to run: CREATE EXTENSION {missing[0]};")
    history = catalog.history
    state = inspection.recorded.state
    plan = make_plan(history, state, parse_targets(targets, state, catalog))
    if inspection.unknown:
        raise RegistryDriftError([str(d) for d in inspection.unknown])
    _check_settings(plan, history, settings)
    return Run(catalog, plan, inspection, namespace, settings, accept_loss, progress or NullProgress())


def _check_settings(plan: Plan, history: History, settings: Mapping[str, str]) -> None:
    known: dict[str, str] = {}
    for step in plan.steps:
        revision = history.revision(step.revision)
        if step.options:
            known.update(revision.options)
            for name in revision.required_options:
                if name not in settings:
                    message = f"The step {step.name} needs the option {name}: {revision.options[name]}."
                    raise ConfigurationError(message, hint=f"Set it with --set {name}=VALUE.")
    if CONFIG_OPTION in settings and plan.start.get("obscore-config") and CONFIG_OPTION not in known:
        message = f"No step of this plan reads the ObsCore configuration in {settings[CONFIG_OPTION]}."
        version = plan.start["obscore-config"]
        raise ConfigurationError(
            message,
            hint=f"The registry has {version}: give the new one another version, and name it with "
            "--to obscore-config=NAMESPACE/VERSION.",
        )
    known.update({name: "" for r in history.revisions.values() for name in r.options})
    unknown = sorted(settings.keys() - known.keys())
    if unknown:
        message = f"No step has an option {', '.join(unknown)}."
        raise ConfigurationError(message, hint=f"Known options: {', '.join(sorted(known)) or 'none'}.")


def check_owner(connection: sa.Connection, run: Run) -> None:
    """Check that all tables that change belong to the user: found on the way, that is found late.

    Raises
    ------
    RegistryStateError
        A table belongs to somebody else.
    """
    if run.dialect != "postgresql":
        return
    names = run.locked_tables()
    rows = connection.execute(
        sa.text(
            "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :namespace AND c.relname = ANY(:names) AND NOT pg_has_role(c.relowner, 'USAGE')"
        ),
        {"namespace": run.namespace, "names": names},
    ).all()
    if rows:
        message = f"The table {rows[0][0]} belongs to {rows[0][1]}, and so do {len(rows) - 1} more tables that change."
        if len(rows) == 1:
            message = f"The table {rows[0][0]} belongs to {rows[0][1]}, and it must change."
        raise RegistryStateError(message, hint="Connect as its owner, or let an administrator change the owner.")


def table_rows(connection: sa.Connection, namespace: str | None, inspection: Inspection) -> dict[str, int]:
    """Estimate the number of rows of each table.

    Statistics are used where there are some (PostgreSQL); on SQLite the highest row number is looked up, which is
    exact for tables from which nothing was deleted.

    Returns
    -------
    rows : `dict` [`str`, `int`]
        Number of rows by table.
    """
    if connection.dialect.name == "postgresql":
        found = connection.execute(
            sa.text(
                "SELECT c.relname, CASE WHEN c.reltuples < 0 THEN 0 ELSE c.reltuples END FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = :namespace AND c.relkind = 'r'"
            ),
            {"namespace": namespace},
        )
        return {name: int(rows) for name, rows in found}
    quote = connection.dialect.identifier_preparer.quote
    parts = [
        f"SELECT '{name.replace(chr(39), chr(39) * 2)}', (SELECT max(rowid) FROM {quote(name)})"
        for name in sorted(inspection.recorded.tables)
        if name in inspection.expected.tables
    ]
    result: dict[str, int] = {}
    # SQLite limits the number of terms of a compound query to 500.
    for start in range(0, len(parts), 400):
        result.update(
            {
                name: int(rows or 0)
                for name, rows in connection.exec_driver_sql(" UNION ALL ".join(parts[start : start + 400]))
            }
        )
    return result
