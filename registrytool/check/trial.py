"""Run a step in the laboratory and write down everything that the rules want to know about it.

Each step is run on each database from registries with rows in every table: up and down again; up again as the script
that the step is without a database; down from rows that were never up; and for each of its test data.  No rule runs
anything itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, Null

from registrytool.database import first_line
from registrytool.errors import ContentError, PlanError, RegistryStateError, RegistryToolError, UnknownVersionError
from registrytool.executor import ConnectionExecutor, Recorder
from registrytool.inspection import Inspection
from registrytool.introspect import read_structure
from registrytool.models import CONFIGURATIONS, ComponentVersion, Difference, Direction, Plan, State
from registrytool.naming import KEPT, version_key
from registrytool.obscore import CONFIG_OPTION
from registrytool.planner import make_plan
from registrytool.runner import Run
from registrytool.sqltext import compiled
from registrytool.state import STAMPS, read_recorded
from registrytool.step import Snapshot, Step
from registrytool.structure import Structure, differences
from registrytool.universe import Universe

from .expectations import Case, insert_case, read_cases, wrong_rows
from .lock import read_lock
from .rows import Filler, Row, TableContent, read_content, register_types, usual_groups
from .statements import changed_tables, single_statements
from .traces import new_traces, read_traces, sequences_behind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.database import Database
    from registrytool.executor import Refusal
    from registrytool.history import Edge
    from registrytool.models import PlannedStep

    from .laboratory import Laboratory
    from .model import Subject

Content = dict[str, TableContent]


@dataclass(frozen=True, slots=True)
class Emitted:
    """One statement that a step sent to the database, and what it did there.

    Attributes
    ----------
    sql : `str`
        The statement.
    locks : `frozenset` [`tuple` [`str`, `str`]]
        Tables that existed before the step, and the modes of lock that they have since this statement (PostgreSQL).
    rewritten : `frozenset` [`str`]
        Tables that existed before the step and of which the statement wrote every row again (PostgreSQL).
    timeout : `bool`
        Whether waiting for locks was bounded (PostgreSQL).
    proved : `frozenset` [`tuple` [`str`, `str`]]
        Table and column that a validated check constraint kept from being NULL, before the statement (PostgreSQL).
    """

    sql: str
    locks: frozenset[tuple[str, str]] = frozenset()
    rewritten: frozenset[str] = frozenset()
    timeout: bool = True
    proved: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Passage:
    """One direction of a step on one database.

    Attributes
    ----------
    error : `str` or `None`
        What the database or the script said when it failed.
    refused : `str` or `None`
        Why the step did not want to run.
    differences : `list` [`Difference`]
        Between the structure that it left and the snapshot.
    dangling : `list` [`str`]
        Rows that refer to nothing, which SQLite permits for a while.
    fills : `set` [`tuple` [`str`, `str`]]
        Tables and columns of which the step computes the values; the column is ``*`` for its own statements.
    renames : `dict` [`tuple` [`str`, `str`], `str`]
        New names of columns, by table and old name.
    keys : `set` [`tuple` [`str`, `str`]]
        Tables and columns that get their values from another table: keys, if the step declares that it replaces some.
    asked_loss : `bool`
        Whether a question of the step found what would be lost.
    asked : `set` [`str`]
        Tables that the step asked about before it lost something.
    emitted : `list` [`Emitted`]
        The statements.
    """

    error: str | None = None
    refused: str | None = None
    differences: list[Difference] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    fills: set[tuple[str, str]] = field(default_factory=set)
    renames: dict[tuple[str, str], str] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    asked_loss: bool = False
    asked: set[str] = field(default_factory=set)
    emitted: list[Emitted] = field(default_factory=list)
    start: Content = field(default_factory=dict)
    end: Content = field(default_factory=dict)
    nulls: set[tuple[str, str]] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.error is None and self.refused is None

    @property
    def sound(self) -> bool:
        """Whether it came to the right end; what follows from a wrong one is not worth a word."""
        return self.done and not self.differences and not self.dangling


@dataclass
class Trial:
    """A step that was run on one database, from one state.

    Attributes
    ----------
    up, back : `Passage` or `None`
        Up with rows in every table, and down again.
    down : `Passage` or `None`
        Down with rows that were made for the newer version.
    script : `Passage` or `None`
        Up, as the script that the step is when there is no database to ask.
    wrong : `list` [`tuple` [`Case`, `str`]]
        What came out otherwise than the test data says.
    """

    edge: Edge
    dialect: str
    state: State
    cases: tuple[Case, ...] = ()
    up: Passage | None = None
    back: Passage | None = None
    down: Passage | None = None
    script: Passage | None = None
    wrong: list[tuple[Case, str]] = field(default_factory=list)
    problem: str | None = None


def all_trials(laboratory: Laboratory, subject: Subject) -> tuple[Trial, ...]:
    """Run every step of the content, on every database, once; rules look at what came out."""
    if subject.tried is None:
        subject.tried = tuple(_run_trials(laboratory, subject))
    return subject.tried


def _run_trials(laboratory: Laboratory, subject: Subject) -> Iterator[Trial]:
    """Run all steps of the content, as far as it is sound; what is not is found by other rules."""
    try:
        # Steps that lie below the content are somebody else's to check.
        edges = [e for e in subject.history.edges() if e.revision.path.is_relative_to(subject.content.root)]
        if subject.unreleased:
            released = read_lock(subject.content).files
            edges = [e for e in edges if subject.relative(e.revision.path) not in released]
        states = {edge.revision.id: start_states(subject.catalog, edge) for edge in edges}
    except RegistryToolError:
        return
    for edge in edges:
        for number, state in enumerate(reversed(states[edge.revision.id])):
            dialects = [d for d in laboratory.dialects if subject.catalog.can_hold(state, d)]
            # The newest state on all databases, the oldest one on the first.
            for dialect in dialects if number == 0 else dialects[:1]:
                yield _run_trial(laboratory, subject.catalog, edge, dialect, state, all_ways=number == 0)


def start_states(catalog: Catalog, edge: Edge) -> list[State]:
    """Return the states in which to begin a step: the first and the last that a release had, or else one like it."""
    component = edge.end.component
    candidates = [*_released_states(catalog), *_newest_states(catalog, edge)]
    fitting: dict[frozenset[ComponentVersion], State] = {}
    for state in candidates:
        if state.get(component) == edge.start and _coherent(catalog, state) and _leads(catalog, edge, state):
            fitting.setdefault(frozenset(state.components.values()), state)
    found = list(fitting.values()) or list(_states_on_the_way(catalog, edge))[:1]
    return [found[0], found[-1]] if len(found) > 1 else found


def _released_states(catalog: Catalog) -> Iterator[State]:
    if not catalog.content.schema_file("releases.yaml").exists():
        return
    for release in catalog.releases.known():
        try:
            for version in release.state.components.values():
                catalog.require(version)
        except UnknownVersionError:
            continue
        yield release.state


def _newest_states(catalog: Catalog, edge: Edge) -> Iterator[State]:
    """Give newest states, with each implementation of collections, at the beginning of a step."""
    newest = catalog.newest_state()
    other = [catalog.newest("collections", name) for name in catalog.versions["collections"]]
    for state in (newest, *(newest.replace(version) for version in reversed(other))):
        yield state.replace(edge.start) if edge.start is not None else state.without(edge.end.component)


def _coherent(catalog: Catalog, state: State) -> bool:
    """Whether each version of a state has what it needed to come about."""
    revisions = catalog.history.revisions
    of = {r.target: r for r in revisions.values() if r.target is not None}
    for version in state.components.values():
        revision = of.get(version)
        while revision is not None:
            for component, least in revision.needs.items():
                found = state.get(component)
                if found is None or version_key(found.version) < version_key(least):
                    return False
            revision = revisions[revision.down] if revision.down else None
    implicit = hasattr(catalog.module(state["dimensions"]), "universe")
    return implicit == (state.get("dimensions-config") is None)


def _states_on_the_way(catalog: Catalog, edge: Edge) -> Iterator[State]:
    """Give states at the beginning of a step in which a registry is only for a moment, while others go on."""
    history = catalog.history
    for release in catalog.releases.known() if catalog.content.schema_file("releases.yaml").exists() else ():
        state = release.state
        if edge.end.component in CONFIGURATIONS or edge.end.version not in catalog.versions[edge.end.component].get(
            edge.end.implementation, ()
        ):
            continue
        begin = state[edge.end.component]
        if begin.implementation != edge.end.implementation:
            if begin.version not in catalog.versions[edge.end.component][edge.end.implementation]:
                continue
            state = state.replace(ComponentVersion(begin.component, edge.end.implementation, begin.version))
        targets: dict[str, ComponentVersion | None] = {
            c: catalog.newest(c, v.implementation) for c, v in state.components.items()
        }
        try:
            steps = make_plan(history, state, targets).steps
        except PlanError:
            continue
        for step in steps:
            if step.revision == edge.revision.id:
                yield state
            if step.end is not None:
                state = state.replace(step.end, *history.revisions[step.revision].brings)


def _leads(catalog: Catalog, edge: Edge, state: State) -> bool:
    """Whether a step can begin in a state."""
    try:
        plan = make_plan(catalog.history, state, {edge.end.component: edge.end})
    except PlanError:
        return False
    return [s.revision for s in plan.steps] == [edge.revision.id]


# -- one step -------------------------------------------------------------------


def _run_trial(
    laboratory: Laboratory, catalog: Catalog, edge: Edge, dialect: str, state: State, *, all_ways: bool
) -> Trial:
    trial = Trial(edge, dialect, state)
    try:
        trial.cases = read_cases(edge.revision)
        options = _options(trial.cases, edge)
        if not set(edge.revision.required_options) <= options.keys():
            return trial  # nobody says what to set, and a rule of its own says that
        _up_and_back(laboratory, catalog, trial, options)
        if all_ways and edge.revision.reversible and edge.start is not None:
            _down(laboratory, catalog, trial, options)
        if edge.revision.new_keys is not None:
            _leave_out_keys(trial)
        for case in trial.cases if all_ways else ():
            before = trial.up if case.up else trial.down or trial.back
            if before is not None and (before.error or (before.done and not before.sound)):
                continue
            _case(laboratory, catalog, trial, case)
    except RegistryToolError as error:
        trial.problem = error.message
    except sa.exc.SQLAlchemyError as error:
        trial.problem = first_line(error)
    return trial


def _leave_out_keys(trial: Trial) -> None:
    """Let keys that the step replaces be NULL on both sides: only the rest of the rows can be compared."""
    passages = [p for p in (trial.up, trial.back, trial.down, trial.script) if p is not None]
    keys = {key for passage in passages for key in passage.keys}
    for passage in passages:
        passage.fills -= keys
        for content in (passage.start, passage.end):
            for table, found in content.items():
                hidden = {c for t, c in keys if t == table}
                rows = [
                    tuple(None if c in hidden else v for c, v in zip(found.columns, row, strict=True))
                    for row in found.rows
                ]
                content[table] = TableContent(found.columns, rows)


def _options(cases: Sequence[Case], edge: Edge) -> dict[str, str]:
    """Return what to set: for an option that the step cannot do without, what its test data sets first."""
    found: dict[str, str] = {}
    for case in cases:
        for name in edge.revision.required_options:
            if case.up and name in case.options:
                found.setdefault(name, case.options[name])
    return _paths(found, edge)


def _paths(options: Mapping[str, str], edge: Edge) -> dict[str, str]:
    # Files are named relative to the script.
    result = dict(options)
    if CONFIG_OPTION in result:
        result[CONFIG_OPTION] = str(edge.revision.path.parent / result[CONFIG_OPTION])
    return result


def _up_and_back(laboratory: Laboratory, catalog: Catalog, trial: Trial, options: Mapping[str, str]) -> None:
    never_null: set[tuple[str, str]] = set()
    groups = _groups(catalog, trial)
    for _ in range(5):
        with laboratory.registry(
            catalog, trial.state, trial.dialect, rows=True, never_null=never_null, groups=groups
        ) as database:
            trial.up = _pass(database, catalog, trial.edge, Direction.UP, options)
            if trial.up.nulls - never_null:
                # The step refuses these, and says so; the rest is tried without them.
                never_null |= trial.up.nulls
                continue
            if trial.up.sound and trial.edge.revision.reversible:
                trial.back = _pass(database, catalog, trial.edge, Direction.DOWN, options)
        break
    if trial.up is not None and trial.up.sound:
        with laboratory.registry(
            catalog, trial.state, trial.dialect, rows=True, never_null=never_null, groups=groups
        ) as database:
            trial.script = _pass(database, catalog, trial.edge, Direction.UP, options, recorded=True)


def _down(laboratory: Laboratory, catalog: Catalog, trial: Trial, options: Mapping[str, str]) -> None:
    state = trial.state.replace(trial.edge.end)
    never_null: set[tuple[str, str]] = set()
    groups = _groups(catalog, trial)
    for _ in range(5):
        with laboratory.registry(
            catalog, state, trial.dialect, rows=True, never_null=never_null, groups=groups
        ) as database:
            trial.down = _pass(database, catalog, trial.edge, Direction.DOWN, options)
        if not trial.down.nulls - never_null:
            return
        never_null |= trial.down.nulls


def _groups(catalog: Catalog, trial: Trial) -> tuple[tuple[str, ...], ...]:
    """Return dimensions of dataset types that both sides of the step know: others would keep it from running."""
    old = Universe(catalog.universe(trial.state))
    if hasattr(catalog.history.script(trial.edge.revision.id), "content"):
        # The step takes the dataset types along.
        return usual_groups(old)
    new = Universe(catalog.universe(trial.state.replace(trial.edge.end, *trial.edge.revision.brings)))
    return tuple(group for group in usual_groups(old) if all(new.is_known(name) for name in group))


def _case(laboratory: Laboratory, catalog: Catalog, trial: Trial, case: Case) -> None:
    state = trial.state
    for component, version in case.state.items():
        implementation, slash, number = version.rpartition("/")
        implementation = implementation if slash else state[component].implementation
        state = state.replace(ComponentVersion(component, implementation, number))
    if not case.up:
        state = state.replace(trial.edge.end)
    options = _paths(case.options, trial.edge)
    with laboratory.registry(catalog, state, trial.dialect) as database:
        with database.write("insert test data") as connection:
            there: dict[str, list[Row]] = {}
            if case.dataset_types:
                groups = case.dataset_types
                _, there = register_types(connection, database.namespace, catalog, groups=groups, record_tables=())
            snapshot = _run(connection, database, catalog, options).first_snapshot()
            try:
                insert_case(connection, Filler(snapshot.metadata, (), there), case)
            except (RegistryToolError, sa.exc.SQLAlchemyError) as error:
                trial.wrong.append((case, f"its rows cannot be put into a registry: {_said(error)}"))
                return
        direction = Direction.UP if case.up else Direction.DOWN
        passage = _pass(database, catalog, trial.edge, direction, options, contents=False)
        if not passage.done:
            trial.wrong.append((case, f"the step fails: {passage.error or passage.refused}"))
            return
        with database.read() as connection:
            snapshot = _run(connection, database, catalog, options).first_snapshot()
            trial.wrong += [(case, text) for text in wrong_rows(connection, snapshot.metadata, case)]


def _said(error: Exception) -> str:
    if isinstance(error, RegistryToolError):
        return error.message
    return first_line(error) if isinstance(error, sa.exc.SQLAlchemyError) else f"{type(error).__name__}: {error}"


def _run(connection: sa.Connection, database: Database, catalog: Catalog, options: Mapping[str, str]) -> Run:
    recorded = read_recorded(connection, database.namespace, catalog, where="the laboratory")
    # The structure is compared after the step, not before.
    nothing = Structure(database.dialect, {})
    inspection = Inspection(recorded, nothing, nothing, (), ())
    plan = Plan(recorded.state, recorded.state, ())
    return Run(catalog, plan, inspection, database.namespace, dict(options), accept_loss=True)


def _pass(
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
            run = _run(connection, database, catalog, options)
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
    except (_RefusedError, RegistryStateError, PlanError) as error:
        passage.refused = error.message
        if isinstance(error.__cause__, sa.exc.DBAPIError):
            passage.error = first_line(error.__cause__)
    except Exception as error:  # noqa: BLE001 (whatever a script does wrong is a finding)
        passage.error = _said(error)
    return passage


def _require_transaction(connection: sa.Connection) -> None:
    """Raise unless everything that a step did can still be taken back."""
    try:
        connection.exec_driver_sql("RELEASE SAVEPOINT registrytool_step")
    except sa.exc.DBAPIError as error:
        message = "it ends the transaction, so that a later failure would not take back what it did"
        raise ContentError(message) from error


class _RefusedError(RegistryToolError):
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
    executor = _Watcher(connection, namespace, frozenset(before.structure.tables), passage.emitted)
    step = _ObservedStep(planned, before, after, executor, catalog, options=options, accept_loss=True)
    step.passage = passage
    try:
        catalog.history.function(planned)(step)
    except Exception as error:
        if passage.nulls:
            # Something went on that the step had refused; it is run again without the reason.
            raise _RefusedError(str(error)) from None
        raise
    if passage.nulls:
        message = "NULL is refused"
        raise _RefusedError(message)


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


# -- watching PostgreSQL ----------------------------------------------------------

_DDL = re.compile(
    r"\s*(ALTER|CREATE|DROP|LOCK|TRUNCATE|VACUUM|CLUSTER|REINDEX|REFRESH|SET|SELECT\s+set_config)\b", re.IGNORECASE
)
_NOT_NULL = re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE)


class _Watcher:
    """Executes statements and writes down what each does: its text, its locks, the tables that it writes again."""

    live: ClassVar[bool] = True

    def __init__(
        self, connection: sa.Connection, namespace: str | None, tables: frozenset[str], emitted: list[Emitted]
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._tables = tables
        self._emitted = emitted
        self._bound = 0
        self._seen = self._look()

    def fetch(self, statement: Any) -> Sequence[Any]:
        """Return the rows of a query."""
        return self._connection.execute(statement).fetchall()

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Refuse to go on if a query has rows."""
        ConnectionExecutor(self._connection).forbid(rows, refusal)

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:
        """Return name and definition of the indexes and triggers of an SQLite table."""
        return ConnectionExecutor(self._connection).strangers(table)

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:
        """Give the rows of a query in pieces."""
        return ConnectionExecutor(self._connection).stream(statement)

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows."""
        ConnectionExecutor(self._connection).load(table, rows)

    def execute(self, statement: Any) -> None:
        """Execute a statement."""
        sent: list[str] = []

        def listen(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
            sent.append(text % parameters if isinstance(parameters, dict) and parameters else text)

        proved = self._proved() if _NOT_NULL.search(str(statement)) else frozenset()
        sa.event.listen(self._connection, "before_cursor_execute", listen)
        try:
            self._connection.execute(statement)
        finally:
            sa.event.remove(self._connection, "before_cursor_execute", listen)
        for text in sent:
            pieces = list(single_statements(text))
            now = self._look() if any(map(_DDL.match, pieces)) else self._seen
            rewritten = frozenset(t for t, file in now.files.items() if self._seen.files.get(t, file) != file)
            # What they do is known of all that are sent at once.
            first = Emitted(pieces[0], now.locks - self._seen.locks, rewritten, now.timeout, proved)
            self._emitted += (first, *(Emitted(piece, proved=proved) for piece in pieces[1:]))
            self._seen = now

    def _look(self) -> _Seen:
        """Look at the locks of this session and the files of the tables."""
        if self._connection.dialect.name != "postgresql":
            return _Seen(frozenset(), {}, timeout=True)
        rows = self._connection.execute(_LOOK, {"namespace": self._namespace}).all()
        ours = [row for row in rows if row.relname in self._tables]
        waiting = self._connection.scalar(_WAITING)
        # No longer than the runner waits.
        self._bound = self._bound or waiting
        timeout = 0 < waiting <= self._bound
        return _Seen(
            frozenset((row.relname, row.mode) for row in ours if row.mode is not None),
            {row.relname: row.file for row in ours},
            timeout,
        )

    def _proved(self) -> frozenset[tuple[str, str]]:
        """Return the columns of which a validated check says that they are not NULL."""
        if self._connection.dialect.name != "postgresql":
            return frozenset()
        rows = self._connection.execute(_CHECKS, {"namespace": self._namespace}).all()
        found = ((row.relname, _IS_NOT_NULL.fullmatch(row.definition)) for row in rows)
        return frozenset((table, match[1].strip('"')) for table, match in found if match)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Locks and files of the tables at a moment."""

    locks: frozenset[tuple[str, str]]
    files: Mapping[str, int]
    timeout: bool


_LOOK = sa.text(
    "SELECT c.relname, pg_relation_filenode(c.oid) AS file, l.mode FROM pg_class AS c "
    "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_locks AS l ON l.relation = c.oid AND l.granted AND l.pid = pg_backend_pid() "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "WHERE n.nspname = :namespace AND c.relkind = 'r'"
)
_WAITING = sa.text("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'".replace("::", r"\:\:"))
_CHECKS = sa.text(
    "SELECT c.relname, pg_get_constraintdef(k.oid) AS definition FROM pg_constraint AS k "
    "JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :namespace AND k.contype = 'c' AND k.convalidated"
)
_IS_NOT_NULL = re.compile(r"CHECK \(\((\S+) IS NOT NULL\)\)")
