"""Run one direction of a step and write down everything that the rules want to know about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, Null

from registrytool.database import first_line
from registrytool.errors import ContentError, PlanError, RegistryStateError, RegistryToolError
from registrytool.executor import Recorder
from registrytool.inspection import Inspection
from registrytool.introspect import read_structure
from registrytool.models import Direction, Plan, State
from registrytool.naming import KEPT
from registrytool.planner import make_plan
from registrytool.runner import Run
from registrytool.sqltext import compiled
from registrytool.state import STAMPS, read_recorded
from registrytool.step import Snapshot, Step
from registrytool.structure import Structure, differences

from .rows import read_content
from .statements import changed_tables
from .traces import new_traces, read_traces, sequences_behind
from .tried import Passage
from .watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.catalog import Catalog
    from registrytool.database import Database
    from registrytool.history import Edge
    from registrytool.models import PlannedStep


def said(error: Exception) -> str:
    """Say what went wrong, in a sentence."""
    if isinstance(error, RegistryToolError):
        return error.message
    return first_line(error) if isinstance(error, sa.exc.SQLAlchemyError) else f"{type(error).__name__}: {error}"


def run_of(connection: sa.Connection, database: Database, catalog: Catalog, options: Mapping[str, str]) -> Run:
    """Return a run of no steps, which records versions and takes snapshots."""
    recorded = read_recorded(connection, database.namespace, catalog, where="the laboratory")
    # The structure is compared after the step, not before.
    nothing = Structure(database.dialect, {})
    inspection = Inspection(recorded, nothing, nothing, (), ())
    plan = Plan(recorded.state, recorded.state, ())
    return Run(catalog, plan, inspection, database.namespace, dict(options), accept_loss=True)


def run_direction(
    database: Database,
    catalog: Catalog,
    edge: Edge,
    direction: Direction,
    options: Mapping[str, str],
    *,
    recorded: bool = False,
    contents: bool = True,
) -> Passage:
    """Run one direction of a step."""
    passage = Passage()
    try:
        with database.write("try a step") as connection:
            run = run_of(connection, database, catalog, options)
            planned = _planned(catalog, run.inspection.recorded.state, edge, direction)
            before = run.first_snapshot()
            after = run.snapshot_after(planned, before)
            if contents and not recorded:
                passage.start = read_content(connection, database.namespace)
            traces = read_traces(connection, database.namespace)
            connection.exec_driver_sql("SAVEPOINT registrytool_step")
            if recorded:
                _execute_script(connection, catalog, planned, before, after, options, run.inspection.recorded.tables)
            else:
                _execute(connection, catalog, planned, before, after, options, passage, database.namespace)
            _require_transaction(connection)
            # The versions are recorded as the runner does it.
            run.record(connection, planned, after)
            found = read_structure(connection, database.namespace)
            passage.differences = [
                d for d in differences(after.structure, found) if d.name != STAMPS and not d.table.startswith(KEPT)
            ]
            if not passage.differences:
                passage.differences += new_traces(traces, read_traces(connection, database.namespace))
                passage.differences += sequences_behind(connection, after.metadata)
            if contents:
                passage.end = read_content(connection, database.namespace)
            if database.dialect == "sqlite":
                rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                passage.dangling = sorted({f"{row[0]} -> {row[2]}" for row in rows})
    except (RefusedError, RegistryStateError, PlanError) as error:
        passage.refused = error.message
        if isinstance(error.__cause__, sa.exc.DBAPIError):
            passage.error = first_line(error.__cause__)
    except Exception as error:  # noqa: BLE001 (whatever a script does wrong is a finding)
        passage.error = said(error)
    return passage


def _require_transaction(connection: sa.Connection) -> None:
    """Raise unless everything that a step did can still be taken back."""
    try:
        connection.exec_driver_sql("RELEASE SAVEPOINT registrytool_step")
    except sa.exc.DBAPIError as error:
        message = "it ends the transaction, so that a later failure would not take back what it did"
        raise ContentError(message) from error


class RefusedError(RegistryToolError):
    """The step does not want to run, for a reason that does not concern the gate."""


def _planned(catalog: Catalog, state: State, edge: Edge, direction: Direction) -> PlannedStep:
    target = edge.end if direction is Direction.UP else edge.start
    plan = make_plan(catalog.history, state, {edge.end.component: target})
    if len(plan.steps) != 1:
        message = f"The way to {target} is not the step itself."
        raise ContentError(message)
    return plan.steps[0]


def _execute(
    connection: sa.Connection,
    catalog: Catalog,
    planned: PlannedStep,
    before: Snapshot,
    after: Snapshot,
    options: Mapping[str, str],
    passage: Passage,
    namespace: str | None,
) -> None:
    executor = Watcher(connection, namespace, frozenset(before.structure.tables), passage.emitted)
    step = _ObservedStep(planned, before, after, executor, catalog, options=options, accept_loss=True)
    step.passage = passage
    try:
        catalog.history.function(planned)(step)
    except Exception as error:
        if passage.nulls:
            # Something went on that the step had refused; it is run again without the reason.
            raise RefusedError(str(error)) from None
        raise
    if passage.nulls:
        message = "NULL is refused"
        raise RefusedError(message)


def _execute_script(
    connection: sa.Connection,
    catalog: Catalog,
    planned: PlannedStep,
    before: Snapshot,
    after: Snapshot,
    options: Mapping[str, str],
    found: frozenset[str],
) -> None:
    """Write a step down without a database and execute the text."""
    recorder = Recorder()
    step = Step(planned, before, after, recorder, catalog, options=options, accept_loss=True, found=found)
    catalog.history.function(planned)(step)
    plain = connection.execution_options(no_parameters=True)
    for statement in recorder.statements:
        plain.exec_driver_sql(compiled(statement, connection.dialect.name))


class _ObservedStep(Step):
    """A step that is watched: what it computes, renames and refuses."""

    passage: Passage

    def refuse_if(self, rows: sa.Select[Any], message: str, hint: str) -> None:
        """Refuse; but what is refused for being NULL is noted, so that the rest can be tried without."""
        if self.fetch(rows.limit(1)):
            nulls = _null_columns(rows)
            self.passage.nulls |= nulls
            if not nulls:
                super().refuse_if(rows, message, hint)

    def refuse_loss(self, rows: sa.Select[Any], what: str) -> None:
        """Note that the step asks before it loses something."""
        self.passage.asked |= {t.name for t in visitors.iterate(rows) if isinstance(t, sa.TableClause)}
        if self.fetch(rows.limit(1)):
            self.passage.asked_loss = True
        super().refuse_loss(rows, what)

    def execute(self, statement: sa.Executable) -> None:
        """Execute, and note which tables the step computes rows of."""
        ours = {*self.before.structure.tables, *self.after.structure.tables}
        if isinstance(statement, UpdateBase):
            name = str(getattr(statement.table, "name", ""))
            # Tables that the step makes for itself alone are its own affair.
            self.passage.fills.update({(name, "*")} if name in ours else ())
        else:
            self.passage.fills.update((name, "*") for name in changed_tables(str(statement)) if name in ours)
        super().execute(statement)

    def reshape(self, *, fill: Any = None, renames: Any = None, sources: Any = None) -> None:
        """Reshape, and note what is filled and renamed."""
        for table, columns in (fill or {}).items():
            self.passage.fills.update((table, column) for column in columns)
        for table, columns in (renames or {}).items():
            self.passage.renames.update({(table, old): new for old, new in columns.items()})
        for table in sources or {}:
            filled = (fill or {}).get(table, {})
            old = (name for name, new in (renames or {}).get(table, {}).items() if new in filled)
            self.passage.keys.update((table, column) for column in (*filled, *old))
        super().reshape(fill=fill, renames=renames, sources=sources)


def _null_columns(rows: sa.Select[Any]) -> set[tuple[str, str]]:
    """Return the columns that a query wants to be NULL."""
    result = set()
    for item in visitors.iterate(rows.whereclause) if rows.whereclause is not None else ():
        if (
            isinstance(item, BinaryExpression)
            and item.operator is operators.is_
            and isinstance(item.right, Null)
            and isinstance(item.left, sa.Column)
        ):
            result.add((str(getattr(item.left.table, "name", "")), item.left.name))
    return result
