"""Why steps cannot run online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.errors import PlanError
from registrytool.repairs import computes_rows

from .derive import CapturedStep, Effects, derive
from .record import REPAIR

if TYPE_CHECKING:
    from registrytool.runner import Run


def online_obstacles(run: Run) -> dict[str, tuple[str, ...]]:
    """Say of each step of a plan why it cannot run online; nothing if it can."""
    before, result = run.first_snapshot(), {}
    history = run.catalog.history
    for planned, after in zip(run.plan.steps, run.snapshots, strict=True):
        effects = Effects()
        run.write_down(planned, before, after, effects, accept_loss=True, kind=CapturedStep)
        computes = history.revision(planned.revision).computes
        found = derive(before.structure, before, after, effects).obstacles
        result[planned.name] = (computes, *found) if computes is not None else found
        before = after
    return result


def refuse_obstacles(run: Run) -> None:
    """Refuse a run of which a step, or the repair before it, cannot be done online.

    Raises
    ------
    PlanError
        There is such a step; the sentence says why.
    """
    refusals = {name: why for name, why in online_obstacles(run).items() if why}
    kinds = run.catalog.drift
    drift = {d.drift for d in run.inspection.differences if d.drift}
    prepared = sorted(name for name in drift if computes_rows(kinds[name].prepare))
    if prepared:
        refusals = {REPAIR: tuple(f"{name} needs rows that must be computed first" for name in prepared), **refusals}
    if refusals:
        listed = "; ".join(f"{name}: {', and '.join(why)}" for name, why in refusals.items())
        message = f"{len(refusals)} of the steps cannot run online: {listed}."
        hint = "Do them without --online while the repository is closed; --to plans to the version before."
        raise PlanError(message, hint=hint)
