"""Claims about the comparison of what registrytool and the client do: it finds what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.session import Session, change

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.equivalence import MakeTwins


def make_things(repository: Repository) -> None:
    def work(session: Session) -> None:
        # In another order than the client, so that the numbers differ.
        ensure_dataset_type(session, "second", ["visit", "patch"], "Wcs", is_calibration=True)
        ensure_dataset_type(session, "first", ["exposure", "band"], "Wcs")
        ensure_collection(session, "b 'ü' %s", CollectionType.TAGGED, doc='why "not"')
        ensure_collection(session, "a", CollectionType.RUN)

    change(repository, "make things", work)


THE_SAME = """
registry.registerRun("a")
registry.registerCollection("b 'ü' %s", CollectionType.TAGGED, doc='why "not"')
registry.registerDatasetType(DatasetType("first", ["band", "exposure"], "Wcs", universe=butler.dimensions))
registry.registerDatasetType(
    DatasetType("second", ["patch", "visit"], "Wcs", universe=butler.dimensions, isCalibration=True)
)
"""


@pytest.mark.parametrize("options", [(), ("--name-key",)], ids=["number", "name"])
def test_collections_and_dataset_types_are_those_that_the_client_makes(
    options: tuple[str, ...], twins: MakeTwins
) -> None:
    two = twins(*options)
    two.act(make_things)
    two.client(THE_SAME)
    two.assert_changed()
    two.assert_same(read=not options)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ('registry.setCollectionDocumentation("a", "doc")', "collection: we have, they have not: "),
        ('registry.registerRun("c")', "collection: they have, we have not: "),
        ('registry.setCollectionChain("u/ann/chain", ["a"])', "collection_chain: we have, they have not: "),
        ('registry.disassociate("u/ann/best", refs("calexp", "u/ann/best")[:1])', "dataset_tags_(detector, instrument"),
    ],
)
def test_a_difference_is_found(other: str, sentence: str, twins: MakeTwins) -> None:
    two = twins()
    two.act(make_things)
    two.client(THE_SAME + other)
    with pytest.raises(AssertionError) as caught:
        two.assert_same()
    assert sentence in str(caught.value)
