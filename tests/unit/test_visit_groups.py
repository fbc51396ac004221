"""Which exposures make a visit."""

from __future__ import annotations

from typing import Any

import pytest

from registrytool.errors import ConfigurationError
from registrytool.instruments.visit_groups import group_exposures, visit_record
from registrytool.maintain.timespans import Timespan

ONE, GROUP, SEQUENCE = "one-to-one", "by-group-metadata", "by-seq-start-end"


def exposure(number: int, start: int, end: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "obs_id": f"o{number}", "group": f"g-{start}", "day_obs": 20250101, "seq_num": number,
        "seq_start": start, "seq_end": end, "physical_filter": "r", "exposure_time": 15.0, "target_name": "t",
        "science_program": "p", "observation_reason": "x", "azimuth": 10.0, "zenith_angle": 5.0,
        "timespan": Timespan(number, number + 1), **more,
    }  # fmt: skip


def summary(exposures: list[dict[str, Any]], *systems: str) -> tuple[set[tuple[Any, ...]], list[str]]:
    visits, notes = group_exposures(exposures, systems)
    return {(v.id, v.name, tuple(e["id"] for e in v.exposures), v.systems) for v in visits}, notes


PAIR_AND_SINGLE = [exposure(1, 1, 2), exposure(2, 1, 2), exposure(3, 3, 3)]


def test_each_exposure_is_a_visit() -> None:
    expected = {(n, f"o{n}", (n,), (ONE,)) for n in (1, 2, 3)}
    assert summary(PAIR_AND_SINGLE, ONE) == (expected, [])


def test_sequences_are_visits_and_the_first_exposure_has_a_number_of_its_own() -> None:
    expected = {
        (91, "o1_first", (1,), (ONE,)), (1, "o1", (1, 2), (SEQUENCE,)), (2, "o2", (2,), (ONE,)),
        (3, "o3", (3,), (ONE, SEQUENCE)),
    }  # fmt: skip
    assert summary(PAIR_AND_SINGLE, ONE, SEQUENCE) == (expected, [])
    assert summary(PAIR_AND_SINGLE[::-1], ONE, SEQUENCE) == (expected, [])


def test_a_sequence_without_its_first_exposure_is_no_visit() -> None:
    found, notes = summary([exposure(2, 1, 3), exposure(3, 1, 3)], ONE, SEQUENCE)
    assert found == {(2, "o2", (2,), (ONE,)), (3, "o3", (3,), (ONE,))}
    assert notes == ["The sequence 1 to 3 of 20250101 lacks its first exposure."]


def test_groups_are_visits_with_the_number_that_they_have_or_that_is_in_their_name() -> None:
    assert summary(PAIR_AND_SINGLE, GROUP) == ({(1, "g-1", (1, 2), (GROUP,)), (3, "g-3", (3,), (GROUP,))}, [])
    old = [{k: v for k, v in e.items() if k != "group"} | {"group_name": "a", "group_id": 7} for e in PAIR_AND_SINGLE]
    assert summary(old, GROUP) == ({(7, "a", (1, 2, 3), (GROUP,))}, [])
    assert summary([exposure(1, 1, 1, group="none")], GROUP) == (
        set(), ["The group none has no number from which a visit could have its own."],
    )  # fmt: skip


def test_an_unknown_visit_system_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        group_exposures([], ["by-moon"])
    assert str(caught.value) == (
        "There is no visit system by-moon. Visit systems are one-to-one, by-group-metadata, by-seq-start-end."
    )


def test_the_record_of_a_visit_says_what_its_exposures_have_in_common() -> None:
    members = [
        exposure(1, 1, 2, azimuth=359.0, zenith_angle=10.0, day_obs=20250102),
        exposure(2, 1, 2, azimuth=1.0, zenith_angle=20.0, target_name="u", observation_reason="y"),
    ]
    (visit,) = group_exposures(members, [GROUP])[0]
    record = visit_record("I", visit)
    assert record["azimuth"] == pytest.approx(0.0)
    del record["azimuth"]
    assert record == {
        "instrument": "I", "id": 1, "name": "g-1", "physical_filter": "r", "day_obs": 20250101, "seq_num": 1,
        "exposure_time": 30.0, "target_name": None, "science_program": "p", "observation_reason": "various",
        "zenith_angle": 15.0, "timespan": Timespan(1, 3),
    }  # fmt: skip
