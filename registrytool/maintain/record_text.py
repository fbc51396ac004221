"""Values of dimension records as text: what tables, JSON and CSV show, and what people may write; exact both ways."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError

from .overlaps import decode_region, sphgeom
from .times import clipped, format_time, parse_time
from .timespans import EMPTY, Timespan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.universe import Field

    from .record_values import Shape
    from .times import Scale

#: What parts begin and end of a timespan, and what stands for "no bound".
_TO, _OPEN = "--", ".."
_POS = re.compile(r"\s*(CIRCLE|POLYGON|RANGE)\s", re.IGNORECASE)
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def format_timespan(timespan: Timespan | None, scale: Scale = "tai") -> str | None:
    """Return a timespan in ISO 8601, such as ``2026-01-01T00:00:37/tai--..``; ``..`` is no bound.

    Parameters
    ----------
    timespan : `Timespan` or `None`
        The timespan; `None` stays `None`.
    scale : `str`, optional
        ``tai``, which is exact even within leap seconds, or ``utc``.
    """
    if timespan is None:
        return None
    if timespan.empty:
        return "empty"
    mark = "/tai" if scale == "tai" else ""
    bounds = (format_time(t, scale) for t in (timespan.begin, timespan.end))
    return _TO.join(_OPEN if bound is None else bound + mark for bound in bounds)


def parse_timespan(text: str) -> Timespan:
    """Read a timespan as `format_timespan` writes it.

    Raises
    ------
    ConfigurationError
        It is not one.
    """
    if text.strip().lower() == "empty":
        return EMPTY
    begin, to, end = text.partition(_TO)
    if not to:
        message = f"{text!r} is not a timespan."
        hint = f"A timespan looks like 2024-05-01T12:00:00Z{_TO}2024-05-01T13:00:00Z; {_OPEN} is no bound."
        raise ConfigurationError(message, hint=hint)
    bounds = [None if b.strip() in ("", _OPEN) else clipped(parse_time(b)) for b in (begin, end)]
    return Timespan.of(*bounds)


def format_region(region: bytes | None, style: str = "hex") -> str | None:
    """Return a region as text.

    Parameters
    ----------
    region : `bytes` or `None`
        Encoding by lsst-sphgeom; `None` stays `None`.
    style : `str`, optional
        ``hex`` or ``base64``, which are exact, or ``pos``: the syntax of the IVOA, in degrees.

    Raises
    ------
    ConfigurationError
        The style is ``pos``, and lsst-sphgeom is not installed.
    """
    if region is None:
        return None
    if style == "pos":
        decoded = decode_region(region, "show a region")
        try:
            return str(decoded.to_ivoa_pos())
        except (AttributeError, ValueError, RuntimeError, NotImplementedError):
            # Not every kind of region has such a text.
            return region.hex()
    return base64.b64encode(region).decode("ascii") if style == "base64" else region.hex()


def parse_region(text: str) -> bytes:
    """Read a region: hexadecimal, base64, or the syntax of the IVOA such as ``CIRCLE 12.0 -30.0 0.5`` (degrees).

    Raises
    ------
    ConfigurationError
        It is none of these.
    """
    wanted = "read a region"
    if _POS.match(text):
        region = sphgeom(wanted).Region
        if not hasattr(region, "from_ivoa_pos"):
            message = f"Cannot {wanted} from {text!r}: the installed lsst-sphgeom cannot."
            raise ConfigurationError(message, hint="Install a newer lsst-sphgeom.")
        try:
            return bytes(region.from_ivoa_pos(text.strip().upper()).encode())
        except (ValueError, RuntimeError) as error:
            message = f"Cannot {wanted} from {text!r}: {' '.join(str(error).split()).rstrip('.')}."
            raise ConfigurationError(message) from error
    return _parse_bytes(text, "a region")


def _parse_bytes(text: str, what: str) -> bytes:
    try:
        if re.fullmatch(r"([0-9a-fA-F]{2})+", text.strip()):
            return bytes.fromhex(text.strip())
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"{text[:60]!r} is not {what} in hexadecimal or base64."
        raise ConfigurationError(message) from error


def format_value(field: Field, value: Any, *, scale: Scale = "tai", regions: str = "hex") -> Any:
    """Return a value as JSON knows it."""
    if field.type == "timespan":
        return format_timespan(value, scale)
    if field.type == "region":
        return format_region(value, regions)
    return value.hex() if isinstance(value, bytes) else value


def format_record(shape: Shape, record: Mapping[str, Any], *, scale: Scale = "tai", regions: str = "hex") -> Any:
    """Return a record, or some of its fields, as JSON knows it."""
    return {n: format_value(shape.fields[n], v, scale=scale, regions=regions) for n, v in record.items()}


def parse_value(field: Field, value: Any, *, where: str) -> Any:
    """Return the value of a field that text or JSON stands for.

    Parameters
    ----------
    field : `Field`
        The field.
    value : object
        Text, or a value of the right type already.
    where : `str`
        Where it stands, for the sentence when it is wrong.

    Raises
    ------
    ConfigurationError
        It is no value of this field.
    """
    if not isinstance(value, str):
        return value
    try:
        if field.type in ("int", "datetime"):
            return int(value)
        if field.type == "float":
            return float(value)
        if field.type == "bool":
            return _TRUTH[value.strip().lower()]
        if field.type == "timespan":
            return parse_timespan(value)
        if field.type == "region":
            return parse_region(value)
        if field.type in ("hash", "blob"):
            return _parse_bytes(value, "bytes")
    except (ValueError, KeyError):
        message = f"In {where}, {field.name} cannot be {value!r}."
        raise ConfigurationError(message, hint=f"It must be a {field.type}.") from None
    except ConfigurationError as error:
        message = f"In {where}, {field.name} is wrong: {error.message}"
        raise ConfigurationError(message, hint=error.hint) from error
    return value


def parse_record(shape: Shape, row: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return a record, or some of its fields, from text or JSON.

    Raises
    ------
    ConfigurationError
        A value is of no use.
    RegistryStateError
        There is no such field.
    """
    names = shape.names(row, f"read {where}")
    return {names[n]: parse_value(shape.fields[names[n]], v, where=where) for n, v in row.items()}


def parse_assignments(shape: Shape, texts: list[str]) -> dict[str, Any]:
    """Read fields from words such as ``instrument=HSC``; ``field=`` is NULL.

    Raises
    ------
    ConfigurationError
        A word has another form, or a value is of no use.
    RegistryStateError
        There is no such field.
    """
    row: dict[str, str | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            message = f"{text!r} does not have the form FIELD=VALUE."
            raise ConfigurationError(message, hint=f"The fields of {shape.element.name} are {', '.join(shape.fields)}.")
        row[name.strip()] = value or None
    return parse_record(shape, row, where="the command line")
