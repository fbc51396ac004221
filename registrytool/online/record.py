"""What is written down of an online run when it begins, so that another process can go on with it or go back."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from registrytool.database import whoami

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registrytool.models import State
    from registrytool.runner import Run

REPAIR = "repair of known drift"


def new_record(run: Run, settings: Mapping[str, str], *, accept_loss: bool) -> dict[str, Any]:
    """Describe a run that begins.

    Parameters
    ----------
    run : `Run`
        Its plan, and the registry as it is.
    settings : `~collections.abc.Mapping` [`str`, `str`]
        What the user set by ``--set``.
    accept_loss : `bool`
        Whether information may be lost.
    """
    plan = run.plan
    names = sorted({s.component for s in plan.steps})
    return {
        "start": _targets(plan.start, names),
        "targets": _targets(plan.end, names),
        "settings": dict(settings),
        "accept_loss": accept_loss,
        "finished": [],
        "stamped": run.inspection.recorded.stamps is not None,
        "step": REPAIR if run.inspection.differences else plan.steps[0].name,
        "phase": "begin",
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "who": whoami(),
    }


def way_back(record: Mapping[str, Any], *, accept_loss: bool) -> dict[str, Any] | None:
    """Describe the run that goes back over the steps that are finished; `None` if there are none.

    Where it began and what was finished stays, so that it can be interrupted as well.
    """
    if not [name for name in record["finished"] if name != REPAIR]:
        return None
    return {**record, "targets": record["start"], "settings": {}, "accept_loss": accept_loss, "phase": "begin"}


def still_changed(record: Mapping[str, Any], state: State) -> dict[str, str]:
    """Return the targets that a registry has reached, and those where the run began, of the components that differ."""
    names = [target.partition("=")[0] for target in record["start"]]
    present = _targets(state, names)
    return {now: start for now, start in zip(present, record["start"], strict=True) if now != start}


def _targets(state: State, components: Iterable[str]) -> list[str]:
    ends = {name: state.get(name) for name in components}
    return [f"{n}={v.implementation}/{v.version}" if v is not None else f"{n}=none" for n, v in ends.items()]
