"""The command line: the only code that prints, prompts or exits."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from registrytool.errors import RegistryToolError
from registrytool.interrupts import EXIT_CODE, SENTENCE, Undoing

from ._coercion import coerce_quickly
from ._options import Format
from ._output import Settings, hide_passwords, tell

coerce_quickly()

#: Base of the errors of wrong use; Typer carries its own Click and does not export it.
_WrongUse: Any = typer.BadParameter.__mro__[1]

#: Module of each command and group of commands, in the order of the help.
_MODULES = {
    "create": "create",
    "status": "status",
    "log": "status",
    "stamp": "status",
    "verify": "verify",
    "migrate": "migrate",
    "history": "history",
    "releases": "history",
    "schema": "schema",
    "check": "check",
    "revision": "revision",
    "waiver": "waiver",
    "record": "record",
    "collection": "collection",
    "dataset-type": "dataset_type",
    "attributes": "attributes",
    "obscore": "obscore",
    "dataset": "dataset",
    "calibration": "calibration",
    "raw": "raw",
    "visit": "visit",
    "photodiode": "photodiode",
    "instrument": "instrument",
    "skymap": "skymap",
    "doctor": "doctor",
}


class _Commands(MutableMapping[str, Any]):
    """All commands; each is made when it is asked for, since to make all of them takes longer than to run one."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            module = import_module(f".{_MODULES[name]}", __name__)
            part = typer.Typer(rich_markup_mode=None)
            if hasattr(module, "add_to"):
                module.add_to(part)
            else:
                part.add_typer(module.app, name=name)
            self._made.update(typer.main.get_group(part).commands)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**_MODULES, **self._made})

    def __len__(self) -> int:
        return len({**_MODULES, **self._made})

    def __contains__(self, name: object) -> bool:
        return name in _MODULES or name in self._made

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]


#: How many letters of a file name are shown.
_LONGEST_NAME = 200


class _Boundary(TyperGroup):
    """Turns errors that the user can understand into one sentence on stderr and an exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, without making them."""
        del ctx
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words of the command line; no database and no answer can hold what is no text."""
        for number, word in enumerate(args, 1):
            if not _is_text(word):
                shown = word.encode("ascii", "backslashreplace").decode()
                what = "not UTF-8" if "\0" not in word else "no text, since it holds a NUL character"
                message = f"word {number} is {what}: {hide_passwords(shown)}; type it again, or rename what it names."
                ctx.fail(message)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises
        ------
        typer.Exit
            The command refused or failed.
        """
        try:
            with Undoing():
                return super().invoke(ctx)
        except RegistryToolError as error:
            found = ctx.find_object(Settings)
            if found is not None and found.verbosity > 0:
                tell(_traceback(error))
            for session in getattr(error, "sessions", ()):
                tell(f"In the way: {session.describe()}.")
            # Whatever was typed can be a URL.
            tell(hide_passwords(f"Error: {error}"))
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            if error.filename is None or isinstance(error, BrokenPipeError):
                raise
            # A file of the user's: one that cannot be opened, on a disk that is full, or with a name of 5,000 letters.
            name = str(error.filename)
            shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
            message = f"Cannot use the file {shown}: {error.strerror}. Mend that, or name another one."
            tell(hide_passwords(f"Error: {message}"))
            raise typer.Exit(RegistryToolError.exit_code) from error
        except KeyboardInterrupt:
            tell(SENTENCE)
            raise typer.Exit(EXIT_CODE) from None
        except _WrongUse as error:
            # Wrong use quotes what was typed, and that can be a URL.
            error.message = hide_passwords(error.message)
            raise


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word


def _traceback(error: BaseException) -> str:
    """Return the traceback of an error; the messages of drivers in it are not ours."""
    import traceback

    return hide_passwords("".join(traceback.format_exception(error)).rstrip())


app = typer.Typer(
    name="registrytool",
    cls=_Boundary,
    # One sentence stays one line, and help is the same in a terminal and in a file.
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Create, migrate, check and maintain the registry of a Rubin Data Butler repository.",
    epilog="Exit codes: 0 done; 1 crash; 2 wrong use; 3 refused or failed; 4 ran well and the answer is no.",
)


def _version(value: bool) -> None:  # noqa: FBT001 (called by typer)
    if value:
        from registrytool import __version__

        typer.echo(f"registrytool {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    output: Annotated[
        Format, typer.Option("--format", envvar="REGISTRYTOOL_FORMAT", help="How answers are written.")
    ] = Format.TABLE,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of errors.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version
    context.obj = Settings(output, verbosity=1 if verbose else -1 if quiet else 0)


def main() -> None:
    """Run the command line."""
    # What modules make lives as long as the process: to look through it for garbage takes a tenth of the start.
    gc.set_threshold(100_000)
    # And all of it goes with the process: to look through it for garbage at the end takes a fifth of a short command.
    atexit.register(gc.freeze)
    try:
        app(prog_name="registrytool", args=sys.argv[1:])
    except Exception as error:  # noqa: BLE001 (a bug keeps its traceback, but not a password in it)
        tell(_traceback(error))
        tell("This is a bug in registrytool. Please report it with the lines above.")
        sys.exit(1)
