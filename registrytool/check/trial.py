"""Run a step in the laboratory and write down everything that the rules want to know about it.

Each step is run on each database from registries with rows in every table: up and down again; up again as the script
that the step is without a database; down from rows that were never up; and for each of its test data.  No rule runs
anything itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.database import first_line
from registrytool.errors import RegistryToolError
from registrytool.models import ComponentVersion, Direction, State
from registrytool.obscore import CONFIG_OPTION
from registrytool.universe import Universe

from .expectations import Case, insert_case, read_cases, wrong_rows
from .lock import read_lock
from .passing import run_direction, run_of, said
from .rows import Filler, Row, TableContent, register_types, usual_groups
from .starts import start_states
from .tried import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.history import Edge

    from .laboratory import Laboratory
    from .model import Subject


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
            trial.up = run_direction(database, catalog, trial.edge, Direction.UP, options)
            if trial.up.nulls - never_null:
                # The step refuses these, and says so; the rest is tried without them.
                never_null |= trial.up.nulls
                continue
            if trial.up.sound and trial.edge.revision.reversible:
                trial.back = run_direction(database, catalog, trial.edge, Direction.DOWN, options)
        break
    if trial.up is not None and trial.up.sound:
        with laboratory.registry(
            catalog, trial.state, trial.dialect, rows=True, never_null=never_null, groups=groups
        ) as database:
            trial.script = run_direction(database, catalog, trial.edge, Direction.UP, options, recorded=True)


def _down(laboratory: Laboratory, catalog: Catalog, trial: Trial, options: Mapping[str, str]) -> None:
    state = trial.state.replace(trial.edge.end)
    never_null: set[tuple[str, str]] = set()
    groups = _groups(catalog, trial)
    for _ in range(5):
        with laboratory.registry(
            catalog, state, trial.dialect, rows=True, never_null=never_null, groups=groups
        ) as database:
            trial.down = run_direction(database, catalog, trial.edge, Direction.DOWN, options)
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
            snapshot = run_of(connection, database, catalog, options).first_snapshot()
            try:
                insert_case(connection, Filler(snapshot.metadata, (), there), case)
            except (RegistryToolError, sa.exc.SQLAlchemyError) as error:
                trial.wrong.append((case, f"its rows cannot be put into a registry: {said(error)}"))
                return
        direction = Direction.UP if case.up else Direction.DOWN
        passage = run_direction(database, catalog, trial.edge, direction, options, contents=False)
        if not passage.done:
            trial.wrong.append((case, f"the step fails: {passage.error or passage.refused}"))
            return
        with database.read() as connection:
            snapshot = run_of(connection, database, catalog, options).first_snapshot()
            trial.wrong += [(case, text) for text in wrong_rows(connection, snapshot.metadata, case)]
