"""Expressions that choose data IDs, as users of the Butler write them; the parser is pure.

    instrument='HSC' AND detector IN (1..5, 9) AND NOT (band = 'g' OR visit.exposure_time > 30)

    or          := and ("OR" and)*
    and         := not ("AND" not)*
    not         := "NOT" not | predicate
    predicate   := sum (comparison sum | "IN" "(" item, ... ")" | "IS" ["NOT"] "NULL" | "OVERLAPS" sum)?
    sum         := product (("+" | "-") product)*
    product     := unary (("*" | "/" | "%") unary)*
    unary       := ("-" | "+") unary | "(" or ")" | "(" sum "," sum ")" | literal | name | GLOB "(" name, string ")"
                 | UUID "(" string ")"
    item        := [sign] integer [".." [sign] integer [":" integer]] | literal | "NULL" | UUID "(" string ")"

Strings are in single quotes, a quote within is written twice.  Times are ``T'2024-05-01T12:00:00/tai'``; without a
scale dates are UTC and Julian Dates are TAI, as the Butler has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from registrytool.errors import ConfigurationError

from .times import clipped, parse_literal
from .timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ExpressionError(ConfigurationError):
    """An expression is malformed, or uses what the datasets do not have.

    Parameters
    ----------
    text : `str`
        The expression.
    position : `int`
        Where in it, counted from 0.
    problem : `str`
        What is wrong there, a sentence without a full stop.
    hint : `str`, optional
        What would be right.
    """

    def __init__(self, text: str, position: int, problem: str, *, hint: str | None = None) -> None:
        marked = f"{text[:position]}⟨here⟩{text[position:]}"
        super().__init__(
            f"The expression {text!r} is wrong at position {position + 1}: {problem} ({marked}).", hint=hint
        )
        self.text = text
        self.position = position
        self.problem = problem


# -- what an expression is made of ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A dimension, or a field of one: ``visit``, ``visit.exposure_time``, ``visit.timespan.begin``."""

    parts: tuple[str, ...]
    position: int = 0

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value: text, number, truth, identifier of a dataset, or ``None`` for NULL."""

    value: str | int | float | bool | UUID | None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, in TAI nanoseconds."""

    tai_ns: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range of time."""

    timespan: Timespan
    position: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from ``start`` to ``stop``, both included, ``stride`` apart."""

    start: int
    stop: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and one of ``+ - * / %``."""

    operator: str
    left: Node
    right: Node
    position: int = 0


@dataclass(frozen=True, slots=True)
class Negative:
    """A number with the other sign."""

    operand: Node
    position: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and one of ``= != < <= > >= OVERLAPS``."""

    operator: str
    left: Node
    right: Node
    position: int = 0


@dataclass(frozen=True, slots=True)
class In:
    """Membership in a list of values and ranges."""

    operand: Node
    items: tuple[Literal | Time | Range, ...]
    negated: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a value is missing."""

    operand: Node
    negated: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class Glob:
    """Whether text matches a pattern with ``*`` and ``?``."""

    operand: Node
    pattern: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    operand: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of several."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of several."""

    operands: tuple[Node, ...]


Node = Name | Literal | Time | TimeRange | Arithmetic | Negative | Comparison | In | IsNull | Glob | Not | And | Or
#: Nodes that are true or false.
PREDICATES = (Comparison, In, IsNull, Glob, Not, And, Or)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    text : `str`
        As it was written.
    root : `Node`
        What it says.
    """

    text: str
    root: Node

    @property
    def names(self) -> tuple[Name, ...]:
        """All names in it, in the order in which they are written."""
        return tuple(sorted(_names(self.root), key=lambda name: name.position))


def _names(node: Node) -> Iterator[Name]:
    if isinstance(node, Name):
        yield node
    if isinstance(node, And | Or):
        for operand in node.operands:
            yield from _names(operand)
    for part in ("left", "right", "operand"):
        if hasattr(node, part):
            yield from _names(getattr(node, part))


# -- reading ----------------------------------------------------------------------

_TOKENS = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<time>[Tt]'(?:[^'])*')
  | (?P<string>'(?:[^']|'')*')
  | (?P<number>(?:\d+\.(?!\.)\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
  | (?P<sign>\.\.|!=|<>|<=|>=|==|[=<>(),:+\-*/%])
    """,
    re.VERBOSE,
)
_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS = ("AND", "OR", "NOT", "IN", "IS", "NULL", "OVERLAPS", "TRUE", "FALSE")
#: How many levels of parentheses and signs may lie within each other.
_MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def word(self) -> str:
        """The reserved word that it is, in capitals, or nothing."""
        upper = self.text.upper()
        return upper if self.kind == "name" and upper in _WORDS else ""

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text) if "'" in self.text else f"'{self.text}'"


def parse(text: str) -> Expression:
    """Parse an expression that chooses data IDs.

    Parameters
    ----------
    text : `str`
        The expression.

    Returns
    -------
    expression : `Expression`
        What it says; which names there are is not looked at.

    Raises
    ------
    ExpressionError
        It is malformed; the message has the position, what was found there and what was expected.
    """
    parser = _Parser(text)
    root = parser.predicate()
    if parser.token.kind != "end":
        raise parser.expected("AND, OR or the end")
    return Expression(text, root)


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._split())
        self.index = 0
        self.depth = 0

    def _split(self) -> Iterator[_Token]:
        position = 0
        while position < len(self.text):
            match = _TOKENS.match(self.text, position)
            if match is None:
                sign = self.text[position]
                problem = f"{sign!r} means nothing here"
                hint = None
                if sign == "'":
                    problem, hint = "the string has no end", "A quote within a string is written twice: 'O''Brien'."
                elif sign == '"':
                    hint = "Strings are in single quotes."
                raise ExpressionError(self.text, position, problem, hint=hint)
            if match.lastgroup != "space":
                yield _Token(str(match.lastgroup), match[0], position)
            position = match.end()
        yield _Token("end", "", len(self.text))

    @property
    def token(self) -> _Token:
        """The token to be read next."""
        return self.tokens[self.index]

    def expected(self, expected: str, token: _Token | None = None, *, hint: str | None = None) -> ExpressionError:
        """Return the error that something else was expected."""
        token = token or self.token
        return ExpressionError(self.text, token.position, f"{expected} was expected, and {token} found", hint=hint)

    def take(self) -> _Token:
        token = self.token
        self.index += token.kind != "end"
        return token

    def sign(self, *signs: str) -> bool:
        """Read a sign, if it comes next."""
        found = self.token.kind == "sign" and self.token.text in signs
        self.index += found
        return found

    def word(self, word: str) -> bool:
        """Read a reserved word, if it comes next."""
        found = self.token.word == word
        self.index += found
        return found

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.expected(f"'{sign}'")

    # -- true or false

    def predicate(self) -> Node:
        """Read what is true or false."""
        start = self.token
        return self._true_or_false(self._or(), start)

    def _or(self) -> Node:
        return self._several("OR", Or, self._and)

    def _and(self) -> Node:
        return self._several("AND", And, self._not)

    def _several(self, word: str, kind: type[And | Or], read: Callable[[], Node]) -> Node:
        start = self.token
        node = read()
        if self.token.word != word:
            return node
        operands = [self._true_or_false(node, start)]
        while self.word(word):
            start = self.token
            operands.append(self._true_or_false(read(), start))
        return kind(tuple(operands))

    def _not(self) -> Node:
        if self.word("NOT"):
            self._deeper()
            after = self.token
            node = Not(self._true_or_false(self._not(), after))
            self.depth -= 1
            return node
        return self._predicate()

    def _true_or_false(self, node: Node, start: _Token) -> Node:
        """Check that what was read is true or false, and not a value."""
        if isinstance(node, (*PREDICATES, Name)) or (isinstance(node, Literal) and isinstance(node.value, bool)):
            return node
        found = self.token if self.token.kind == "end" else start
        raise self.expected("a comparison, such as detector = 5,", found)

    def _predicate(self) -> Node:
        left = self._sum()
        token = self.token
        if token.kind == "sign" and token.text in _COMPARISONS:
            self.take()
            right = self._value(self._sum(), token)
            self._value(left, token)
            return self._compare(_COMPARISONS[token.text], left, right, token)
        if self.word("OVERLAPS"):
            return Comparison("OVERLAPS", self._value(left, token), self._value(self._sum(), token), token.position)
        if self.word("IS"):
            negated = self.word("NOT")
            if not self.word("NULL"):
                raise self.expected("NULL" if negated else "NULL or NOT NULL")
            return IsNull(self._value(left, token), negated, token.position)
        negated = token.word == "NOT" and self.tokens[self.index + 1].word == "IN"
        if negated:
            self.take()
        if self.word("IN"):
            self._value(left, token)
            self.expect("(")
            items = [self._item()]
            while self.sign(","):
                items.append(self._item())
            if not self.sign(")"):
                raise self.expected("',' or ')'")
            return In(left, tuple(items), negated, token.position)
        return left

    def _compare(self, operator: str, left: Node, right: Node, token: _Token) -> Node:
        # visit.seq_num = NULL is how the Butler has written IS NULL for long.
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Literal) and one.value is None:
                if operator not in ("=", "!="):
                    raise ExpressionError(
                        self.text, token.position, f"NULL cannot be compared by {operator}", hint="Write IS NULL."
                    )
                return IsNull(other, operator == "!=", token.position)
        if self.token.kind == "sign" and self.token.text in _COMPARISONS:
            raise self.expected("AND, OR or the end", hint="A comparison has two sides: write a < b AND b < c.")
        return Comparison(operator, left, right, token.position)

    def _value(self, node: Node, token: _Token) -> Node:
        if isinstance(node, PREDICATES):
            raise ExpressionError(
                self.text, token.position, f"{token} needs values on both sides, and not a comparison"
            )
        return node

    # -- values

    def _sum(self) -> Node:
        return self._arithmetic("+-", self._product)

    def _product(self) -> Node:
        return self._arithmetic("*/%", self._unary)

    def _arithmetic(self, signs: str, read: Callable[[], Node]) -> Node:
        node = read()
        before = self.depth
        while self.token.kind == "sign" and self.token.text in signs:
            token = self.take()
            self._deeper()
            node = Arithmetic(token.text, self._value(node, token), self._value(read(), token), token.position)
        self.depth = before
        return node

    def _unary(self) -> Node:
        token = self.token
        if self.sign("+", "-"):
            self._deeper()
            operand = self._value(self._unary(), token)
            self.depth -= 1
            if isinstance(operand, Literal) and isinstance(operand.value, (int, float)):
                return Literal(-operand.value if token.text == "-" else operand.value, token.position)
            return Negative(operand, token.position) if token.text == "-" else operand
        if self.sign("("):
            return self._parentheses(token)
        return self._primary(self.take())

    def _parentheses(self, start: _Token) -> Node:
        self._deeper()
        node = self._or()
        if self.sign(","):
            other = self._or()
            self.expect(")")
            self.depth -= 1
            bounds: list[int | None] = []
            for bound in (node, other):
                if isinstance(bound, Time):
                    bounds.append(bound.tai_ns)
                elif isinstance(bound, Literal) and bound.value is None:
                    bounds.append(None)
                else:
                    problem = "a pair in parentheses is a range of time, of two times or NULL"
                    raise ExpressionError(
                        self.text, start.position, problem, hint="Such as (T'2024-05-01', T'2024-05-02')."
                    )
            return TimeRange(Timespan.of(*bounds), start.position)
        if not self.sign(")"):
            raise self.expected("')'")
        self.depth -= 1
        return node

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpressionError(
                self.text, self.token.position, f"more than {_MAX_DEPTH} levels lie within each other"
            )

    def _primary(self, token: _Token) -> Node:
        if token.kind == "number":
            return Literal(self._number(token), token.position)
        if token.kind == "string":
            return Literal(self._text(token), token.position)
        if token.kind == "time":
            return self._time(token)
        if token.word in ("NULL", "TRUE", "FALSE"):
            return Literal({"NULL": None, "TRUE": True, "FALSE": False}[token.word], token.position)
        if token.kind == "name" and not token.word:
            if self.token.kind == "sign" and self.token.text == "(":
                return self._function(token)
            return Name(tuple(token.text.split(".")), token.position)
        if token.kind == "sign" and token.text == ":":
            raise ExpressionError(
                self.text, token.position, "values of the form :name cannot be given here", hint="Write the value."
            )
        raise self.expected("a name, a value or '('", token)

    def _function(self, token: _Token) -> Node:
        match token.text.upper():
            case "GLOB":
                return self._glob(token)
            case "UUID":
                return self._uuid(token)
        problem = f"there is no function {token.text}"
        hint = "There are GLOB(name, 'pattern*') and UUID('identifier')."
        raise ExpressionError(self.text, token.position, problem, hint=hint)

    def _uuid(self, token: _Token) -> Literal:
        self.expect("(")
        written = self.take()
        self.expect(")")
        try:
            return Literal(UUID(self._text(written)), token.position)
        except ValueError:
            raise self.expected("an identifier such as '01a20557-a443-7fa9-aec6-4c866a7a42bf'", written) from None

    def _glob(self, token: _Token) -> Node:
        self.expect("(")
        operand = self._value(self._sum(), token)
        self.expect(",")
        pattern = self.take()
        if pattern.kind != "string":
            raise self.expected("a pattern in quotes", pattern)
        self.expect(")")
        return Glob(operand, self._text(pattern), token.position)

    def _item(self) -> Literal | Time | Range:
        token = self.token
        if token.kind in ("string", "time"):
            found = self._primary(self.take())
            assert isinstance(found, Literal | Time)  # noqa: S101 (strings and times are nothing else)
            return found
        if self.word("NULL"):
            return Literal(None, token.position)
        if token.text.upper() == "UUID":
            return self._uuid(self.take())
        start = self._signed()
        if not self.sign(".."):
            return Literal(start, token.position)
        stop, stride = self._whole(), 1
        if self.sign(":"):
            after = self.token
            stride = self._whole()
            if stride < 1:
                raise ExpressionError(self.text, after.position, "the stride of a range must be 1 or more")
        if not isinstance(start, int):
            raise self.expected("a whole number", token)
        if stop < start:
            problem = f"the range ends at {stop}, before its start {start}"
            raise ExpressionError(self.text, token.position, problem)
        return Range(start, stop, stride)

    def _signed(self) -> int | float:
        token = self.token
        negative = token.text == "-"
        self.sign("-", "+")
        token = self.take()
        if token.kind != "number":
            raise self.expected("a number, a string or a range such as 1..5", token)
        value = self._number(token)
        return -value if negative else value

    def _whole(self) -> int:
        token = self.token
        value = self._signed()
        if not isinstance(value, int):
            raise self.expected("a whole number", token)
        return value

    def _time(self, token: _Token) -> Time:
        written = token.text[2:-1].strip()
        try:
            return Time(clipped(parse_literal(written)), token.position)
        except ConfigurationError as error:
            hint = "Such as T'2024-05-01', T'2024-05-01 12:00:00/tai', T'60431.5' or T'mjd/60431.5/utc'."
            raise ExpressionError(self.text, token.position, error.message.rstrip("."), hint=hint) from None

    def _number(self, token: _Token) -> int | float:
        value = int(token.text) if token.text.isdecimal() and len(token.text) < 20 else float(token.text)
        # What no column can hold, a driver could not send either.
        if (value > 2**63 - 1 and token.text.isdecimal()) or value == float("inf"):
            raise ExpressionError(self.text, token.position, f"the number {token.text} is too large")
        return value

    def _text(self, token: _Token) -> str:
        if "\x00" in token.text:
            raise ExpressionError(self.text, token.position, "a string cannot have the sign of number 0")
        return token.text[1:-1].replace("''", "'")
