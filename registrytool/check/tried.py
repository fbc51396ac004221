"""What came out when steps were run in the laboratory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .rows import TableContent

if TYPE_CHECKING:
    from registrytool.history import Edge
    from registrytool.models import Difference, State

    from .expectations import Case

Content = dict[str, TableContent]


@dataclass(frozen=True, slots=True)
class Emitted:
    """One statement that a step sent to the database, and what it did there.

    Attributes
    ----------
    sql : `str`
        The statement.
    locks : `frozenset` [`tuple` [`str`, `str`]]
        Tables that existed before the step, and the modes of lock that they have since this statement (PostgreSQL).
    rewritten : `frozenset` [`str`]
        Tables that existed before the step and of which the statement wrote every row again (PostgreSQL).
    timeout : `bool`
        Whether waiting for locks was bounded (PostgreSQL).
    proved : `frozenset` [`tuple` [`str`, `str`]]
        Table and column that a validated check constraint kept from being NULL, before the statement (PostgreSQL).
    """

    sql: str
    locks: frozenset[tuple[str, str]] = frozenset()
    rewritten: frozenset[str] = frozenset()
    timeout: bool = True
    proved: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Passage:
    """One direction of a step on one database.

    Attributes
    ----------
    error : `str` or `None`
        What the database or the script said when it failed.
    refused : `str` or `None`
        Why the step did not want to run.
    differences : `list` [`Difference`]
        Between the structure that it left and the snapshot.
    dangling : `list` [`str`]
        Rows that refer to nothing, which SQLite permits for a while.
    fills : `set` [`tuple` [`str`, `str`]]
        Tables and columns of which the step computes the values; the column is ``*`` for its own statements.
    renames : `dict` [`tuple` [`str`, `str`], `str`]
        New names of columns, by table and old name.
    keys : `set` [`tuple` [`str`, `str`]]
        Tables and columns that get their values from another table: keys, if the step declares that it replaces some.
    asked_loss : `bool`
        Whether a question of the step found what would be lost.
    asked : `set` [`str`]
        Tables that the step asked about before it lost something.
    emitted : `list` [`Emitted`]
        The statements.
    """

    error: str | None = None
    refused: str | None = None
    differences: list[Difference] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    fills: set[tuple[str, str]] = field(default_factory=set)
    renames: dict[tuple[str, str], str] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    asked_loss: bool = False
    asked: set[str] = field(default_factory=set)
    emitted: list[Emitted] = field(default_factory=list)
    start: Content = field(default_factory=dict)
    end: Content = field(default_factory=dict)
    nulls: set[tuple[str, str]] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.error is None and self.refused is None

    @property
    def sound(self) -> bool:
        """Whether it came to the right end; what follows from a wrong one is not worth a word."""
        return self.done and not self.differences and not self.dangling


@dataclass
class Trial:
    """A step that was run on one database, from one state.

    Attributes
    ----------
    up, back : `Passage` or `None`
        Up with rows in every table, and down again.
    down : `Passage` or `None`
        Down with rows that were made for the newer version.
    script : `Passage` or `None`
        Up, as the script that the step is when there is no database to ask.
    wrong : `list` [`tuple` [`Case`, `str`]]
        What came out otherwise than the test data says.
    """

    edge: Edge
    dialect: str
    state: State
    cases: tuple[Case, ...] = ()
    up: Passage | None = None
    back: Passage | None = None
    down: Passage | None = None
    script: Passage | None = None
    wrong: list[tuple[Case, str]] = field(default_factory=list)
    problem: str | None = None
