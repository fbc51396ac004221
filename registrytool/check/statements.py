"""Cut what a script sends to the database into statements, so that none hides behind another one or a comment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<end>;)
    | (?P<other>[^-/'"$;]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
#: What stands before a statement of PL/pgSQL in a block.
_BEGINNING = re.compile(
    r"\s*(?:DECLARE\b.*?\bBEGIN|BEGIN|ELSE|LOOP|PERFORM|EXECUTE|(?:IF|ELSIF|WHEN)\b.*?\bTHEN|(?:FOR|WHILE)\b.*?\bLOOP)\s+",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(r"\s*(?:DO|CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE))\b", re.IGNORECASE)
_STATEMENT = re.compile(
    r"\s*(?:ALTER|CREATE|DROP|LOCK|TRUNCATE|UPDATE|DELETE|INSERT|MERGE|WITH|REINDEX)\s", re.IGNORECASE
)


def single_statements(text: str) -> Iterator[str]:
    """Cut SQL into its statements, those inside of blocks of code included.

    Parameters
    ----------
    text : `str`
        What is sent to the database at once.

    Yields
    ------
    statement : `str`
        One statement, without comments; those of a block follow the block.
    """
    for statement, inner in _split(text):
        yield statement
        if _BLOCK.match(statement):
            for block in inner:
                yield from _of_block(block)


def _split(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give each statement, and the strings in it."""
    parts: list[str] = []
    strings: list[str] = []
    for match in _TOKEN.finditer(f"{text}\n;"):
        kind, token = match.lastgroup, match.group()
        if match["end"]:
            if statement := "".join(parts).strip():
                yield statement, strings
            parts, strings = [], []
            continue
        if match["string"]:
            strings.append(token[1:-1].replace("''", "'"))
        elif match["body"]:
            edge = len(match["tag"]) + 2
            strings.append(token[edge:-edge])
        parts.append(" " if kind == "comment" else token)


def _of_block(text: str) -> Iterator[str]:
    for piece, strings in _split(text):
        statement = piece
        while match := _BEGINNING.match(statement):
            statement = statement[match.end() :]
        if statement:
            yield statement
        for string in strings:
            if _STATEMENT.match(string):
                yield from single_statements(string)


#: At the beginning of a statement, after WITH, or in it.
_CHANGE = re.compile(
    r"(?:^|[()])\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(?:ONLY\s+)?"
    r'(?:(?:"(?:[^"]|"")+"|[\w$]+)\.)?(?P<table>"(?:[^"]|"")+"|[\w$]+)',
    re.IGNORECASE,
)


def changed_tables(text: str) -> set[str]:
    """Return the tables that SQL names as those whose rows it changes.

    Parameters
    ----------
    text : `str`
        What is sent to the database at once.

    Returns
    -------
    tables : `set` [`str`]
        Names without quotes and namespace.
    """
    found = (match["table"] for piece in single_statements(text) for match in _CHANGE.finditer(piece))
    return {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in found}
