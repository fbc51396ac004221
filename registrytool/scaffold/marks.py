"""Marks of what a person has to decide, and how words are written in scripts."""

from __future__ import annotations

import keyword
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Mark of what a person has to decide.
MARK = "FILL_IN"
#: How the sentence of a mark begins where it is the argument of an exception.
SENTENCE = "fill in: "
DIALECTS = ("sqlite", "postgresql")
WIDTH = 110
TAGS, CALIBS, RECORDS, LIVE = (
    "dataset_tags_00000001",
    "dataset_calibs_00000001",
    "file_datastore_records",
    "obscore",
)
#: Tables of which the name in a registry is not known beforehand, and how they are called here.
DYNAMIC = {TAGS: "dataset_tags_*", CALIBS: "dataset_calibs_*", RECORDS: "file_datastore_records"}


def as_sentence(text: str) -> str:
    """Return text that ends as a sentence does."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def statement_of(decision: str) -> str:
    """Return the statement that asks for a decision."""
    statement = f"raise NotImplementedError({quoted(SENTENCE + decision)})"
    if len(statement) <= WIDTH:
        return statement
    parts = textwrap.wrap(SENTENCE + decision, 100, drop_whitespace=False, break_long_words=False)
    return "raise NotImplementedError(\n" + "".join(f"    {quoted(p)}\n" for p in parts) + ")"


def quoted(text: str) -> str:
    """Return a string of Python."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_words(words: Sequence[str]) -> str:
    """Return words joined as in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def variable(table: str) -> str:
    """Return the name of the variable of a table."""
    name = re.sub(r"\W", "_", table)
    return f"{name}_" if keyword.iskeyword(name) or name in ("step", "sa") else name
