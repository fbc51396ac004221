"""The states in which a step is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.errors import PlanError, UnknownVersionError
from registrytool.models import CONFIGURATIONS, ComponentVersion, State
from registrytool.naming import version_key
from registrytool.planner import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.catalog import Catalog
    from registrytool.history import Edge


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
