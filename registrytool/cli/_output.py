"""Everything that is printed: answers on stdout, as table or JSON, and all else on stderr."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from registrytool.errors import ConfigurationError

from ._options import Format

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress as Bar

#: Version of the shape of the JSON answers.
FORMAT_VERSION = 1


class Settings:
    """Global options of one run."""

    def __init__(self, output: Format = Format.TABLE, verbosity: int = 0) -> None:
        self.output = output
        self.verbosity = verbosity


def settings(context: typer.Context) -> Settings:
    """Return the global options."""
    found = context.find_object(Settings)
    return found if found is not None else Settings()


def answer(context: typer.Context, output: Format | None, data: Mapping[str, Any], table: Callable[[], None]) -> None:
    """Write an answer to stdout.

    Parameters
    ----------
    context : `typer.Context`
        Context of the command.
    output : `Format` or `None`
        What the command was told; otherwise the global option counts.
    data : `~collections.abc.Mapping`
        The answer in plain values.
    table : callable
        Writes the same for people.
    """
    if (output or settings(context).output) is Format.JSON:
        typer.echo(json.dumps({"format_version": FORMAT_VERSION, **data}, indent=2, ensure_ascii=False))
    else:
        table()


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not cut lines where nobody looks at a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 10_000
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table to stdout."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    right = [bool(column) and column.split(" ")[0] in ("rows", "pending", "size", "steps") for column in columns]
    lines = _plain_table(columns, texts, right)
    if lines is None or (sys.stdout.isatty() and max(map(_cells, lines)) > shutil.get_terminal_size().columns):
        lines = _folded_table(columns, texts, right)
    elif sys.stdout.isatty():
        lines[1] = typer.style(lines[1], bold=True)
    for line in lines:
        say(line)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str] | None:
    """Return the lines of a table of any width; `None` if a value has several lines.

    It looks like those that rich draws, which takes longer to load than most commands take to answer.
    """
    if any(not text.isprintable() for row in rows for text in row):
        return None
    widths = [max(map(_cells, column)) for column in zip(columns, *rows, strict=True)]

    def line(texts: Sequence[str]) -> str:
        parts = (
            " " * (width - _cells(text)) + text if to_right else text + " " * (width - _cells(text))
            for text, width, to_right in zip(texts, widths, right, strict=True)
        )
        return f" {'   '.join(parts)}".rstrip()

    rule = " " + "─" * (sum(widths) + 3 * (len(widths) - 1))
    return ["", line(columns), rule, *map(line, rows), ""]


def _cells(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _folded_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Return the lines of a table whose values are broken where the terminal ends."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table: Table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, to_right in zip(columns, right, strict=True):
        table.add_column(column, justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    screen = console()
    with screen.capture() as capture:
        screen.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def say(text: str = "") -> None:
    """Write a line of an answer to stdout."""
    typer.echo(text)


def tell(text: str) -> None:
    """Write a line that is not part of the answer to stderr."""
    typer.echo(text, err=True)


def write_file(path: Path, text: str) -> None:
    """Write a file that the user named.

    Raises
    ------
    ConfigurationError
        It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"Cannot write {path}: {error.strerror or error}."
        raise ConfigurationError(message, hint="Choose another place.") from error


def hide_passwords(text: str) -> str:
    """Return text as it may be shown."""
    # Starting fast: what is imported here is imported for --help too.
    from registrytool.config import hide_passwords as hide

    return hide(text)


def count(number: int, singular: str) -> str:
    """Return a number with a noun: ``1 step``, ``2 steps``."""
    return f"{number} {singular}{'' if number == 1 else 's'}"


def parse_settings(values: Sequence[str] | None) -> dict[str, str]:
    """Read options of the form KEY=VALUE.

    Raises
    ------
    ConfigurationError
        One has another form.
    """
    result = {}
    for value in values or ():
        key, equals, text = value.partition("=")
        if not equals or not key:
            message = f"The option --set {value} does not have the form KEY=VALUE."
            raise ConfigurationError(message, hint="'registrytool migrate --plan' shows the options of each step.")
        result[key] = text
    return result


def is_interactive() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty()


def confirmed(question: str, *, yes: bool) -> None:
    """Ask, where there is somebody to ask.

    Raises
    ------
    typer.Exit
        The answer is no.
    """
    if yes or not is_interactive():
        return
    # Not by typer.confirm, which writes a blank to stdout, where the answer of the command belongs.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        tell("Nothing was changed.")
        raise typer.Exit(3)


# -- progress -----------------------------------------------------------------


class _Lines:
    """Progress where nobody watches: one line for each event worth a line."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def phase(self, text: str) -> None:
        tell(f"{text} ...")

    def step_started(self, name: str, number: int, total: int) -> None:
        tell(f"[{number}/{total}] {name} ...")

    def rows(self, table: str, done: int, total: int) -> None:
        # Short work is not worth a line for each table.
        if time.monotonic() - self._said > 5 and total:
            self._said = time.monotonic()
            tell(f"    {table}: {done:,} of about {total:,} rows")

    def step_finished(self, name: str, elapsed_s: float) -> None:
        tell(f"    {name} done in {elapsed_s:.1f} s, not committed yet")

    def note(self, text: str) -> None:
        tell(text)


class _Silent:
    """No progress."""

    def phase(self, text: str) -> None:
        pass

    def step_started(self, name: str, number: int, total: int) -> None:
        pass

    def rows(self, table: str, done: int, total: int) -> None:
        pass

    def step_finished(self, name: str, elapsed_s: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class _Bar:
    """A bar on a terminal, with rows and the time that is left."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("preparing", total=None, table="")

    def phase(self, text: str) -> None:
        self._bar.update(self._task, description=text, completed=0, total=None, table="")

    def step_started(self, name: str, number: int, total: int) -> None:
        self._bar.update(
            self._task, description=f"[{number}/{total}] {name}".replace("[", r"\["), completed=0, total=None
        )

    def rows(self, table: str, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total or None, table=table)

    def step_finished(self, name: str, elapsed_s: float) -> None:
        self._bar.console.print(f"{name}: {elapsed_s:.1f} s, not committed yet", markup=False)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False)


@contextmanager
def progress(context: typer.Context) -> Iterator[Any]:
    """Show the progress of an operation on stderr."""
    if settings(context).verbosity < 0:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[table]}", markup=False),
            TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
        ) as bar:
            yield _Bar(bar)
