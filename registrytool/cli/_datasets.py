"""Options that choose datasets, and how datasets are shown: there can be millions."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Optional

import typer

from registrytool.errors import ConfigurationError

from ._options import Format
from ._output import FORMAT_VERSION, count, settings, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registrytool.maintain.dataset_types import DatasetType
    from registrytool.maintain.find import Query
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


def require_choice(types: Any, collections: Any, where: str | None, ids: Path | None) -> None:
    """Refuse to act on all datasets because nothing was said.

    Raises
    ------
    ConfigurationError
        No option chooses any.
    """
    if not types and not collections and not where and ids is None:
        message = "It was not said which datasets are meant."
        hint = "Choose by --dataset-type, --collections, --where or --ids; --dataset-type '*' means all."
        raise ConfigurationError(message, hint=hint)


def tell_skipped(skipped: Sequence[str]) -> None:
    """Tell which dataset types an expression cannot be about."""
    if skipped:
        shown = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        tell(f"Passed over {count(len(skipped), 'dataset type')} without the dimensions of the expression: {shown}.")


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


@contextmanager
def shown_at_the_end() -> Iterator[IO[str]]:
    """Give a file whose text is written to stdout at the end, or not at all if something fails on the way."""
    with tempfile.SpooledTemporaryFile(max_size=1 << 24, mode="w+", encoding="utf-8") as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout, 1 << 20)
        sys.stdout.flush()


def write_datasets(
    file: IO[str],
    context: typer.Context,
    output: Format | None,
    head: dict[str, Any],
    blocks: Iterable[tuple[DatasetType, list[tuple[Any, ...]]]],
    tail: Callable[[int], dict[str, Any]],
    uris: Callable[[list[tuple[Any, ...]]], dict[str, tuple[str, ...]]] | None,
) -> int:
    """Write datasets as they come.

    Parameters
    ----------
    file : file
        Where to, see `shown_at_the_end`.
    context : `typer.Context`
        Context of the command.
    output : `Format` or `None`
        What the command was told.
    head : `dict`
        What comes before the datasets in JSON.
    blocks : iterable of `tuple`
        Dataset types and rows, see `find_rows`.
    tail : callable
        Is given the number of datasets; returns what comes after them in JSON.
    uris : callable or `None`
        Returns the places of the files of some rows, by identifier.

    Returns
    -------
    number : `int`
        How many datasets there were.
    """
    as_json = (output or settings(context).output) is Format.JSON
    return _write_json(file, head, blocks, tail, uris) if as_json else _write_table(file, blocks, uris)


def _write_json(
    file: IO[str],
    head: dict[str, Any],
    blocks: Iterable[tuple[DatasetType, list[tuple[Any, ...]]]],
    tail: Callable[[int], dict[str, Any]],
    uris: Callable[[list[tuple[Any, ...]]], dict[str, tuple[str, ...]]] | None,
) -> int:
    number = 0
    encode = json.JSONEncoder(ensure_ascii=False).encode
    start = {"format_version": FORMAT_VERSION, **head}
    file.write("{\n" + "".join(f"  {encode(k)}: {encode(v)},\n" for k, v in start.items()) + '  "datasets": [')
    for dataset_type, rows in blocks:
        places = uris(rows) if uris is not None else {}
        lines = []
        for row in rows:
            data_id = dict(zip(dataset_type.dimensions, row[2:], strict=True))
            shown = {"id": row[0], "dataset_type": dataset_type.name, "run": row[1], "data_id": data_id}
            if uris is not None:
                shown["uris"] = places.get(str(row[0]), ())
            lines.append(f"\n    {encode(shown)}")
        file.write(("," if number and lines else "") + ",".join(lines))
        number += len(rows)
    file.write("\n  ]" if number else "]")
    file.write("".join(f",\n  {encode(k)}: {encode(v)}" for k, v in tail(number).items()) + "\n}\n")
    return number


def _write_table(
    file: IO[str],
    blocks: Iterable[tuple[DatasetType, list[tuple[Any, ...]]]],
    uris: Callable[[list[tuple[Any, ...]]], dict[str, tuple[str, ...]]] | None,
) -> int:
    number, before, form = 0, "", ""
    for dataset_type, block in blocks:
        rows = block
        if uris is not None:
            places = uris(rows)
            rows = [(*row, " ".join(places.get(str(row[0]), ()))) for row in rows]
        if dataset_type.name != before:
            # As wide as the first rows need; what comes later can be wider.
            columns = ("id", "run", *dataset_type.dimensions, *(["files"] if uris is not None else []))
            widths = [max(map(len, map(str, column))) for column in zip(columns, *rows, strict=True)]
            name = dataset_type.name
            kind = max(len(name), 4)
            rest = "  ".join(f"%-{width}s" for width in widths[:-1]) + "  %s\n"
            file.write(("\n" if before else "") + f"{'type':<{kind}}  " + rest % columns)
            file.write("  ".join("-" * width for width in (kind, *widths)) + "\n")
            form = f"{name:<{kind}}  ".replace("%", "%%") + rest
            before = name
        file.write("".join(map(form.__mod__, rows)))
        number += len(rows)
    return number
