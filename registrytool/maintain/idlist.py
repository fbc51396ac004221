"""A list of identifiers of datasets that takes little memory, and goes to the database as one value."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, overload

import sqlalchemy as sa

from registrytool.errors import RegistryStateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .datasets import DatasetId
    from .session import Session

#: Identifiers of one part.
PART = 25_000
_SIZE = 16


class IdList:
    """Identifiers, 16 bytes each: a million of them as objects would take 100 MB, and seconds to make.

    Parameters
    ----------
    identifiers : iterable, optional
        UUIDs, or numbers.
    """

    def __init__(self, identifiers: Iterable[DatasetId] = ()) -> None:
        self._bytes = bytearray()
        self._uuids = True
        for identifier in identifiers:
            self._uuids = isinstance(identifier, uuid.UUID)
            number = identifier.int if isinstance(identifier, uuid.UUID) else identifier
            self._bytes += number.to_bytes(_SIZE, "big")

    @classmethod
    def of(cls, found: Iterable[str | int]) -> IdList:
        """Make a list of identifiers as the driver gives them, see `add`."""
        ids = cls()
        ids.add(found)
        return ids

    def add(self, found: Iterable[str | int]) -> None:
        """Add identifiers as the driver gives them: UUIDs as text, with dashes or without, or numbers."""
        listed = list(found)
        if listed and isinstance(listed[0], int):
            self.extend(IdList(int(number) for number in listed))
        elif listed:
            self._uuids = True
            self._bytes += bytes.fromhex("".join(map(str, listed)).replace("-", ""))

    def extend(self, other: IdList) -> None:
        """Add all identifiers of another list."""
        if other:
            self._uuids = other._uuids
            self._bytes += other._bytes

    def __len__(self) -> int:
        return len(self._bytes) // _SIZE

    def __iter__(self) -> Iterator[DatasetId]:
        for start in range(0, len(self._bytes), _SIZE):
            number = int.from_bytes(self._bytes[start : start + _SIZE], "big")
            yield uuid.UUID(int=number) if self._uuids else number

    @overload
    def __getitem__(self, index: int) -> DatasetId: ...

    @overload
    def __getitem__(self, index: slice) -> IdList: ...

    def __getitem__(self, index: int | slice) -> DatasetId | IdList:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return next(iter(self[chosen : chosen + 1]))
        part = IdList()
        part._uuids = self._uuids
        if chosen.step != 1:
            message = "only consecutive identifiers can be taken"
            raise ValueError(message)
        part._bytes = self._bytes[chosen.start * _SIZE : max(chosen.start, chosen.stop) * _SIZE]
        return part

    def texts(self, separator: str) -> str:
        """Return all identifiers in a row: UUIDs as 32 digits, numbers as they are."""
        if not self._uuids:
            return separator.join(map(str, self))
        return self._bytes.hex(",", _SIZE).replace(",", separator)

    def as_json(self) -> str:
        """Return all identifiers as SQLite keeps them, as an array of JSON."""
        if not self:
            return "[]"
        quote = '"' if self._uuids else ""
        return f"[{quote}{self.texts(f'{quote},{quote}')}{quote}]"

    @property
    def are_uuids(self) -> bool:
        """Whether the identifiers are UUIDs; an empty list says so too."""
        return self._uuids

    def sorted_within(self, size: int) -> IdList:
        """Return the list with each part of a size in ascending order."""
        found = IdList()
        found._uuids = self._uuids
        for start in range(0, len(self._bytes), size * _SIZE):
            data = bytes(self._bytes[start : start + size * _SIZE])
            found._bytes += b"".join(sorted(data[i : i + _SIZE] for i in range(0, len(data), _SIZE)))
        return found

    def without(self, others: Iterable[str | int | DatasetId]) -> IdList:
        """Return the list without some identifiers, which are texts, numbers or UUIDs."""
        left_out = {uuid.UUID(other) if isinstance(other, str) else other for other in others}
        return IdList(i for i in self if i not in left_out) if left_out else self

    def parts(self, size: int = PART) -> Iterator[IdList]:
        """Cut the list into parts.

        Yields
        ------
        part : `IdList`
            At most ``size`` identifiers.
        """
        for start in range(0, len(self), size):
            yield self[start : start + size]


def require_kind(session: Session, ids: IdList) -> None:
    """Refuse identifiers that were looked up before a migration gave all datasets others.

    Raises
    ------
    RegistryStateError
        They are numbers, and those of the registry are not, or the other way round.
    """
    from .datasets import has_uuids

    if ids and ids.are_uuids != has_uuids(session):
        message = f"The datasets of {session.repository.name} got other identifiers by a migration in the meantime."
        raise RegistryStateError(message, hint="Run the same command again.")


def among(session: Session, column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of many values, which are sent as one.

    Parameters
    ----------
    session : `Session`
        The open registry.
    column : `sqlalchemy.ColumnElement`
        A column of UUIDs, numbers or text.
    values : iterable
        The values; an `IdList` takes the least time.
    """
    if not isinstance(values, IdList):
        values = list(values)
        if values and isinstance(values[0], uuid.UUID):
            values = IdList(values)
    ids = values if isinstance(values, IdList) else None
    if ids is not None:
        require_kind(session, ids)
    if session.dialect == "sqlite":
        text = json.dumps(values) if ids is None else ids.as_json()
        return column.in_(sa.select(sa.func.json_each(text).table_valued("value").c.value))
    from sqlalchemy.dialects import postgresql

    # Constants: the planner must know how many there are.
    sent = (
        sa.literal(values, postgresql.ARRAY(sa.Text()))
        if ids is None
        else sa.literal(f"{{{ids.texts(',')}}}", sa.Text())
    )
    return column == sa.any_(sa.cast(sent, postgresql.ARRAY(column.type)))
