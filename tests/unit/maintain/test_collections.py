"""Claims about finding collections by name, without a database."""

from __future__ import annotations

import pytest

from registrytool.errors import RegistryStateError
from registrytool.maintain.collections import Collection, Collections, CollectionType

RUN, TAGGED, CHAINED, CALIBRATION = CollectionType


def collections(*found: Collection) -> Collections:
    return Collections(found, where="repo")


ALL = collections(
    Collection(1, "raw/all", RUN),
    Collection(2, "u/me/run1", RUN),
    Collection(3, "u/me/run2", RUN),
    Collection(4, "calib", CALIBRATION),
    Collection(5, "best", TAGGED),
    Collection(6, "inner", CHAINED, None, ("u/me/run2", "calib")),
    Collection(7, "outer", CHAINED, None, ("u/me/run1", "inner", "calib", "raw/all")),
    Collection(8, "odd*name", RUN),
    Collection(9, "oddname", RUN),
)


def names(found: tuple[Collection, ...]) -> list[str]:
    return [c.name for c in found]


def test_patterns_match_names_in_alphabetical_order() -> None:
    assert names(ALL.matching(["u/*", "in?er"])) == ["inner", "u/me/run1", "u/me/run2"]
    assert names(ALL.matching(["u/me/run[2-9]"])) == ["u/me/run2"]
    assert names(ALL.matching([], {TAGGED, CALIBRATION})) == ["best", "calib"]
    assert ALL.matching(["nothing*"]) == ()


def test_the_whole_name_of_a_collection_is_no_pattern() -> None:
    assert names(ALL.matching(["odd*name"])) == ["odd*name"]
    assert names(ALL.matching(["odd*nam?"])) == ["odd*name", "oddname"]


def test_a_name_that_is_missing_is_refused_with_near_ones() -> None:
    with pytest.raises(RegistryStateError) as caught:
        ALL.matching(["u/me/run3"])
    assert str(caught.value) == (
        "There is no collection 'u/me/run3' in the registry of repo. Did you mean u/me/run2 or u/me/run1?"
    )
    with pytest.raises(RegistryStateError) as caught:
        ALL.require("zzz")
    assert str(caught.value) == (
        "There is no collection 'zzz' in the registry of repo. 'registrytool collection list' shows what there is."
    )


def test_a_collection_of_another_type_is_refused() -> None:
    assert ALL.require("best", RUN, TAGGED).key == 5
    with pytest.raises(RegistryStateError) as caught:
        ALL.require("best", RUN, CHAINED)
    assert str(caught.value) == "The collection 'best' is of type TAGGED, and one of type RUN or CHAINED is needed."


def test_chains_are_flattened_in_the_order_of_a_search() -> None:
    assert names(ALL.flatten(["outer"])) == ["u/me/run1", "u/me/run2", "calib", "raw/all"]
    assert names(ALL.flatten(["raw/all", "outer"])) == ["raw/all", "u/me/run1", "u/me/run2", "calib"]
    assert names(ALL.flatten(["outer"], {RUN})) == ["u/me/run1", "u/me/run2", "raw/all"]
    assert names(ALL.flatten(["outer"], {CHAINED, CALIBRATION})) == ["outer", "inner", "calib"]


def test_a_circle_of_chains_does_not_hang_a_search() -> None:
    circle = collections(
        Collection(1, "a", CHAINED, None, ("b", "c")),
        Collection(2, "b", CHAINED, None, ("a",)),
        Collection(3, "c", RUN),
    )
    assert names(circle.flatten(["a"])) == ["c"]


def test_parents_are_those_that_name_a_collection_themselves() -> None:
    assert ALL.parents("calib") == ("inner", "outer")
    assert ALL.parents("u/me/run2") == ("inner",)
    assert ALL.parents("outer") == ()
