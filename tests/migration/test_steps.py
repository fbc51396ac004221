"""Every step, up, down and up again, with rows in every table and without any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.models import ComponentVersion, State
from registrytool.planner import make_plan
from registrytool.universe import Universe
from tests.support.content_states import (
    CATALOG,
    HISTORY,
    STEPS,
    edge_name,
    oldest_reachable,
    releases,
    start_of,
)
from tests.support.registries import SETTINGS, assert_clean, make_state, migrate, target
from tests.support.rows import TableContent, execute, fill_registry, read_content

if TYPE_CHECKING:
    from registrytool.history import Edge
    from tests.support.places import Place

each_step = pytest.mark.parametrize("edge", STEPS, ids=edge_name)

RENAMED = {("exposure", "group_name"): "group"}
"""Columns that a step calls otherwise, as the newer version does."""

CONVERTED = {("dataset", "ingest_date")}
"""Columns of which a step changes the values; tests of their own say how."""

UNAMBIGUOUS = (
    "DELETE FROM {s}visit_definition WHERE NOT EXISTS (SELECT 1 FROM {s}visit AS v WHERE v.instrument = "
    "{s}visit_definition.instrument AND v.id = {s}visit_definition.visit AND v.visit_system = "
    "{s}visit_definition.visit_system)"
)
"""Leaves definitions of visits by the visit system that the visit itself names: universe 2 can say all of it."""

Content = dict[str, TableContent]


def never_null(state: State) -> set[tuple[str, str]]:
    """Return what may be NULL in old registries and would be refused by a step: tests of their own say how."""
    universe = Universe(CATALOG.universe_config(state["dimensions-config"]))
    implied = {(e.name, name) for e in universe for name in e.implied}
    return implied | {("exposure", "group_name"), ("exposure", "day_obs"), ("visit", "day_obs")}


def assert_rows_kept(before: Content, after: Content, *, apart_from: set[tuple[str, str]]) -> None:
    """Check that all rows are there, with the same values in all columns that both have."""
    names = {(t, new): old for (t, old), new in RENAMED.items()}
    for table in (before.keys() & after.keys()) - {"butler_attributes"}:
        old, new = before[table], after[table]
        pairs = [
            (source, column)
            for column in new.columns
            for source in (column, names.get((table, column)))
            if source in old.columns and (table, column) not in apart_from
        ]
        assert pairs, f"{table} has no column in common"
        found, wanted = new.of(c for _, c in pairs), old.of(s for s, _ in pairs)
        if table == "visit_definition":
            # Universe 2 has one row for an exposure and a visit, however many visit systems had it.
            found, wanted = sorted(set(found), key=repr), sorted(set(wanted), key=repr)
        else:
            assert len(new.rows) == len(old.rows), table
        assert found == wanted, table


def assert_same_rows(before: Content, after: Content) -> None:
    """Check that two registries have the same tables and rows."""
    assert before.keys() == after.keys()
    for table, old in before.items():
        assert sorted(old.columns) == sorted(after[table].columns)
        assert after[table].of(old.columns) == old.of(old.columns), table


def up_and_down(edge: Edge, place: Place, start: State) -> None:
    repository = make_state(place, start)
    fill_registry(repository, never_null=never_null(start))
    assert edge.start is not None
    end, settings = start.replace(edge.end), SETTINGS.get(edge.end.version, {})
    settings = settings if edge.end.component == "dimensions-config" else {}
    if edge.end == ComponentVersion("dimensions-config", "daf_butler", "2"):
        execute(repository, UNAMBIGUOUS)
    beginning = read_content(repository)

    migrate(repository, target(edge.end), **settings)

    assert_clean(repository, end)
    above = read_content(repository)
    assert_rows_kept(beginning, above, apart_from=CONVERTED)
    if not edge.revision.reversible:
        return

    migrate(repository, target(edge.start))

    assert_clean(repository, start)
    assert_same_rows(beginning, read_content(repository))

    migrate(repository, target(edge.end), **settings)

    assert_clean(repository, end)
    assert_same_rows(above, read_content(repository))


@each_step
def test_step_keeps_all_rows_up_and_down_and_up_again(edge: Edge, odd_namespace: str, place: Place) -> None:
    up_and_down(edge, place, start_of(edge))


@pytest.mark.parametrize("edge", [edge for edge in STEPS if edge.end.component == "datasets"], ids=edge_name)
def test_step_keeps_all_rows_with_names_as_keys_of_collections(edge: Edge, place: Place) -> None:
    # The tables of datasets are those in which the keys of collections are.
    start = start_of(edge)
    name_key = ComponentVersion("collections", "NameKeyCollectionManager", start["collections"].version)
    up_and_down(edge, place, start.replace(name_key))


def newest_like(state: State) -> State:
    """Return the newest versions of the same implementations."""
    return State({c: CATALOG.newest(c, v.implementation) for c, v in state.components.items()})


def lines() -> list[State]:
    """Return states from which all steps up can be run, one after the other."""
    known = releases()
    newest = known[-1].state
    result: list[State] = []
    covered: set[str] = set()
    for start in (known[0].state, *(newest.replace(edge.start) for edge in STEPS if edge.start is not None)):
        plan = make_plan(HISTORY, start, newest_like(start).components)
        if not {step.revision for step in plan.steps} <= covered:
            covered |= {step.revision for step in plan.steps}
            result.append(start)
    assert covered >= {edge.revision.id for edge in STEPS}
    return result


def lines_down() -> list[State]:
    """Return states from which all steps down can be run, one after the other."""
    result: list[State] = []
    covered: set[str] = set()
    for top in (*map(newest_like, lines()), *(start_of(edge) for edge in STEPS if not edge.revision.reversible)):
        plan = make_plan(HISTORY, top, oldest_reachable(top).components)
        if not {step.revision for step in plan.steps} <= covered:
            covered |= {step.revision for step in plan.steps}
            result.append(top)
    assert covered >= {edge.revision.id for edge in STEPS if edge.revision.reversible}
    return result


def line_name(state: State) -> str:
    return "-".join(v.version for v in state.components.values())


@pytest.mark.parametrize("start", lines(), ids=line_name)
def test_all_steps_up_work_on_an_empty_registry(start: State, place: Place) -> None:
    end = newest_like(start)
    repository = make_state(place, start)
    # What comes out is compared with the snapshot after each step.
    migrate(repository, *(target(v) for v in end.components.values()), **SETTINGS["2"])
    assert_clean(repository, end)


@pytest.mark.parametrize("start", lines_down(), ids=line_name)
def test_all_steps_down_work_on_an_empty_registry(start: State, place: Place) -> None:
    end = oldest_reachable(start)
    repository = make_state(place, start)
    migrate(repository, *(target(v) for v in end.components.values()))
    assert_clean(repository, end)


@pytest.mark.slow
def test_a_round_trip_to_the_oldest_versions_changes_nothing(place: Place) -> None:
    newest = max((r.state for r in releases()), key=lambda s: int(s["dimensions-config"].version))
    oldest = oldest_reachable(newest)
    assert oldest["dimensions-config"].version == "0"
    repository = make_state(place, oldest)
    fill_registry(repository, never_null=never_null(oldest))
    execute(repository, UNAMBIGUOUS)
    migrate(repository, "newest", **SETTINGS["2"])
    assert_clean(repository, newest)
    before = read_content(repository)

    migrate(repository, *(target(v) for v in oldest.components.values()))
    assert_clean(repository, oldest)
    migrate(repository, "newest", **SETTINGS["2"])

    assert_clean(repository, newest)
    assert_same_rows(before, read_content(repository))
