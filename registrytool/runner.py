"""Run a plan through Alembic, in one transaction; the only module that runs a revision.

Each step brings its data and structure, its versions in ``butler_attributes`` and its row in ``alembic_version``; what
comes out is compared with the snapshot of the new state before the next step begins, and again before the commit.
"""

from __future__ import annotations

import datetime
import json
import operator
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from . import __version__
from .catalog import Catalog, parse_json
from .database import first_line, sql_state, whoami
from .digest import schema_digests
from .errors import ConfigurationError, MigrationError, RegistryDriftError, RegistryStateError
from .executor import ConnectionExecutor, Recorder
from .history import CONFIGURE, History, alembic_config
from .inspection import Inspection, compare, inspect
from .introspect import read_structure
from .models import CONFIGURATIONS, ComponentVersion, Direction, Plan, PlannedStep, State, StepWork, TableWork
from .naming import revision_id
from .obscore import CONFIG_OPTION, read_obscore_config
from .progress import NullProgress, Progress
from .repairs import NewValues, Repair, prepare_repair
from .reshape import ConstraintViolation, Neighbours, Reshape
from .state import (
    ATTRIBUTES,
    LOG_PREFIX,
    PATCHES,
    config_text,
    read_recorded,
    stamps_of,
    table_names,
    write_attribute,
    write_stamps,
    write_version,
)
from .step import Snapshot, Step
from .structure import DIALECTS
from .universe import Universe, docs, same_universe, with_docs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alembic.runtime.migration import MigrationStep
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionMap

    from .executor import Executor
    from .models import DynamicContent
    from .state import Executes


#: Tables in which new dataset types and datastores are registered, which then get tables of their own.
REGISTERING = frozenset({"dataset_type", "dimension_graph_key", "opaque_meta"})

#: How often locks are asked for that were given to others to end a deadlock.
_TRIES = 10


@dataclass
class Run:
    """One run of a plan.

    Parameters
    ----------
    catalog : `Catalog`
        The content.
    plan : `Plan`
        The steps.
    inspection : `Inspection`
        The registry as it is.
    namespace : `str` or `None`
        PostgreSQL schema.
    options : `~collections.abc.Mapping` [`str`, `str`]
        What the user set by ``--set``.
    accept_loss : `bool`
        Whether information may be lost.
    progress : `Progress`
        Is told what happens.
    rows : `~collections.abc.Mapping` [`str`, `int`]
        Estimated numbers of rows, by table.
    done : `int`
        How many steps were done before it, each by itself.
    total : `int` or `None`
        How many steps there are with those before and after it.
    """

    catalog: Catalog
    plan: Plan
    inspection: Inspection
    namespace: str | None
    options: Mapping[str, str] = field(default_factory=dict)
    accept_loss: bool = False
    progress: Progress = field(default_factory=NullProgress)
    rows: Mapping[str, int] = field(default_factory=dict)
    step_s: list[float] = field(default_factory=list)
    lost_docs: dict[str, str] = field(default_factory=dict)
    committed: list[Callable[[], object]] = field(default_factory=list)
    done: int = 0
    total: int | None = None

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.inspection.expected.dialect

    def first_step(self, done: int = 0, total: int | None = None) -> Run:
        """Return a run of the first step alone, which follows others; drift is repaired before it."""
        steps = self.plan.steps[:1]
        end = self.snapshots[0].state if steps else self.plan.start
        return replace(self, plan=Plan(self.plan.start, end, steps), step_s=[], lost_docs={}, done=done, total=total)

    # -- snapshots --------------------------------------------------------

    def first_snapshot(self) -> Snapshot:
        """Return the registry as its present versions promise it."""
        return self._first_snapshot

    @cached_property
    def _first_snapshot(self) -> Snapshot:
        recorded = self.inspection.recorded
        return Snapshot.make(
            self.catalog, recorded.state, self.dialect, recorded.dynamic, recorded.universe, self.namespace
        )

    @cached_property
    def _history(self) -> History:
        return self.catalog.history

    @cached_property
    def snapshots(self) -> list[Snapshot]:
        """The registry as it shall be after each step."""
        result: list[Snapshot] = []
        for step in self.plan.steps:
            result.append(self.snapshot_after(step, result[-1] if result else self.first_snapshot()))
        return result

    def snapshot_after(self, step: PlannedStep, before: Snapshot) -> Snapshot:
        """Return the registry as it shall be after a step.

        Raises
        ------
        RegistryStateError
            The universe of the registry is not the one that the step was written for.
        """
        state = before.state.without(step.component)
        if step.end is not None:
            state = state.replace(step.end)
        revision = self._history.revision(step.revision)
        if step.direction is Direction.UP:
            state = state.replace(*revision.brings)
        universe = before.universe
        if step.component == "dimensions-config":
            universe = self._next_universe(step, before.universe, before.dynamic)
        elif before.state.get("dimensions-config") is None:
            universe = self.catalog.universe(state)
        dynamic = before.dynamic
        content = getattr(self._history.script(step.revision), "content", None)
        if content is not None:
            dynamic = content(dynamic, step.direction is Direction.UP, self.catalog)
        if step.component in ("obscore", "obscore-config"):
            # The table comes and goes with its configuration.
            config, wanted = None, None
            if step.end is not None:
                path = Path(self.options[CONFIG_OPTION])
                config = read_obscore_config(path)
                wanted = ComponentVersion("obscore-config", str(config["namespace"]), str(config["version"]))
                if step.component == "obscore-config" and step.end != wanted:
                    message = f"The configuration in {path} is {wanted}, and {step.end} was asked for."
                    hint = "Ask for what the file says, or change namespace and version in it."
                    raise ConfigurationError(message, hint=hint)
            dynamic = replace(dynamic, obscore=config)
            state = state.without("obscore-config")
            state = state.replace(wanted) if wanted is not None else state
        return Snapshot.make(self.catalog, state, self.dialect, dynamic, universe, self.namespace)

    def _next_universe(self, step: PlannedStep, present: Mapping[str, Any], dynamic: DynamicContent) -> dict[str, Any]:
        assert step.start is not None  # noqa: S101 (every registry has a universe)
        assert step.end is not None  # noqa: S101
        if not same_universe(self.catalog.universe_config(step.start), present):
            message = (
                f"The dimension universe of this registry says that it is {step.start.implementation} "
                f"{step.start.version}, but its configuration was modified"
            )
            raise RegistryStateError(
                f"{message}.",
                hint="A step for the released universe would undo that; migrate it with content of your own.",
            )
        wanted = self.catalog.universe_config(step.end)
        known, here = Universe(wanted), Universe(present)
        for table in dynamic.dataset_tables:
            unknown = [d for d in table.dimensions if not known.is_known(d)]
            if unknown:
                message = (
                    f"Dataset types of this registry have the dimension {', '.join(unknown)} (table {table.name}), "
                    f"which {step.end.implementation} {step.end.version} does not have."
                )
                raise RegistryStateError(message, hint="Stay at the present universe, or remove these dataset types.")
            decided = (known.implied_by(table.dimensions) - here.implied_by(table.dimensions)) & set(table.dimensions)
            if decided:
                message = (
                    f"Dataset types of this registry have the dimension {', '.join(sorted(decided))} beside others "
                    f"that decide it in {step.end.implementation} {step.end.version} (table {table.name}): they cannot "
                    "be told from types without it there."
                )
                raise RegistryStateError(message, hint="Stay at the present universe, or remove these dataset types.")
        kept = {**self._remembered_docs(), **dict(docs(present))}
        result = with_docs(wanted, kept)
        remaining = dict(docs(result))
        self.lost_docs.update({path: text for path, text in docs(present) if path not in remaining})
        return result

    def _remembered_docs(self) -> dict[str, str]:
        """Documentation strings that earlier migrations took away, from the log of the registry."""
        result: dict[str, str] = {}
        for name, value in sorted(self.inspection.recorded.attributes.items()):
            if name.startswith(LOG_PREFIX):
                result.update(parse_json(value, name).get("docs", {}))
        result.update(self.lost_docs)
        return result

    def after_commit(self) -> None:
        """Do what steps left for when their work has been committed."""
        for action in self.committed:
            action()

    # -- looking ahead ----------------------------------------------------

    def repairs(self, values: NewValues | None = None, *, plain: bool = False) -> Reshape:
        """Return what turns the structure that was found into the one of the snapshot."""
        first, values = self.first_snapshot(), values or NewValues({}, {})
        return Reshape(
            self.inspection.found,
            # Known drift leaves the columns their names.
            first.metadata if values.sources else None,
            first.metadata,
            values.fill,
            sources=values.sources,
            keep_foreign=True,
            structure=first.structure,
            plain=plain,
        )

    @cached_property
    def preview(self) -> list[tuple[StepWork, list[Any], Neighbours]]:
        """What each step would do, written down without a database.

        Its effect on tables, its statements, and what else it locks.
        """
        before, result = self.first_snapshot(), []
        for planned, after in zip(self.plan.steps, self.snapshots, strict=True):
            recorder = Recorder()
            step = self.write_down(planned, before, after, recorder, accept_loss=True)
            tables = tuple(
                TableWork(c.table, c.action, c.lock, self.rows.get(c.table) if c.action != "create" else None)
                for c in step.changes
            )
            result.append((StepWork(planned, tables, "", ""), recorder.statements, step.neighbours))
            before = after
        return result

    def write_down(
        self,
        planned: PlannedStep,
        before: Snapshot,
        after: Snapshot,
        executor: Executor,
        *,
        accept_loss: bool,
        plain: bool = False,
        kind: type[Step] = Step,
    ) -> Step:
        """Run the script of a step with something that writes its statements down."""
        step = kind(
            planned,
            before,
            after,
            executor,
            self.catalog,
            options=self.options,
            accept_loss=accept_loss,
            plain=plain,
            found=self.inspection.recorded.tables,
        )
        self._history.function(planned)(step)
        return step

    def locked_tables(self) -> list[str]:
        """Return the existing tables that the run changes."""
        names = {c.table for c in self.repairs().changes()} | {"butler_attributes"}
        for work, *_ in self.preview:
            names.update(t.table for t in work.tables)
        return sorted(names & self.inspection.recorded.tables)

    @cached_property
    def _neighbours(self) -> Neighbours:
        """What is locked besides the tables that change."""
        return reduce(operator.or_, (n for *_, n in self.preview), self.repairs().neighbours())

    def closed_tables(self) -> list[str]:
        """Return the existing tables that nobody may use during the run, but for that of the attributes."""
        names = {*self.locked_tables(), *self._neighbours.losing & self.inspection.recorded.tables}
        return sorted(names - {ATTRIBUTES})

    # -- running ----------------------------------------------------------

    def apply(self, connection: sa.Connection, context: Any = None) -> None:
        """Repair drift and run all steps, in the transaction of the connection.

        Parameters
        ----------
        connection : `sqlalchemy.Connection`
            Connection in a transaction, which the caller commits.
        context : `alembic.runtime.environment.EnvironmentContext`, optional
            Environment to run in, if Alembic was called from outside.

        Raises
        ------
        MigrationError
            A step failed; the caller rolls back.
        RegistryStateError
            The registry is not fit for a step; the caller rolls back.
        """
        if self.inspection.unknown:
            raise RegistryDriftError([str(d) for d in self.inspection.unknown])
        self.hold_writers(connection)
        # Whoever only asks for the versions need not wait for the end; their table changes in its rows alone.
        self._lock(connection, [ATTRIBUTES], "EXCLUSIVE")
        self._lock(connection, self.closed_tables(), "ACCESS EXCLUSIVE")
        # Alembic cannot work beside revisions that are not in its scripts, such as those of obscore configurations or
        # of the patches of the existing migration tool; they come back at the end.
        stamps = self.inspection.recorded.expected_stamps & self.catalog.history.revisions.keys()
        if self.plan.steps and self.inspection.recorded.stamps != stamps:
            write_stamps(connection, self.namespace, stamps)
        self._repair(connection)
        if self.plan.steps and context is not None:
            self.run_in(context, connection)
        elif self.plan.steps:
            self._run_alembic(connection)
        self._finish(connection)

    def hold_writers(self, connection: sa.Connection) -> None:
        """Let nobody write to the tables that are locked, nor register what makes new ones, until the end.

        Others can go on reading, and a backup must: the tables are locked wholly only when it is made.
        """
        # Another run, which had the lock until now, can have taken some of them away.
        names = {ATTRIBUTES, *self.closed_tables(), *self._neighbours.gaining, *REGISTERING}
        names &= table_names(connection, self.namespace)
        self._lock(connection, sorted(names), "SHARE ROW EXCLUSIVE")

    def _lock(self, connection: sa.Connection, names: list[str], mode: str) -> None:
        """Lock tables, all at once, so that nothing changes between two steps."""
        if self.dialect != "postgresql" or not names:
            return
        # Not the one of the connection, which doubles percent signs, as the text below does again.
        preparer = DIALECTS[self.dialect].identifier_preparer
        schema = f"{preparer.quote_schema(self.namespace)}." if self.namespace else ""
        listed = ", ".join(schema + preparer.quote(name) for name in names)
        statement = sa.text(f"LOCK TABLE {listed} IN {mode} MODE".replace(":", r"\:"))
        for _ in range(_TRIES - 1):
            try:
                with connection.begin_nested():
                    connection.execute(statement)
            except DBAPIError as error:
                if sql_state(error) != "40P01":
                    raise
                # The savepoint lets those go on that waited for these locks with the others in hand.
            else:
                return
        connection.execute(statement)

    def _repair(self, connection: sa.Connection) -> None:
        if not self.inspection.differences:
            return
        self.progress.phase("repairing known drift")
        with _translated(lambda: "repair of known drift"):
            self.repair(ConnectionExecutor(connection))
        self.check(connection, self.first_snapshot(), "repair of known drift")

    def repair(self, executor: Executor, *, plain: bool = False) -> None:
        """Turn the structure that was found into the one of the snapshot."""
        tables = self.inspection.recorded.tables
        repair = Repair(self.first_snapshot(), self.catalog, executor, self.options, tables)
        reshape = self.repairs(prepare_repair(self.inspection.differences, repair), plain=plain)
        reshape.create(executor)
        reshape.alter(executor)

    def _run_alembic(self, connection: sa.Connection) -> None:
        from alembic.runtime.environment import EnvironmentContext

        script = self._history.scripts
        config = alembic_config(self.catalog.content)
        config.attributes["registrytool.connection"] = connection
        config.attributes["registrytool.run"] = self
        with EnvironmentContext(config, script):
            script.run_env()

    def run_in(self, context: Any, connection: sa.Connection) -> None:
        """Run the steps in an environment of Alembic."""
        current = _Current()
        script = context.script if hasattr(context, "script") else context._proxy.script  # noqa: SLF001
        steps = self._steps(connection, script, current)
        context.configure(connection=connection, version_table_schema=self.namespace, fn=lambda _heads, _context: steps)
        with _translated(current.name):
            context.run_migrations(step=current)

    def _steps(self, connection: sa.Connection, script: ScriptDirectory, current: _Current) -> Iterator[MigrationStep]:
        before = self.first_snapshot()
        total = self.total or len(self.plan.steps)
        for number, (planned, after) in enumerate(zip(self.plan.steps, self.snapshots, strict=True), self.done + 1):
            self.progress.step_started(planned.name, number, total)
            started = time.monotonic()
            current.step = Step(
                planned,
                before,
                after,
                ConnectionExecutor(connection),
                self.catalog,
                options=self.options,
                accept_loss=self.accept_loss,
                progress=self.progress,
                rows=self.rows,
            )
            if planned.revision == CONFIGURE:
                # Alembic has no script for it: what it leads to is the user's own.
                self._history.function(planned)(current.step)
            else:
                yield self._alembic_step(planned, script)
            # Alembic has run the script and written its row when it asks for the next step.
            self.record(connection, planned, after)
            self.check(connection, after, planned.name)
            self.committed.extend(current.step.committed)
            elapsed = time.monotonic() - started
            self.step_s.append(elapsed)
            self.progress.step_finished(planned.name, elapsed)
            before = after

    def _alembic_step(self, planned: PlannedStep, script: ScriptDirectory) -> MigrationStep:
        """Return a step as Alembic runs it."""
        from alembic.runtime.migration import MigrationStep

        revision = script.get_revision(planned.revision)
        make = MigrationStep.upgrade_from_script
        if planned.direction is Direction.DOWN:
            make = MigrationStep.downgrade_from_script
        step: MigrationStep = make(script.revision_map, revision)
        if self._history.revision(planned.revision).is_switch:
            step = _switch_step(planned, step, script.revision_map)
        return step

    def record(self, executor: Executes, planned: PlannedStep, after: Snapshot) -> None:
        """Write the new version down."""
        if planned.component == "dimensions-config":
            write_attribute(executor, self.namespace, CONFIGURATIONS["dimensions-config"], config_text(after.universe))
            return
        if planned.component in ("obscore", "obscore-config"):
            config = after.dynamic.obscore
            text = config_text(config) if config is not None else None
            write_attribute(executor, self.namespace, CONFIGURATIONS["obscore-config"], text)
        if planned.component in CONFIGURATIONS:
            return
        write_version(executor, self.namespace, self.catalog, planned.start, planned.end)
        if planned.start is not None and (planned.end or planned.start).implementation != planned.start.implementation:
            # The digest of a class that is not there any more; the new one gets its own at the end.
            stored = self.catalog.stored_class(planned.component, planned.start.implementation)
            write_attribute(executor, self.namespace, f"schema_digest:{stored}", None)
        if after.state.get("dimensions-config") is not None and planned.component == "dimensions":
            # The step that makes the tables of a universe stores it as well.
            name = CONFIGURATIONS["dimensions-config"]
            write_attribute(executor, self.namespace, name, config_text(after.universe))

    def check(self, connection: sa.Connection, snapshot: Snapshot, what: str) -> None:
        """Compare the registry with a snapshot.

        Raises
        ------
        RegistryDriftError
            They differ.
        """
        recorded = read_recorded(connection, self.namespace, self.catalog, where=what)
        found = read_structure(connection, self.namespace)
        wrong = [str(d) for d in compare(recorded, found, self.catalog, snapshot.structure).differences]
        if (recorded.state, recorded.universe) != (snapshot.state, snapshot.universe):
            wrong.insert(0, f"the recorded versions are not those after {what}")
        if wrong:
            raise RegistryDriftError(wrong, when=f" after {what}")

    def _finish(self, connection: sa.Connection) -> None:
        """Bring the bookkeeping to its end and check the whole."""
        inspection = inspect(connection, self.namespace, self.catalog, where="the migrated database")
        self.write_stamps_and_digests(connection, inspection.recorded.state, inspection.recorded.universe)
        if self.dialect == "sqlite":
            self._check_keys(connection, inspection)
        if self.plan.steps or self.inspection.differences:
            self.write_log(connection)

    def write_stamps_and_digests(self, executor: Executes, state: State, universe: Mapping[str, Any]) -> None:
        """Bring ``alembic_version``, and the digests of tables where the versions have them, to a state."""
        if self.catalog.module(state["attributes"]).DIGESTS:
            metadata = self.catalog.metadata(state, self.dialect, universe=universe, namespace=self.namespace)
            digests = schema_digests(self.catalog, state, metadata, Universe(universe), self.dialect)
            for name, value in digests.items():
                write_attribute(executor, self.namespace, name, value)
        else:
            # The existing tool leaves those of classes that are not there any more.
            for name in sorted(n for n in self.inspection.recorded.attributes if n.startswith("schema_digest:")):
                write_attribute(executor, self.namespace, name, None)
        patches = (self.inspection.recorded.stamps or frozenset()) & PATCHES
        write_stamps(executor, self.namespace, stamps_of(state) | patches)

    def _check_keys(self, connection: sa.Connection, inspection: Inspection) -> None:
        """Check the rows of tables with new foreign keys, which SQLite does not do by itself.

        Raises
        ------
        RegistryStateError
            A row refers to nothing.
        """
        for name, table in inspection.found.tables.items():
            old = self.inspection.found.tables.get(name)
            if old is not None and set(table.foreign_keys) <= set(old.foreign_keys):
                continue
            quoted = connection.dialect.identifier_preparer.quote(name)
            row = connection.exec_driver_sql(f"PRAGMA foreign_key_check({quoted})").first()
            if row is not None:
                message = f"A row of {name} (number {row[1]}) refers to a row of {row[2]} that does not exist."
                raise RegistryStateError(message, hint="Mend the data and run the same command again.")

    def log_details(self, when: str, who: str) -> dict[str, Any]:
        """Return what the log says about this run."""
        details: dict[str, Any] = {
            "when": when,
            "operation": "migrate" if self.plan.steps else "repair",
            "who": who,
            "tool": f"registrytool {__version__}",
            "steps": [s.name for s in self.plan.steps],
            "elapsed_s": [round(s, 3) for s in self.step_s],
            "repaired": sorted({d.drift for d in self.inspection.differences if d.drift}),
        }
        if self.lost_docs:
            details["docs"] = self.lost_docs
        return details

    def write_log(self, connection: sa.Connection) -> None:
        """Write down what this run did."""
        now = datetime.datetime.now(datetime.UTC)
        details = self.log_details(now.isoformat(timespec="seconds").replace("+00:00", "Z"), whoami())
        stamp = now.strftime("%Y%m%dT%H%M%S.%fZ")
        write_attribute(connection, self.namespace, f"{LOG_PREFIX}{stamp}", json.dumps(details))


def _switch_step(planned: PlannedStep, step: MigrationStep, revisions: RevisionMap) -> MigrationStep:
    """Return a step of Alembic between two implementations.

    Its script lies beside the trees: what is stamped is the revision of the version that it leads to.
    """
    from alembic.runtime.migration import StampStep

    assert planned.start is not None  # noqa: S101 (a switch has two ends)
    assert planned.end is not None  # noqa: S101
    stamps = [revision_id(v.component, v.implementation, v.version) for v in (planned.start, planned.end)]
    result = StampStep(stamps[0], stamps[1], is_upgrade=True, branch_move=False, revision_map=revisions)
    result.migration_fn = step.migration_fn
    return result


class _Current:
    """The step that runs now; what a script does with its argument reaches it.

    Alembic passes the same argument to all scripts of a run.
    """

    def __init__(self) -> None:
        self.step: Step | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def name(self) -> str:
        """Return the name of the step."""
        return self.step.planned.name if self.step is not None else "preparation"


@contextmanager
def _translated(name: Callable[[], str]) -> Iterator[None]:
    """Turn what a step can run into errors that say which step it was.

    Locks and full disks are left alone: they are told apart where the transaction ends.
    """
    try:
        yield
    except (IntegrityError, ConstraintViolation) as error:
        raise MigrationError(
            name(), first_line(error), hint="The data does not keep to the new definition; mend it first."
        ) from error
    except DBAPIError as error:
        code = sql_state(error)
        reason = first_line(error)
        if code in ("55P03", "53100", "42501") or "disk" in reason or "locked" in reason:
            raise
        # Views and the like of others, of which only the detail says the name.
        detail = getattr(getattr(error.orig, "diag", None), "message_detail", None) or ""
        hint = None
        if code in ("0A000", "2BP01") and detail:
            hint = f"Drop what hangs on the table and make it again afterwards: {detail.splitlines()[0].rstrip('.')}."
        raise MigrationError(name(), reason, hint=hint) from error
