"""Tables for people."""

from __future__ import annotations

import pytest

from registrytool.cli._output import _folded_table, _plain_table

TABLES = {
    "numbers to the right": (("a", "rows"), [["x", "1"], ["xyz", "12345"]], [False, True]),
    "wide letters": (("name", "what"), [["日本語", "é"], ["e\u0301", "x" * 300]], [False, False]),
    "words like markup": (("name", "what"), [["[bold]b", "a [red]"]], [False, False]),
    "empty values": (("name", "what"), [["x", ""], ["", ""]], [False, False]),
    "no name of a column": (("", "what"), [["x", "y"]], [False, False]),
    "one column": (("name",), [["x"]], [False]),
    "no row": (("name", "what"), [], [False, False]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_looks_the_same_whoever_draws_it(name: str) -> None:
    assert _plain_table(*TABLES[name]) == _folded_table(*TABLES[name])


def test_values_of_several_lines_are_left_to_rich() -> None:
    assert _plain_table(("name",), [["a\nb"]], [False]) is None
