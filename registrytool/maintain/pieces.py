"""Cut many items into pieces."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_Item = TypeVar("_Item")

#: How many rows one statement carries, if nobody says otherwise.
BATCH = 5000


def chunks(items: Iterable[_Item], size: int = BATCH) -> Iterator[Sequence[_Item]]:
    """Cut items into pieces, without holding more than one of them.

    Parameters
    ----------
    items : iterable
        The items.
    size : `int`, optional
        How many there are in a piece.

    Yields
    ------
    piece : sequence
        At most ``size`` items.
    """
    rest = iter(items)
    while piece := list(itertools.islice(rest, size)):
        yield piece
