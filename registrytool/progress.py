"""What an operation tells while it runs; how it is shown is the business of the command line."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Events of a long operation, in the words of the domain."""

    def phase(self, text: str) -> None:
        """Something begins that is not a step, such as a backup."""

    def step_started(self, name: str, number: int, total: int) -> None:
        """A step begins."""

    def rows(self, table: str, done: int, total: int) -> None:
        """Some of the rows that a step must write are written."""

    def step_finished(self, name: str, elapsed_s: float) -> None:
        """A step has ended; nothing is committed yet."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class NullProgress:
    """Tells nobody."""

    def phase(self, text: str) -> None:
        """Ignore."""

    def step_started(self, name: str, number: int, total: int) -> None:
        """Ignore."""

    def rows(self, table: str, done: int, total: int) -> None:
        """Ignore."""

    def step_finished(self, name: str, elapsed_s: float) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
