"""Claims about reading data-ID expressions."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrytool.maintain.expressions import (
    And,
    Arithmetic,
    Comparison,
    ExpressionError,
    Glob,
    In,
    IsNull,
    Literal,
    Name,
    Negative,
    Not,
    Or,
    Range,
    Time,
    TimeRange,
    parse,
)
from registrytool.maintain.timespans import Timespan

DAY_NS = 86_400_000_000_000


def shape(node: Any) -> Any:
    """Return a node without positions, as nested tuples."""
    match node:
        case And() | Or():
            return (type(node).__name__, *map(shape, node.operands))
        case Not() | Negative():
            return (type(node).__name__, shape(node.operand))
        case Comparison() | Arithmetic():
            return (node.operator, shape(node.left), shape(node.right))
        case In():
            return ("not in" if node.negated else "in", shape(node.operand), *map(shape, node.items))
        case IsNull():
            return ("not null" if node.negated else "null", shape(node.operand))
        case Glob():
            return ("glob", shape(node.operand), node.pattern)
        case Range():
            return range(node.start, node.stop + 1, node.stride)
        case Time():
            return ("time", node.tai_ns)
        case TimeRange():
            return node.timespan
        case Name():
            return str(node)
    assert isinstance(node, Literal)
    return (node.value,)


GOOD: dict[str, Any] = {
    "instrument='HSC' AND detector IN (1..5)": (
        "And",
        ("=", "instrument", ("HSC",)),
        ("in", "detector", range(1, 6)),
    ),
    "visit > 10 and band in ('g','r')": ("And", (">", "visit", (10,)), ("in", "band", ("g",), ("r",))),
    "detector NOT IN (1..10:2, -3)": ("not in", "detector", range(1, 11, 2), (-3,)),
    "a = 1 OR b = 2 AND NOT c = 3": ("Or", ("=", "a", (1,)), ("And", ("=", "b", (2,)), ("Not", ("=", "c", (3,))))),
    "(a = 1 OR b = 2) AND c = 3": ("And", ("Or", ("=", "a", (1,)), ("=", "b", (2,))), ("=", "c", (3,))),
    "visit.exposure_time * 2 + 1 > -30.5e0": (
        ">",
        ("+", ("*", "visit.exposure_time", (2,)), (1,)),
        (-30.5,),
    ),
    "-a % 3 != (b)": ("!=", ("%", ("Negative", "a"), (3,)), "b"),
    "exposure.has_simulated": "exposure.has_simulated",
    "NOT has_simulated AND TRUE": ("And", ("Not", "has_simulated"), (True,)),
    "visit.seq_num IS NOT NULL": ("not null", "visit.seq_num"),
    "NULL != a": ("not null", "a"),
    "visit.name = 'O''Brien''s'": ("=", "visit.name", ("O'Brien's",)),
    "GLOB(visit.name, 'a*')": ("glob", "visit.name", "a*"),
    "ingest_date > T'1970-01-02/tai'": (">", "ingest_date", ("time", DAY_NS)),
    "ingest_date > T'1972-01-01 00:00:00/utc'": (">", "ingest_date", ("time", 730 * DAY_NS + 10_000_000_000)),
    "T'mjd/40588.5/tai' <= a": ("<=", ("time", DAY_NS + DAY_NS // 2), "a"),
    "T'jd/2440588.5' <= a": ("<=", ("time", DAY_NS), "a"),
    "T'40588' <= a": ("<=", ("time", DAY_NS), "a"),
    "visit.timespan OVERLAPS (T'1970-01-02/tai', NULL)": ("OVERLAPS", "visit.timespan", Timespan.of(DAY_NS, None)),
    "a IN (+1, NULL, 2.5, +3..4)": ("in", "a", (1,), (None,), (2.5,), range(3, 5)),
    "dataset_id = UUID('01a20557-a443-7fa9-aec6-4c866a7a42bf')": (
        "=",
        "dataset_id",
        (UUID("01a20557-a443-7fa9-aec6-4c866a7a42bf"),),
    ),
    "größe=1": ("=", "größe", (1,)),
}


@pytest.mark.parametrize("text", GOOD)
def test_an_expression_means_what_it_says(text: str) -> None:
    assert shape(parse(text).root) == GOOD[text]


BAD = {
    "": (1, "a name, a value or '(' was expected, and the end found"),
    "  ": (3, "a name, a value or '(' was expected, and the end found"),
    "a =": (4, "a name, a value or '(' was expected, and the end found"),
    "a = 'x": (5, "the string has no end"),
    'a = "x"': (5, "'\"' means nothing here"),
    "a = 1; DROP TABLE dataset": (6, "';' means nothing here"),
    "a IN ()": (7, "a number, a string or a range such as 1..5 was expected, and ')' found"),
    "a IN (1": (8, "',' or ')' was expected, and the end found"),
    "a IN (b)": (7, "a number, a string or a range such as 1..5 was expected, and 'b' found"),
    "a IN 1": (6, "'(' was expected, and '1' found"),
    "a IN (5..1)": (7, "the range ends at 1, before its start 5"),
    "a IN (1..5:0)": (12, "the stride of a range must be 1 or more"),
    "a IN (1.5..2)": (7, "a whole number was expected, and '1.5' found"),
    "a IN (1..2.5)": (10, "a whole number was expected, and '2.5' found"),
    "5": (2, "a comparison, such as detector = 5, was expected, and the end found"),
    "5 AND a = 1": (1, "a comparison, such as detector = 5, was expected, and '5' found"),
    "a = 1 b": (7, "AND, OR or the end was expected, and 'b' found"),
    "(a = 1": (7, "')' was expected, and the end found"),
    "a = 1)": (6, "AND, OR or the end was expected, and ')' found"),
    "1 < a < 3": (7, "AND, OR or the end was expected, and '<' found"),
    "foo(1) = 2": (1, "there is no function foo"),
    "a = :x": (5, "values of the form :name cannot be given here"),
    "a > NULL": (3, "NULL cannot be compared by >"),
    "a IS 5": (6, "NULL or NOT NULL was expected, and '5' found"),
    "T'yesterday' < a": (1, "'yesterday' is not a time"),
    "T'2024-01-01/gps' < a": (1, "'2024-01-01/gps' is not a time: there is no time scale gps"),
    "a = (1, 2)": (5, "a pair in parentheses is a range of time, of two times or NULL"),
    "(a = 1) + 2 > 1": (9, "'+' needs values on both sides, and not a comparison"),
    "a = UUID('7')": (
        10,
        "an identifier such as '01a20557-a443-7fa9-aec6-4c866a7a42bf' was expected, and \"'7'\" found",
    ),
    "T'2024:366:00:00' < T'2023:366'": (21, "'2023:366' is not a time: the year 2023 has no day 366"),
    "T'iso/5.5' < a": (1, "'iso/5.5' is not a time"),
    "glob(a, b)": (9, "a pattern in quotes was expected, and 'b' found"),
    "a = 1\x00": (6, "'\\x00' means nothing here"),
    "a = 'x\x00'": (5, "a string cannot have the sign of number 0"),
    "a = 99999999999999999999": (5, "the number 99999999999999999999 is too large"),
    "a = 1.5.2": (8, "AND, OR or the end was expected, and '.2' found"),
    "a = 1e999": (5, "the number 1e999 is too large"),
}


@pytest.mark.parametrize("text", BAD)
def test_a_malformed_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    position, problem = BAD[text]
    assert (caught.value.position + 1, caught.value.problem) == (position, problem)
    assert str(caught.value).startswith(f"The expression {text!r} is wrong at position {position}: {problem} (")


def test_what_lies_too_deep_is_refused() -> None:
    for text in ("(" * 500 + "a = 1" + ")" * 500, "NOT " * 500 + "a", "a = " + "-" * 500 + "1", "a = 1" + "+1" * 500):
        with pytest.raises(ExpressionError, match="more than 40 levels lie within each other"):
            parse(text)


def test_long_lists_and_chains_are_read() -> None:
    assert len(parse(f"a IN ({','.join(map(str, range(20_000)))})").root.items) == 20_000  # type: ignore[union-attr]
    assert len(parse(" OR ".join(["a = 1"] * 5000)).root.operands) == 5000  # type: ignore[union-attr]


@given(st.text(alphabet="abAB01'\"().,:=<>!+-*/% TNOINS", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        parse(text)


#: Forms of one time, which is a second after midnight in UTC, and 38 seconds after it in TAI.
SAME_TIME = (
    *("2024-05-01 00:00:01", "2024-05-01T00:00:01/utc", "2024-05-01T00:00:38/tai", "iso/2024-05-01 00:01:10.184/tt"),
    *(
        "2024:122:00:00:01",
        "yday/2024:122:00:00:38/TAI",
        "+02024-05-01T00:00:01",
        "unix/1714521601",
        "unix/1714521601./TAI",
    ),
    *("60431.000439814814815", "mjd/60431.000439814814815/tai", "jd/2460431.500011574074074/utc"),
)


@pytest.mark.parametrize("text", SAME_TIME)
def test_dates_are_utc_and_julian_dates_tai_unless_they_say(text: str) -> None:
    # As a fraction of a day, with 15 digits, a second is exact to a nanosecond.
    assert shape(parse(f"a < T'{text}'").root)[2][1] == pytest.approx(1_714_521_638 * 10**9, rel=0, abs=1)


names = st.from_regex(r"[a-z]{1,6}(\.[a-z]{1,6})?", fullmatch=True).filter(
    lambda n: n.upper() not in {"AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE", "GLOB", "UUID", "OVERLAPS"}
)
literals = st.one_of(st.text(max_size=8).filter(lambda s: "\x00" not in s), st.integers(-(2**63) + 1, 2**63 - 1))


def written(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@given(names, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), literals)
def test_every_value_comes_back_as_it_was_written(name: str, sign: str, value: str | int) -> None:
    assert shape(parse(f"{name} {sign} {written(value)}").root) == (sign, name, (value,))


@given(names, st.lists(literals, min_size=1, max_size=9))
def test_every_list_comes_back_as_it_was_written(name: str, values: list[str | int]) -> None:
    text = f"{name} IN ({', '.join(map(written, values))})"
    assert shape(parse(text).root) == ("in", name, *((v,) for v in values))
