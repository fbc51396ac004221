"""Lists of identifiers: what goes in comes out, as objects, as text and in order."""

from __future__ import annotations

import uuid

import pytest

from registrytool.maintain.idlist import IdList

UUIDS = [uuid.UUID(int=n * 2**100 + 7) for n in (5, 3, 9, 1, 8)]


@pytest.mark.parametrize("identifiers", [UUIDS, [5, 3, 900, 1, 8], []], ids=["uuids", "numbers", "nothing"])
def test_identifiers_come_out_as_they_went_in(identifiers: list[uuid.UUID | int]) -> None:
    ids = IdList(identifiers)
    assert list(ids) == identifiers
    assert len(ids) == len(identifiers)
    assert [i for part in ids.parts(2) for i in part] == identifiers
    assert [len(part) for part in ids.parts(2)] == [2, 2, 1][: -(-len(identifiers) // 2)]
    assert list(ids[1:3]) == identifiers[1:3]


def test_uuids_are_read_as_either_driver_writes_them() -> None:
    ids = IdList()
    ids.add(str(i) for i in UUIDS[:2])
    ids.add(i.hex for i in UUIDS[2:])
    ids.add([])
    assert list(ids) == UUIDS
    assert ids.texts("|") == "|".join(i.hex for i in UUIDS)


def test_numbers_are_written_as_numbers() -> None:
    ids = IdList()
    ids.add([12, 7])
    assert ids.texts(",") == "12,7"
    assert not ids.are_uuids


def test_parts_are_sorted_each_by_itself() -> None:
    assert list(IdList(UUIDS).sorted_within(3)) == sorted(UUIDS[:3]) + sorted(UUIDS[3:])
    assert list(IdList([3, 1, 2]).sorted_within(10)) == [1, 2, 3]


def test_identifiers_are_left_out_by_text_or_by_value() -> None:
    assert list(IdList(UUIDS).without([UUIDS[0].hex, str(UUIDS[1])])) == UUIDS[2:]
    assert list(IdList([1, 2, 3]).without([2])) == [1, 3]


def test_single_identifiers_can_be_taken_and_gaps_cannot() -> None:
    ids = IdList(UUIDS)
    assert ids[-1] == UUIDS[-1]
    with pytest.raises(ValueError, match="only consecutive identifiers can be taken"):
        ids[::2]
