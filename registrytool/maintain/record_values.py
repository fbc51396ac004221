"""Values of dimension records: from what Python code and files hold to what the tables hold, and back; pure."""

from __future__ import annotations

import base64
import binascii
import math
import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from registrytool.errors import RegistryStateError
from registrytool.universe import Field

from . import timespans
from .timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registrytool.universe import Element, Universe

REGION = "region"
TIMESPAN = "timespan"


@dataclass(frozen=True)
class Shape:
    """The fields of the records of one element, by the names of their columns.

    Attributes
    ----------
    element : `Element`
        The element.
    fields : `dict` [`str`, `Field`]
        All fields in the order of the table, ``region`` and ``timespan`` last.
    key : `tuple` [`str`, ...]
        Those of the primary key.
    uniques : `tuple` [`tuple` [`str`, ...], ...]
        Other fields that identify a record.
    """

    element: Element
    fields: Mapping[str, Field]
    key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, universe: Universe, name: str) -> Shape:
        """Return the fields of an element.

        Raises
        ------
        RegistryStateError
            There is no such element, or its records have no table.
        """
        if name not in universe:
            known = ", ".join(e.name for e in universe if e.has_table)
            message = f"Universe {universe.namespace} {universe.version} has no dimension element {name}."
            raise RegistryStateError(message, hint=f"It has {known}.")
        element = universe[name]
        if not element.has_table:
            message = f"The records of {name} have no table of their own: they follow from those of other elements."
            raise RegistryStateError(message)
        others = [n for n in element.required if n != name]

        def column(dimension: str) -> Field:
            if dimension not in universe:  # a pixel of the sky
                return Field(dimension, "int")
            return Field(dimension, universe[dimension].key.type, universe[dimension].key.length)

        fields = [column(n) for n in others]
        if element.is_dimension:
            fields.append(element.key)
        key = tuple(f.name for f in fields)
        fields += [column(n) for n in element.implied]
        fields += [*element.keys[1:], *element.metadata]
        if element.spatial:
            fields.append(Field(REGION, "region"))
        if element.temporal:
            fields.append(Field(TIMESPAN, "timespan"))
        uniques = tuple((*others, f.name) for f in element.keys[1:])
        return cls(element, {f.name: f for f in fields}, key, uniques)

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Other names of fields: the key of a dimension can be called by the name of the dimension."""
        element = self.element
        return {element.name: element.key.name} if element.is_dimension and element.name not in self.fields else {}

    def key_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the primary key of a row."""
        return tuple(row[name] for name in self.key)

    def describe(self, key: Sequence[Any], names: Sequence[str] | None = None) -> str:
        """Return a key as people write it, such as ``instrument='HSC', id=5``."""
        return ", ".join(f"{n}={v!r}" for n, v in zip(self.key if names is None else names, key, strict=True))

    def names(self, row: Iterable[str], wanted: str) -> dict[str, str]:
        """Return the field that each name of a row means.

        Raises
        ------
        RegistryStateError
            There is no such field.
        """
        result: dict[str, str] = {}
        for name in row:
            field = self.aliases.get(name, name)
            if field not in self.fields:
                message = f"Cannot {wanted}: {self.element.name} has no field {name!r}."
                raise RegistryStateError(message, hint=f"It has {', '.join(self.fields)}.")
            if field in result.values():
                message = f"Cannot {wanted}: the field {field} of {self.element.name} is given twice."
                raise RegistryStateError(message)
            result[name] = field
        return result

    def check(self, row: Mapping[str, Any], wanted: str, dialect: str) -> dict[str, Any]:
        """Return a row with the names of the columns and values of the right types; missing fields stay missing.

        Raises
        ------
        RegistryStateError
            A field does not exist, or a value does not fit.
        """
        names = self.names(row, wanted)
        result: dict[str, Any] = {}
        for name, value in row.items():
            field = self.fields[names[name]]
            fits, result[field.name] = _fit(field, value, dialect)
            if not fits:
                kind = field.type if field.length is None else f"{field.type} of at most {field.length} characters"
                shown = repr(value) if len(repr(value)) < 100 else f"{repr(value)[:80]}..."
                message = f"Cannot {wanted}: {self.element.name}.{field.name} cannot be {shown}."
                raise RegistryStateError(message, hint=f"It must be a {kind}.")
        return result

    def complete(self, row: Mapping[str, Any], wanted: str, not_null: Iterable[str]) -> dict[str, Any]:
        """Return a checked row with all fields.

        Raises
        ------
        RegistryStateError
            A field that cannot be NULL is missing.
        """
        missing = [n for n in not_null if row.get(n) is None]
        if missing:
            known = self.describe([row[n] for n in self.key if n in row], [n for n in self.key if n in row])
            which = f" with {known}" if known else ""
            message = f"Cannot {wanted}: the {self.element.name}{which} has no {' and no '.join(missing)}."
            raise RegistryStateError(message)
        return {name: row.get(name) for name in self.fields}

    def to_columns(self, row: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        """Return checked values as the columns of the table hold them."""
        result: dict[str, Any] = {}
        for name, value in row.items():
            kind = self.fields[name].type
            if kind == TIMESPAN:
                result |= timespans.values(value, dialect)
            elif kind in ("region", "hash") and value is not None:
                result[name] = base64.b64encode(value).decode("ascii")
            else:
                result[name] = value
        return result

    def from_columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row of the table.

        Raises
        ------
        RegistryStateError
            A region or hash is not base64.
        """
        result: dict[str, Any] = {}
        for name, field in self.fields.items():
            if field.type == TIMESPAN:
                result[name] = timespans.read(row)
            elif field.type in ("region", "hash") and row[name] is not None:
                try:
                    result[name] = base64.b64decode(row[name], validate=True)
                except (binascii.Error, ValueError) as error:
                    message = f"The {name} of a record of {self.element.name} is not base64: {row[name][:60]!r}."
                    raise RegistryStateError(message) from error
            else:
                result[name] = row[name]
        return result


def _fit(field: Field, value: Any, dialect: str) -> tuple[bool, Any]:
    """Return whether a value fits a field, and the value as a plain one."""
    if value is None:
        return True, None
    kind = field.type
    if kind == "string":
        short = field.length is not None and field.length <= 32
        # SQLite checks the length of short strings, and that there is something in them.
        fits = isinstance(value, str) and not (
            short and (len(value) > (field.length or 0) or (dialect == "sqlite" and not value))
        )
        # Neither database can hold it in text.
        return fits and "\0" not in value, value
    if kind in ("int", "datetime"):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            return False, value
        return -(2**63) <= int(value) < 2**63, int(value)
    if kind == "float":
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return False, value
        # SQLite keeps what is not a number as NULL.
        return True, None if math.isnan(value) else float(value)
    if kind == "bool":
        # numpy's own is no subclass.
        fits = isinstance(value, bool) or type(value).__name__ == "bool_"
        return fits, bool(value) if fits else value
    if kind == "region":
        encoded = value.encode() if hasattr(value, "contains") and hasattr(value, "encode") else value
        return isinstance(encoded, (bytes, bytearray)), encoded
    if kind in ("hash", "blob"):
        return isinstance(value, (bytes, bytearray)), value
    if kind == TIMESPAN:
        return isinstance(value, Timespan), value
    return True, value
