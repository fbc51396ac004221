"""A list of identifiers of datasets that takes little memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .datasets import DatasetId

#: Identifiers of one part.
PART = 25_000


class IdList:
    """Identifiers, 16 bytes each: a million of them as objects would take 100 MB."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._uuids = True

    def append(self, identifier: DatasetId) -> None:
        """Add an identifier; all are UUIDs, or all are numbers."""
        self._uuids = isinstance(identifier, uuid.UUID)
        number = identifier.int if isinstance(identifier, uuid.UUID) else identifier
        self._bytes += number.to_bytes(16, "big")

    def extend(self, other: IdList) -> None:
        """Add all identifiers of another list."""
        self._uuids = other._uuids
        self._bytes += other._bytes

    def __len__(self) -> int:
        return len(self._bytes) // 16

    def __iter__(self) -> Iterator[DatasetId]:
        for start in range(0, len(self._bytes), 16):
            number = int.from_bytes(self._bytes[start : start + 16], "big")
            yield uuid.UUID(int=number) if self._uuids else number

    def parts(self, size: int = PART) -> Iterator[list[DatasetId]]:
        """Cut the list into parts.

        Yields
        ------
        part : `list`
            At most ``size`` identifiers.
        """
        part: list[DatasetId] = []
        for identifier in self:
            part.append(identifier)
            if len(part) == size:
                yield part
                part = []
        if part:
            yield part
