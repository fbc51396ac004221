"""States and steps of the project's own content, to parametrise tests with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.catalog import Catalog
from registrytool.history import History
from registrytool.models import ComponentVersion, State
from registrytool.planner import make_plan

if TYPE_CHECKING:
    from registrytool.history import Edge
    from registrytool.models import Release

CATALOG = Catalog.find()
HISTORY = History(CATALOG.content)
EDGES = list(HISTORY.edges())


def _steps_of_2020() -> set[str]:
    """Return the steps from the first week that recorded versions to week 2020.46, of which none leads back."""
    first, last = (CATALOG.releases.find(week).state for week in ("w_2020_32", "w_2020_46"))
    found: set[str] = set()
    for name in CATALOG.versions["collections"]:
        start = first.replace(ComponentVersion("collections", name, first["collections"].version))
        end = last.replace(ComponentVersion("collections", name, last["collections"].version))
        found.update(step.revision for step in make_plan(HISTORY, start, end.components).steps)
    return found


OLD_STEPS = _steps_of_2020()
#: Steps within an implementation; those between two, and those of 2020, have tests of their own.
STEPS = [e for e in EDGES if e.start is not None and not e.revision.is_switch and e.revision.id not in OLD_STEPS]

NAME_KEY = ComponentVersion("collections", "NameKeyCollectionManager", "2.0.0")


def edge_name(edge: Edge) -> str:
    """Name a step, for the names of tests."""
    start = edge.start.version if edge.start is not None else "none"
    return f"{edge.end.component}-{edge.end.implementation}-{start}-{edge.end.version}"


def creatable(state: State) -> bool:
    """Whether all versions of a state are defined, and steps lead to it and back."""
    if state.get("dimensions-config") is None or state["collections"].version == "1.0.0":
        return False
    return all(v.version in CATALOG.versions[v.component].get(v.implementation, ()) for v in state.components.values())


def releases() -> list[Release]:
    """Return the releases of which the content has the state, from w_2021_38 on."""
    return [r for r in CATALOG.releases.known() if creatable(r.state)]


def start_of(edge: Edge) -> State:
    """Return a state in which a step begins: the newest that a release had, if any."""
    assert edge.start is not None
    found = [r.state for r in releases() if r.state.get(edge.start.component) == edge.start]
    newest = max((r.state for r in releases()), key=lambda s: int(s["dimensions-config"].version))
    return found[-1] if found else newest.replace(edge.start)


def oldest_reachable(state: State) -> State:
    """Return the oldest state from which steps lead to this one, and to which they lead back."""
    back = {e.end: e.start for e in STEPS if e.revision.reversible and e.start is not None}
    oldest = []
    for found in state.components.values():
        version = found
        while version in back and back[version].implementation == version.implementation:
            version = back[version]
        oldest.append(version)
    return state.replace(*oldest)
