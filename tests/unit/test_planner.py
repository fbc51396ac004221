"""Plans over made-up histories: ``tests/data/histories``."""

from __future__ import annotations

from pathlib import Path

import pytest

from registrytool.config import Content
from registrytool.errors import PlanError
from registrytool.history import History
from registrytool.models import ComponentVersion, Plan, State
from registrytool.planner import make_plan

HISTORIES = Path(__file__).parents[1] / "data" / "histories"


def version(text: str) -> ComponentVersion:
    """Read ``component implementation version``."""
    component, implementation, number = text.split()
    return ComponentVersion(component, implementation, number)


def state(*texts: str) -> State:
    return State({v.component: v for v in map(version, texts)})


def plan(history: str, start: State, *targets: str, without: tuple[str, ...] = ()) -> Plan:
    wanted: dict[str, ComponentVersion | None] = {v.component: v for v in map(version, targets)}
    return make_plan(History(Content(HISTORIES / history)), start, wanted | dict.fromkeys(without))


def names(result: Plan) -> list[str]:
    return [step.name for step in result.steps]


def test_there_is_nothing_to_do_when_the_target_is_reached() -> None:
    start = state("attributes Plain 3")
    result = plan("roads", start, "attributes Plain 3")
    assert result.empty
    assert result.end == start


def test_the_shortest_way_is_taken() -> None:
    assert names(plan("roads", state("attributes Plain 1"), "attributes Plain 4")) == [
        "attributes Plain 1 -> 3",
        "attributes Plain 3 -> 4",
    ]


def test_a_plan_leads_down_as_well() -> None:
    result = plan("roads", state("attributes Plain 2"), "attributes Plain 1")
    (step,) = result.steps
    assert (step.name, step.direction.value, step.loses, step.options) == (
        "attributes Plain 2 -> 1",
        "down",
        "colours",
        (),
    )


def test_options_belong_to_steps_up() -> None:
    (step,) = plan("roads", state("attributes Plain 1"), "attributes Plain 2").steps
    assert (step.options, step.loses) == (("colour",), None)


def test_a_switch_leads_to_another_implementation() -> None:
    result = plan("roads", state("collections Name 1"), "collections Number 2")
    assert names(result) == ["collections Name 1 -> Number 1", "collections Number 1 -> 2"]
    assert result.end == state("collections Number 2")


def test_a_component_comes_and_goes() -> None:
    without = state("attributes Plain 1")
    result = plan("roads", without, "obscore Live 1")
    assert names(result) == ["obscore Live none -> 1"]
    back = plan("roads", result.end, without=("obscore",))
    assert names(back) == ["obscore Live 1 -> none"]
    assert back.end == without


def test_components_without_a_target_stay() -> None:
    start = state("attributes Plain 1", "collections Name 1")
    assert plan("roads", start, "attributes Plain 3").end == state("attributes Plain 3", "collections Name 1")


@pytest.mark.parametrize(
    ("start", "target", "sentence"),
    [
        (
            "attributes Plain 4",
            "attributes Plain 3",
            "There is no way for attributes from Plain 4 to Plain 3: there is no way back over v3_to_v4.py.",
        ),
        (
            "collections Number 1",
            "collections Name 1",
            "There is no way for collections from Number 1 to Name 1: no step changes the implementation like this.",
        ),
        (
            "attributes Plain 4",
            "attributes Plain 5",
            "There is no way for attributes from Plain 4 to Plain 5: a step between them is missing.",
        ),
        (
            "collections Number 2",
            "collections Number 0",
            "There is no way for collections from Number 2 to Number 0: the step down is not known.",
        ),
    ],
)
def test_a_plan_is_refused_with_the_reason(start: str, target: str, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan("roads", state(start), target)
    assert caught.value.message == sentence
    assert caught.value.hint == "'registrytool history' lists the steps there are."


ONE = state("attributes Plain 1", "datasets Plain 1", "opaque Plain 1")
TWO = state("attributes Plain 2", "datasets Plain 2", "opaque Plain 2")
ALL_TWO = [str(v) for v in TWO.components.values()]
ALL_ONE = [str(v) for v in ONE.components.values()]


def test_steps_come_after_those_that_they_need() -> None:
    result = plan("needs", ONE, *ALL_TWO)
    assert names(result) == ["datasets Plain 1 -> 2", "attributes Plain 1 -> 2", "opaque Plain 1 -> 2"]
    assert result.end == TWO


def test_steps_down_come_before_those_that_take_away_what_they_need() -> None:
    result = plan("needs", TWO, *ALL_ONE)
    assert names(result) == ["opaque Plain 2 -> 1", "attributes Plain 2 -> 1", "datasets Plain 2 -> 1"]
    assert result.end == ONE


def test_a_step_without_what_it_needs_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        plan("needs", ONE, "attributes Plain 2")
    assert caught.value.message == (
        "There is no order for the steps attributes Plain 1 -> 2: each needs another one first."
    )
    assert caught.value.hint == "attributes Plain 1 -> 2 needs datasets 2."


def test_what_another_component_needs_is_not_taken_away() -> None:
    with pytest.raises(PlanError) as caught:
        plan("needs", TWO, "datasets Plain 1")
    assert caught.value.hint == (
        "datasets Plain 2 -> 1 would take away what attributes Plain 2 needs. "
        "datasets Plain 2 -> 1 would take away what opaque Plain 2 needs."
    )


def test_steps_that_need_each_other_are_refused() -> None:
    start = state("attributes Plain 1", "datasets Plain 1")
    with pytest.raises(PlanError, match="There is no order for the steps attributes Plain 1 -> 2, datasets Plain 1"):
        plan("deadlock", start, "attributes Plain 2", "datasets Plain 2")
