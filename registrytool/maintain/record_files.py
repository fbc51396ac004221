"""Dimension records of one element in CSV and Parquet files."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError

from .pieces import chunks
from .record_text import format_timespan, format_value, parse_record, parse_timespan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    from .record_values import Shape

#: In CSV an empty field is NULL.  A text that is empty, or begins like this, has this before it.
_MARK = "\\"
_BATCH = 10_000


def write_csv(path: Path, shape: Shape, records: Iterable[Mapping[str, Any]]) -> int:
    """Write records to a CSV file with a header; regions and hashes are hexadecimal, timespans ISO 8601.

    Returns
    -------
    records : `int`
        How many.

    Raises
    ------
    ConfigurationError
        The file cannot be written.
    """
    number = 0
    with _opened(path, "w") as stream:
        writer = csv.writer(stream)
        writer.writerow(shape.fields)
        for record in records:
            writer.writerow([_cell(format_value(shape.fields[n], record[n])) for n in shape.fields])
            number += 1
    return number


def _cell(value: Any) -> Any:
    if isinstance(value, str) and (not value or value.startswith(_MARK)):
        return _MARK + value
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value


def read_csv(path: Path, shape: Shape) -> Iterator[dict[str, Any]]:
    """Read records from a CSV file with a header.

    Yields
    ------
    record : `dict`
        The fields that the file has.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or a value is of no use; the sentence names the line.
    RegistryStateError
        There is no such field.
    """
    with _opened(path, "r") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            for row in reader:
                where = f"line {reader.line_num} of {path}"
                if None in row or None in row.values():
                    message = f"In {where} there are not as many values as in the header."
                    raise ConfigurationError(message)
                values = {n: None if v == "" else v.removeprefix(_MARK) for n, v in row.items()}
                yield parse_record(shape, values, where=where)
        except (csv.Error, UnicodeDecodeError) as error:
            message = f"{path} is not a CSV file: {error}."
            raise ConfigurationError(message) from error


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[Any]:
    try:
        with path.open(mode, encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        verb = "write" if mode == "w" else "read"
        message = f"Cannot {verb} {path}: {error.strerror}."
        raise ConfigurationError(message) from error


def _pyarrow(path: Path) -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        message = f"Cannot use {path}: Parquet needs the package pyarrow, which is not installed."
        raise ConfigurationError(message, hint="Install it with 'pip install registrytool[parquet]'.") from error
    return pyarrow  # type: ignore[no-any-return]


def write_parquet(path: Path, shape: Shape, records: Iterable[Mapping[str, Any]]) -> int:
    """Write records to a Parquet file; regions and hashes are bytes, timespans text in ISO 8601.

    Returns
    -------
    records : `int`
        How many.

    Raises
    ------
    ConfigurationError
        The file cannot be written, or pyarrow is not installed.
    """
    arrow = _pyarrow(path)
    kinds = {"int": arrow.int64(), "datetime": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
    kinds |= dict.fromkeys(("region", "hash", "blob"), arrow.binary())
    schema = arrow.schema([(n, kinds.get(f.type, arrow.string())) for n, f in shape.fields.items()])
    number = 0
    try:
        with arrow.parquet.ParquetWriter(path, schema) as writer:
            for part in chunks(records, _BATCH):
                rows = [{n: format_timespan(v) if n == "timespan" else v for n, v in row.items()} for row in part]
                writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
                number += len(rows)
    except OSError as error:
        message = f"Cannot write {path}: {error.strerror or error}."
        raise ConfigurationError(message) from error
    return number


def read_parquet(path: Path, shape: Shape) -> Iterator[dict[str, Any]]:
    """Read records from a Parquet file.

    Yields
    ------
    record : `dict`
        The fields that the file has.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or pyarrow is not installed.
    RegistryStateError
        There is no such field.
    """
    arrow = _pyarrow(path)
    try:
        file = arrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        message = f"Cannot read {path}: {' '.join(str(error).split()).rstrip('.')}."
        raise ConfigurationError(message) from error
    with file:
        for batch in file.iter_batches(_BATCH):
            for row in batch.to_pylist():
                names = shape.names(row, f"read {path}")
                yield {
                    names[n]: parse_timespan(v) if names[n] == "timespan" and v is not None else v
                    for n, v in row.items()
                }
