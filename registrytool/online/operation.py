"""Online migrations as operations: begin, go on, hold before the exchange, go back."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from registrytool.butler_yaml import follow_plan
from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.errors import (
    ConfigurationError,
    PlanError,
    RegistryBusyError,
    RegistryDriftError,
    RegistryStateError,
)
from registrytool.executor import ConnectionExecutor
from registrytool.inspection import ONLINE_DRIFT, Inspection, inspect
from registrytool.introspect import read_structure
from registrytool.models import Plan, _Model
from registrytool.preparation import check_owner, plan_run, table_rows
from registrytool.progress import NullProgress, Progress
from registrytool.reshape import Reshape
from registrytool.runner import REGISTERING, Run
from registrytool.state import (
    ATTRIBUTES,
    ONLINE_PREFIX,
    ONLINE_RUN,
    STAMPS,
    parse_state,
    read_attributes,
    table_names,
    write_attribute,
)
from registrytool.structure import differences

from .derive import CapturedStep, Effects, Work, attribute_statements, derive, ours, without_helpers
from .engine import Engine, Pace, one_moment
from .obstacles import refuse_obstacles
from .record import REPAIR, new_record, still_changed, way_back

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from registrytool.repository import Repository
    from registrytool.step import Snapshot


@dataclass(frozen=True, slots=True)
class OnlineOptions:
    """What the user asks of an online migration."""

    targets: Sequence[str] = ("newest",)
    settings: Mapping[str, str] = field(default_factory=dict)
    accept_loss: bool = False
    hold: bool = False
    pace: Pace = field(default_factory=Pace)
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class OnlineReport(_Model):
    """What an online migration did.

    ``held`` names the step that waits for its exchange; ``exchange_s`` says how long each exchange kept others out.
    ``aborted`` names the step that was taken away, and ``stays`` says why steps before it could not be undone.
    """

    registry: str
    steps: tuple[str, ...]
    held: str | None = None
    aborted: str | None = None
    stays: str | None = None
    warnings: tuple[str, ...] = ()
    exchange_s: tuple[float, ...] = ()
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class _Stage:
    """One step, or the repair that comes before the first one."""

    name: str
    run: Run
    origin: Snapshot
    after: Snapshot
    work: Work
    effects: Effects


class _ChangedError(Exception):
    """Somebody made tables since the step was built, or migrated since the run was planned; that is done again."""


def migrate_online(
    repository: Repository,
    options: OnlineOptions | None = None,
    *,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> OnlineReport:
    """Begin an online migration and bring it to its end, or to its exchange.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    options : `OnlineOptions`, optional
        What is wanted.
    catalog : `Catalog`, optional
        The content.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    report : `OnlineReport`
        What was done.

    Raises
    ------
    PlanError
        A step cannot run online; nothing was written.
    RegistryStateError
        An online migration is under way already, or the registry is not fit for one.
    RegistryBusyError
        Others had a lock for too long; ``resume_online`` goes on.
    """
    operation = _Operation(repository, options or OnlineOptions(), catalog, progress)
    return operation.start()


def resume_online(
    repository: Repository,
    options: OnlineOptions | None = None,
    *,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> OnlineReport:
    """Go on with the online migration that is under way; targets and settings are those with which it began.

    Raises
    ------
    RegistryStateError
        There is none.
    """
    return _Operation(repository, options or OnlineOptions(), catalog, progress).resume()


def abort_online(
    repository: Repository,
    options: OnlineOptions | None = None,
    *,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> OnlineReport:
    """Take away what the online migration that is under way has built, and go back over its finished steps.

    Those stay that have no way back online, or none without a loss that the options accept; the report says so.

    Raises
    ------
    RegistryStateError
        There is none.
    """
    return _Operation(repository, options or OnlineOptions(), catalog, progress).abort()


class _Operation:
    def __init__(
        self, repository: Repository, options: OnlineOptions, catalog: Catalog | None, progress: Progress | None
    ) -> None:
        self.repository = repository
        self.options = options
        self.catalog = catalog or Catalog.find()
        self.progress = progress or NullProgress()
        self.database = Database.of(repository)
        self.done: list[str] = []
        self.exchange_s: list[float] = []
        self.warnings: list[str] = []
        self.began = time.monotonic()
        if self.database.dialect != "postgresql":
            message = f"{repository.name} is on SQLite, where a migration keeps everybody else out."
            raise ConfigurationError(message, hint="Migrate it without --online.")

    # -- what the user asks -----------------------------------------------

    def start(self) -> OnlineReport:
        wanted = f"migrate {self.repository.name} online"
        with self.database.online(wanted, wait_s=self.options.wait_s) as connection:
            engine = self._engine(connection, wanted)
            while True:
                run = self.database.look(self._plan_all)
                if not run.plan.steps and not run.inspection.differences:
                    return self._report()
                record = new_record(run, self.options.settings, accept_loss=self.options.accept_loss)
                try:
                    engine.briefly(partial(self._begin, connection, run, record), exclusive=True)
                except _ChangedError:
                    continue
                return self._go_on(engine, record, hold=self.options.hold)

    def _plan_all(self, connection: sa.Connection) -> Run:
        """Plan, and refuse what can be refused before the first write."""
        inspection = self._inspect(connection)
        inspection.recorded.check_online(self.repository.name)
        run = self._plan(inspection, connection)
        refuse_obstacles(run)
        if run.plan.steps or inspection.differences:
            self._next(run, connection)
        return run

    def _begin(self, connection: sa.Connection, run: Run, record: Mapping[str, Any]) -> None:
        """Write the record, unless somebody has migrated the registry since that was planned."""
        if read_attributes(connection, self.database.namespace) != run.inspection.recorded.attributes:
            raise _ChangedError
        self._write_record(connection, record)

    def resume(self) -> OnlineReport:
        wanted = f"resume the online migration of {self.repository.name}"
        with self.database.online(wanted, wait_s=self.options.wait_s) as connection:
            record = self._require_record(connection)
            return self._go_on(self._engine(connection, wanted), record, hold=self.options.hold)

    def abort(self) -> OnlineReport:
        wanted = f"abort the online migration of {self.repository.name}"
        with self.database.online(wanted, wait_s=self.options.wait_s) as connection:
            record = self._require_record(connection)
            engine = self._engine(connection, wanted)
            aborted, stays = str(record["step"]), None
            self._take_away(engine, record)
            back = way_back(record, accept_loss=self.options.accept_loss)
            try:
                if back is not None:
                    self._go_back(engine, back)
            except RegistryBusyError:
                raise
            except (PlanError, RegistryStateError) as error:
                self._take_away(engine, record)
                with one_moment(connection):
                    changed = still_changed(record, self._inspect(connection).recorded.state)
                there, back_to = ", ".join(changed), " ".join(f"--to {target}" for target in changed.values())
                stays = (
                    f"{there} stays, since going back online is refused ({error.message.rstrip('.')}); "
                    f"'registrytool migrate {self.repository.name} {back_to}' does it while the repository is closed"
                )
            engine.briefly(lambda: engine.forget(ONLINE_PREFIX), exclusive=True)
        return replace(self._report(), aborted=aborted, stays=stays)

    def _take_away(self, engine: Engine, record: dict[str, Any]) -> None:
        """Drop what the present step has built."""
        self._phase(engine, record, "abort")
        with engine.connection.begin():
            names = table_names(engine.connection, self.database.namespace)
        engine.take_away(names)
        engine.briefly(engine.forget)

    def _go_back(self, engine: Engine, record: dict[str, Any]) -> None:
        """Migrate back to where the run began, step by step as it went."""
        with one_moment(engine.connection):
            run = self._plan(self._inspect(engine.connection), engine.connection, record)
            refuse_obstacles(run)
            if run.plan.steps:
                self._next(run, engine.connection)
        self._go_on(engine, record, hold=False)
        if not record["stamped"]:
            engine.briefly(lambda: engine.do(f"DROP TABLE IF EXISTS {engine.qualified(STAMPS)}"), exclusive=True)

    # -- reading ----------------------------------------------------------

    def _engine(self, connection: sa.Connection, wanted: str) -> Engine:
        return Engine(connection, self.database, wanted, self.options.pace, self.options.wait_s, progress=self.progress)

    def _inspect(self, connection: sa.Connection) -> Inspection:
        return inspect(connection, self.database.namespace, self.catalog, where=self.repository.name)

    def _plan(self, inspection: Inspection, connection: sa.Connection, record: Mapping[str, Any] | None = None) -> Run:
        """Plan as if there were no helpers."""
        recorded = replace(
            inspection.recorded,
            attributes={n: v for n, v in inspection.recorded.attributes.items() if not n.startswith(ONLINE_PREFIX)},
        )
        bare = replace(
            inspection,
            recorded=recorded,
            found=without_helpers(inspection.found),
            differences=tuple(d for d in inspection.differences if d.drift != ONLINE_DRIFT),
        )
        asked = self.options
        run = plan_run(
            bare,
            self.database.namespace,
            self.catalog,
            record["targets"] if record is not None else asked.targets,
            record["settings"] if record is not None else asked.settings,
            accept_loss=bool(record["accept_loss"]) if record is not None else asked.accept_loss,
            progress=self.progress,
            where=self.repository.name,
        )
        run.rows = table_rows(connection, self.database.namespace, bare)
        check_owner(connection, run)
        return run

    def _next(self, run: Run, connection: sa.Connection) -> _Stage:
        """Return the next stage of a run, after everything that it refuses."""
        first = run.first_snapshot()
        found = run.inspection.found
        if run.inspection.differences:
            alone = replace(run, plan=Plan(run.plan.start, run.plan.start, ()), step_s=[], lost_docs={})
            return _Stage(REPAIR, alone, first, first, derive(found, first, first, Effects()), Effects())
        one = run.first_step()
        (planned,) = one.plan.steps
        after = one.snapshots[0]
        effects = Effects(look=ConnectionExecutor(connection))
        one.write_down(planned, first, after, effects, accept_loss=one.accept_loss, kind=CapturedStep)
        return _Stage(planned.name, one, first, after, derive(found, first, after, effects), effects)

    # -- the record -------------------------------------------------------

    def _write_record(self, connection: sa.Connection, record: Mapping[str, Any]) -> None:
        write_attribute(connection, self.database.namespace, ONLINE_RUN, json.dumps(record))

    def _require_record(self, connection: sa.Connection) -> dict[str, Any]:
        with one_moment(connection):
            record = self._inspect(connection).recorded.online
        if record is None:
            message = f"There is no online migration of {self.repository.name} under way."
            raise RegistryStateError(message, hint="'registrytool migrate --online' begins one.")
        return dict(record)

    def _phase(self, engine: Engine, record: dict[str, Any], phase: str) -> None:
        if record["phase"] != phase:
            record["phase"] = phase
            engine.briefly(lambda: self._write_record(engine.connection, record))
        self.progress.phase(phase)

    # -- going on ---------------------------------------------------------

    def _go_on(self, engine: Engine, record: dict[str, Any], *, hold: bool) -> OnlineReport:
        connection = engine.connection
        while True:
            with one_moment(connection):
                run = self._plan(self._inspect(connection), connection, record)
                stage = self._next(run, connection) if run.plan.steps or run.inspection.differences else None
            if stage is None:
                engine.briefly(lambda: engine.forget(ONLINE_PREFIX), exclusive=True)
                # Once more, for steps of a run that was killed before it came to this.
                self._follow(run.plan)
                return self._report()
            if stage.work.obstacles:
                message = f"The step {stage.name} cannot run online any more: {', and '.join(stage.work.obstacles)}."
                raise PlanError(message, hint="Go back with --abort, and migrate while the repository is closed.")
            record["step"] = stage.name
            self.progress.step_started(stage.name, 1, max(1, len(run.plan.steps)))
            engine.build(stage.work, partial(self._phase, engine, record))
            if hold:
                self._phase(engine, record, "held before its exchange")
                return replace(self._report(), held=stage.name)
            self._phase(engine, record, "exchange")
            try:
                engine.briefly(
                    partial(self._exchange, engine, stage),
                    self._tables(stage),
                    exclusive=True,
                    first=partial(self._record, engine, stage, record),
                )
            except _ChangedError:
                continue
            record.update(self._after(stage, record))
            self._follow(stage.run.plan)
            self.done.append(stage.name)
            self.progress.step_finished(stage.name, time.monotonic() - self.began)

    def _follow(self, plan: Plan) -> None:
        self.warnings += follow_plan(self.repository.config_file, plan, self.catalog)

    @staticmethod
    def _after(stage: _Stage, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record as it is when a stage is finished."""
        return {**record, "phase": "begin", "finished": [*record["finished"], stage.name]}

    def _tables(self, stage: _Stage) -> list[str]:
        """Return the tables that nobody may use during the exchange; nobody may read of attributes meanwhile."""
        built = set(stage.work.tables)
        changed = set(stage.run.locked_tables()) - {ATTRIBUTES}
        registering = REGISTERING & stage.run.inspection.recorded.tables
        return sorted(built | changed | registering)

    def _record(self, engine: Engine, stage: _Stage, record: dict[str, Any]) -> None:
        """Write the new versions down, which nobody sees before the commit, and check them."""
        connection, run, namespace = engine.connection, stage.run, self.database.namespace
        present = {n: v for n, v in read_attributes(connection, namespace).items() if not n.startswith(ONLINE_PREFIX)}
        if present != run.inspection.recorded.attributes:
            raise _ChangedError
        for statement in attribute_statements(stage.effects):
            connection.execute(statement)
        for planned in run.plan.steps:
            run.record(connection, planned, stage.after)
        run.write_stamps_and_digests(connection, stage.after.state, stage.after.universe)
        run.step_s[:] = [time.monotonic() - self.began for _ in run.plan.steps]
        run.write_log(connection)
        engine.forget()
        self._write_record(connection, self._after(stage, record))
        state, universe = parse_state(read_attributes(connection, namespace), self.catalog, where=self.repository.name)
        if (state, universe) != (stage.after.state, stage.after.universe):
            raise RegistryDriftError([f"the recorded versions are not those after {stage.name}"])

    def _exchange(self, engine: Engine, stage: _Stage) -> None:
        """Change the definitions and compare the result; as short as it can be, since everybody waits."""
        began = time.monotonic()
        connection, namespace = engine.connection, self.database.namespace
        before, after = stage.origin.structure, stage.after.structure
        if table_names(connection, namespace) - {STAMPS} != stage.run.inspection.recorded.tables - {STAMPS}:
            raise _ChangedError
        engine.exchange(stage.work)
        found = ours(read_structure(connection, namespace), before, after)
        rest = Reshape(found, None, stage.after.metadata, renames=stage.effects.renames, structure=after)
        executor = ConnectionExecutor(connection)
        rest.create(executor)
        rest.alter(executor)
        rest.drop(executor)
        found = ours(read_structure(connection, namespace), before, after)
        wrong = [str(d) for d in differences(after, dataclasses.replace(found, extensions=after.extensions))]
        if wrong:
            raise RegistryDriftError(wrong, when=f" after {stage.name}")
        self.exchange_s.append(round(time.monotonic() - began, 3))

    def _report(self) -> OnlineReport:
        return OnlineReport(
            self.repository.name,
            tuple(self.done),
            warnings=tuple(dict.fromkeys(self.warnings)),
            exchange_s=tuple(self.exchange_s),
            elapsed_s=time.monotonic() - self.began,
        )
