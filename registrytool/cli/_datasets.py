"""Options that choose datasets, and how datasets are shown: there can be millions."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Optional

import typer

from registrytool.errors import ConfigurationError

from ._options import Format
from ._output import FORMAT_VERSION, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registrytool.maintain.find import Dataset, Query
    from registrytool.maintain.timespans import Timespan

Types = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Argument(metavar="TYPE", help="Dataset types, or patterns such as 'calexp*'; none stands for all."),
]
InCollections = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--collections",
        "-c",
        metavar="NAME",
        help="Collections to look into, or patterns, in the order of the search; can be repeated, or have commas.",
    ),
]
Where = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="EXPRESSION", help="Condition on data IDs: \"instrument='HSC' AND detector IN (1..5)\"."),
]
Ids = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(metavar="FILE", help="File with identifiers of datasets, one a line; - is standard input."),
]
FindFirst = Annotated[
    bool, typer.Option("--find-first", "-f", help="Of each data ID, only what the first collection has that has it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


def make_query(
    types: list[str] | None,
    collections: list[str] | None,
    where: str | None,
    ids: Path | None,
    *,
    find_first: bool = False,
    at: Timespan | None = None,
) -> Query:
    """Turn options into a query."""
    from registrytool.maintain.find import Query

    names = split(collections)
    return Query(tuple(types or ()), names, where, find_first, at, read_ids(ids))


def split(names: list[str] | None) -> tuple[str, ...]:
    """Return the names of an option that can be repeated or have commas."""
    return tuple(name for text in names or () for name in text.split(",") if name)


def read_ids(path: Path | None) -> tuple[str, ...] | None:
    """Read a file of identifiers; what follows a blank or a # is passed over.

    Raises
    ------
    ConfigurationError
        It cannot be read.
    """
    if path is None:
        return None
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file in UTF-8"
        message = f"Cannot read the identifiers in {path}: {reason}."
        raise ConfigurationError(message) from error
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(words[0] for words in lines if words)


# -- many rows ----------------------------------------------------------------------


def show_datasets(
    context: typer.Context,
    output: Format | None,
    head: dict[str, Any],
    datasets: Iterable[Dataset],
    tail: Callable[[int], dict[str, Any]],
    uris: Callable[[list[Dataset]], dict[Any, tuple[str, ...]]] | None,
) -> int:
    """Write datasets to stdout as they come, or nothing if something fails on the way.

    Parameters
    ----------
    context : `typer.Context`
        Context of the command.
    output : `Format` or `None`
        What the command was told.
    head : `dict`
        What comes before the datasets in JSON.
    datasets : iterable of `Dataset`
        The datasets.
    tail : callable
        Is given the number of datasets; returns what comes after them in JSON.
    uris : callable or `None`
        Returns the places of the files of some datasets.

    Returns
    -------
    number : `int`
        How many datasets there were.
    """
    as_json = (output or settings(context).output) is Format.JSON
    with tempfile.SpooledTemporaryFile(max_size=1 << 24, mode="w+", encoding="utf-8") as file:
        write = _write_json if as_json else _write_table
        number = write(file, head, _blocks(datasets), tail, uris)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout, 1 << 20)
        sys.stdout.flush()
    return number


def _blocks(datasets: Iterable[Dataset], size: int = 5000) -> Iterator[list[Dataset]]:
    """Cut datasets into pieces of one dataset type."""
    block: list[Dataset] = []
    for dataset in datasets:
        if block and (len(block) == size or block[0].dataset_type != dataset.dataset_type):
            yield block
            block = []
        block.append(dataset)
    if block:
        yield block


def _write_json(
    file: IO[str],
    head: dict[str, Any],
    blocks: Iterator[list[Dataset]],
    tail: Callable[[int], dict[str, Any]],
    uris: Callable[[list[Dataset]], dict[Any, tuple[str, ...]]] | None,
) -> int:
    number = 0
    encode = json.JSONEncoder(ensure_ascii=False).encode
    start = {"format_version": FORMAT_VERSION, **head}
    file.write("{\n" + "".join(f"  {encode(k)}: {encode(v)},\n" for k, v in start.items()) + '  "datasets": [')
    for block in blocks:
        places = uris(block) if uris is not None else {}
        lines = []
        for dataset in block:
            row = dataset.to_dict()
            if uris is not None:
                row["uris"] = places.get(dataset.id, ())
            lines.append(f"\n    {encode(row)}")
        file.write(("," if number else "") + ",".join(lines))
        number += len(block)
    file.write("\n  ]" if number else "]")
    file.write("".join(f",\n  {encode(k)}: {encode(v)}" for k, v in tail(number).items()) + "\n}\n")
    return number


def _write_table(
    file: IO[str],
    head: dict[str, Any],
    blocks: Iterator[list[Dataset]],
    tail: Callable[[int], dict[str, Any]],
    uris: Callable[[list[Dataset]], dict[Any, tuple[str, ...]]] | None,
) -> int:
    del head, tail
    number, before, form = 0, "", ""
    for block in blocks:
        places = uris(block) if uris is not None else {}
        rows = [
            (
                d.dataset_type,
                d.run,
                str(d.id),
                *map(str, d.data_id.values()),
                *([" ".join(places.get(d.id, ()))] if uris else []),
            )
            for d in block
        ]
        if block[0].dataset_type != before:
            columns = ("type", "run", "id", *block[0].data_id, *(["files"] if uris else []))
            widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
            form = "  ".join(f"%-{width}s" for width in widths[:-1]) + "  %s\n"
            file.write(("\n" if before else "") + form % columns)
            file.write("  ".join("-" * width for width in widths) + "\n")
            before = block[0].dataset_type
        file.write("".join([form % row for row in rows]))
        number += len(block)
    return number
