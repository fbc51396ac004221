"""Why steps cannot run online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.history import History
from registrytool.runner import Scripts

from .derive import CapturedStep, Effects, derive

if TYPE_CHECKING:
    from registrytool.runner import Run


def online_obstacles(run: Run) -> dict[str, tuple[str, ...]]:
    """Say of each step of a plan why it cannot run online; nothing if it can."""
    before, result = run.first_snapshot(), {}
    history = History(run.catalog.content)
    scripts = Scripts(run.catalog.content)
    for planned, after in zip(run.plan.steps, run.snapshots, strict=True):
        effects = Effects()
        run.write_down(planned, before, after, effects, scripts, accept_loss=True, kind=CapturedStep)
        computes = history.revisions[planned.revision].computes
        found = derive(before.structure, before, after, effects).obstacles
        result[planned.name] = (computes, *found) if computes is not None else found
        before = after
    return result
