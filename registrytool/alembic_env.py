"""Environment of Alembic: what ``alembic/env.py`` is for, and Alembic's own command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalog import Catalog
from .database import Database
from .errors import ConfigurationError, RegistryStateError, RegistryToolError
from .inspection import inspect
from .planner import make_plan
from .runner import Run

if TYPE_CHECKING:
    from .history import History
    from .models import ComponentVersion, State


def run_env() -> None:
    """Do what ``alembic/env.py`` is for: run inside of Alembic, whoever called it.

    Called by `Run`, the connection and the steps are there already.  Called by Alembic's own command line, the
    registry is the one of ``-x repo=REPO`` (``-x namespace=``, ``-x accept_loss=1`` and ``-x KEY=VALUE`` for options
    of steps), and the steps are those of ``registrytool migrate`` for the same target.

    Raises
    ------
    RegistryToolError
        What ``registrytool migrate`` would refuse.
    """
    from alembic import context

    attributes = context.config.attributes
    if "registrytool.run" in attributes:
        attributes["registrytool.run"].run_in(context, attributes["registrytool.connection"])
        return
    _run_for_alembic(context)


def _run_for_alembic(context: Any) -> None:
    from alembic.util import CommandError

    from .repository import open_repository

    settings = context.get_x_argument(as_dictionary=True)
    name = settings.pop("repo", None)
    if name is None:
        message = "Say which registry with -x repo=REPO."
        raise CommandError(message)
    catalog = Catalog.find()
    try:
        repository = open_repository(name, namespace=settings.pop("namespace", None))
        database = Database.of(repository)
        function = context._proxy.context_opts["fn"]  # noqa: SLF001 (no public way to learn the command)
        if function.__name__ == "do_stamp":
            message = f"Use 'registrytool stamp {name}', which writes the revisions that belong to the versions"
            raise CommandError(message)
        if function.__name__ not in ("upgrade", "downgrade"):
            with database.read() as connection:
                context.configure(connection=connection, version_table_schema=database.namespace)
                context.run_migrations()
            return
        if context.is_offline_mode():
            message = "Use 'registrytool migrate --sql' for a script of the statements"
            raise CommandError(message)
        accept_loss = settings.pop("accept_loss", "") not in ("", "0")
        with database.write(f"migrate {name}") as connection:
            inspection = inspect(connection, database.namespace, catalog, where=name)
            inspection.recorded.check_stamps()
            inspection.recorded.check_online(name)
            history = catalog.history
            unknown = sorted(settings.keys() - {o for r in history.revisions.values() for o in r.options})
            if unknown:
                message = f"No step has an option {', '.join(unknown)}."
                raise ConfigurationError(message, hint="'registrytool history --format json' lists the options.")
            targets = _targets(context, history, inspection.recorded.state)
            plan = make_plan(history, inspection.recorded.state, targets)
            Run(catalog, plan, inspection, database.namespace, settings, accept_loss).apply(connection, context)
    except RegistryToolError as error:
        raise CommandError(str(error)) from error


def _targets(context: Any, history: History, state: State) -> dict[str, ComponentVersion | None]:
    """Work out what a target of Alembic means: heads of implementations that the registry lacks are not meant."""
    found = context.get_revision_argument()
    wanted = [found] if isinstance(found, str) else list(found or ())
    result: dict[str, ComponentVersion | None] = {}
    if not wanted or not set(wanted) <= history.revisions.keys():
        message = f"The target {', '.join(wanted) or 'of this command'} is not a revision of registrytool."
        raise RegistryStateError(message, hint="Name revisions or heads; relative targets do not work with many trees.")
    for identifier in wanted:
        revision = history.revisions.get(identifier)
        target = revision.target if revision is not None else None
        if revision is None or target is None:
            continue
        present = state.get(target.component)
        if present is not None and present.implementation == target.implementation and not revision.is_switch:
            result[target.component] = target
        elif present is not None and revision.is_switch and len(wanted) == 1:
            # Among all heads, switches are not meant.
            result[target.component] = target
        elif len(wanted) == 1:
            message = f"This registry has no {target.component} {target.implementation}."
            raise RegistryStateError(message, hint="'registrytool history' lists the revisions.")
    return result
