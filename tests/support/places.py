"""What the fixtures of ``tests/conftest.py`` hand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

Dialect = Literal["sqlite", "postgresql"]

ODD_NAMESPACE = 'odd "näme-space'
"""A name of a PostgreSQL schema with all that goes wrong when somebody forgets to quote."""


@dataclass(frozen=True)
class Place:
    """An empty place for a registry and its repository.

    Parameters
    ----------
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    url : `str`
        URL of the database, with driver and password. On SQLite the file does not exist yet.
    namespace : `str` or `None`
        PostgreSQL schema that shall hold the registry and does not exist yet; None on SQLite.
    folder : `Path`
        Root of the repository; exists and is empty.
    """

    dialect: Dialect
    url: str
    namespace: str | None
    folder: Path


class Outcome(NamedTuple):
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


class Run(Protocol):
    """Run one command of registrytool in this process.

    Colours are off, the terminal is 100 columns wide and no repository index is set. A crash, exit code 1 on a command
    line, raises its own exception here.
    """

    def __call__(self, *arguments: object, stdin: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        """Run it.

        Parameters
        ----------
        *arguments : `object`
            Words of the command line after ``registrytool``; each as ``str`` gives it.
        stdin : `str`, optional
            What the user types.
        env : `dict` [`str`, `str`], optional
            Environment variables of this run.

        Returns
        -------
        outcome : `Outcome`
            Exit code and whole output.
        """
