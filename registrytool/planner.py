"""Find the steps from one state to another; pure.

Versions of a component are the nodes of a graph, revisions its edges, which can be run up and, where there is a way
back, down.  The shortest path of each component is found by itself; then the steps are put in an order in which the
needs of each are met when it runs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import PlanError
from .history import CONFIGURE, Edge
from .models import COMPONENTS, ComponentVersion, Direction, Plan, PlannedStep, State
from .naming import version_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .history import History


@dataclass(frozen=True, slots=True)
class _Move:
    """An edge, in one direction."""

    edge: Edge
    direction: Direction

    @property
    def start(self) -> ComponentVersion | None:
        return self.edge.start if self.direction is Direction.UP else self.edge.end

    @property
    def end(self) -> ComponentVersion | None:
        return self.edge.end if self.direction is Direction.UP else self.edge.start


def make_plan(history: History, start: State, targets: Mapping[str, ComponentVersion | None]) -> Plan:
    """Plan the way from a state to the wanted versions.

    Parameters
    ----------
    history : `History`
        All revisions.
    start : `State`
        State of the registry.
    targets : `~collections.abc.Mapping` [`str`, `ComponentVersion` or `None`]
        Wanted version by component; `None` where the component shall go. Components without an entry stay.

    Returns
    -------
    plan : `Plan`
        The steps, in order.

    Raises
    ------
    PlanError
        There is no way, and the message says why.
    """
    paths = {c: _path(history, c, start.get(c), t) for c, t in targets.items() if start.get(c) and start.get(c) != t}
    # Some components begin with a step of another one.
    brought = {v.component: v for path in paths.values() for move in path for v in move.edge.revision.brings}
    for component, target in targets.items():
        begin = brought.get(component, start.get(component))
        if component not in paths and begin != target:
            paths[component] = _path(history, component, begin, target)
    state, steps = start, []
    waiting = {c: deque(p) for c, p in paths.items() if p}
    while waiting:
        for component in sorted(waiting, key=_order):
            move = waiting[component][0]
            if not _unmet(history, state, move):
                break
        else:
            moves = [queue[0] for queue in waiting.values()]
            message = f"There is no order for the steps {', '.join(map(_name, moves))}: each needs another one first."
            raise PlanError(message, hint=" ".join(f"{r}." for move in moves for r in _unmet(history, state, move)))
        steps.append(_step(move))
        waiting[component].popleft()
        if not waiting[component]:
            del waiting[component]
        state = state.replace(move.end) if move.end is not None else state.without(component)
        if move.direction is Direction.UP:
            state = state.replace(*move.edge.revision.brings)
    return Plan(start, state, tuple(steps))


def _order(component: str) -> int:
    return COMPONENTS.index(component) if component in COMPONENTS else len(COMPONENTS)


def _name(move: _Move) -> str:
    return _step(move).name


def _step(move: _Move) -> PlannedStep:
    revision = move.edge.revision
    down = move.direction is Direction.DOWN
    return PlannedStep(
        revision.component,
        revision.id,
        move.direction,
        move.start,
        move.end,
        revision.summary,
        () if down else tuple(revision.options),
        revision.loses if down else None,
        revision.reversible,
        revision.closed,
    )


def _path(
    history: History, component: str, start: ComponentVersion | None, target: ComponentVersion | None
) -> list[_Move]:
    """Find the shortest way of one component, breadth first."""
    moves: dict[ComponentVersion | None, list[_Move]] = {}
    for edge in history.edges(component):
        moves.setdefault(edge.start, []).append(_Move(edge, Direction.UP))
        if edge.revision.reversible:
            moves.setdefault(edge.end, []).append(_Move(edge, Direction.DOWN))
    if component == CONFIGURE and target is not None and start != target:
        # Every configuration follows every other one.
        moves = {start: [_Move(Edge(history.revision(CONFIGURE), start, target), Direction.UP)]}
    ways: dict[ComponentVersion | None, list[_Move]] = {start: []}
    queue: deque[ComponentVersion | None] = deque([start])
    while queue:
        here = queue.popleft()
        if here == target:
            return ways[here]
        for move in moves.get(here, ()):
            if move.end not in ways:
                ways[move.end] = [*ways[here], move]
                queue.append(move.end)
    raise PlanError(
        _no_way(history, component, start, target), hint="'registrytool history' lists the steps there are."
    )


def _no_way(history: History, component: str, start: ComponentVersion | None, target: ComponentVersion | None) -> str:
    def text(version: ComponentVersion | None) -> str:
        return f"{version.implementation} {version.version}" if version is not None else "none"

    reason = f"There is no way for {component} from {text(start)} to {text(target)}"
    if start is None or target is None or start.implementation != target.implementation:
        return f"{reason}: no step changes the implementation like this."
    if version_key(start.version) > version_key(target.version):
        blocked = [
            e.revision.path.name
            for e in history.edges(component)
            if not e.revision.reversible
            and e.start is not None
            and e.start.implementation == e.end.implementation == start.implementation
            and version_key(target.version) < version_key(e.end.version) <= version_key(start.version)
        ]
        if blocked:
            return f"{reason}: there is no way back over {', '.join(blocked)}."
        return f"{reason}: the step down is not known."
    return f"{reason}: a step between them is missing."


def _unmet(history: History, state: State, move: _Move) -> list[str]:
    """Say what a move lacks, or which component would lack what the move takes away."""
    component = move.edge.revision.component
    if state.get(component) != move.start:
        return [f"{_name(move)} needs a step that brings {move.start}"]
    if move.direction is Direction.UP:
        needs = move.edge.revision.needs.items()
        return [f"{_name(move)} needs {c} {version}" for c, version in needs if not _reached(state.get(c), version)]
    after = state.replace(move.end) if move.end is not None else state.without(component)
    return [
        f"{_name(move)} would take away what {present} needs"
        for present in after.components.values()
        for needed, version in _needs(history, present)
        if needed == component and not _reached(after.get(component), version)
    ]


def _needs(history: History, version: ComponentVersion) -> Iterable[tuple[str, str]]:
    revision = history.of(version)
    return revision.needs.items() if revision is not None else ()


def _reached(version: ComponentVersion | None, wanted: str) -> bool:
    return version is not None and version_key(version.version) >= version_key(wanted)
