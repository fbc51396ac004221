"""SQL as text that a shell executes: statements with their values in place, literals, comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy.schema import ExecutableDDLElement

from .structure import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def compiled(statement: Any, dialect: str) -> str:
    """Return a statement as text."""
    # Definitions (CREATE ...) have no values and do not take the argument.
    values = {} if isinstance(statement, ExecutableDDLElement) else {"literal_binds": True}
    text = str(statement.compile(dialect=DIALECTS[dialect], compile_kwargs=values))
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def literal(value: str | bool | None) -> str:  # noqa: FBT001 (a value, not a flag)
    """Return a value as SQL; a truth value is 1 or 0, which both databases compare."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    return "'" + value.replace("'", "''") + "'"


def values(rows: Iterable[Sequence[str | bool | None]]) -> str:
    """Return rows as ``VALUES``, one on a line."""
    return "VALUES\n  " + ",\n  ".join(f"({', '.join(literal(v) for v in row)})" for row in rows)


def comment(text: str) -> str:
    """Return text as a comment, one line for each of its lines."""
    return "\n".join(f"-- {line}".rstrip() for line in re.split(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", text))
