"""Turn expressions that choose data IDs into SQL: conditions, and joins of the tables of dimensions they need.

Values are always bound, never part of the text.  Names are looked up in the universe of the registry, and types are
compared before the database sees them, since SQLite would compare a text with a number and find nothing.
"""

from __future__ import annotations

import datetime
import operator
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from . import expressions as ex
from . import timespans
from .expressions import ExpressionError
from .times import tai_to_utc_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registrytool.universe import Element, Universe

    from .session import Session

_KINDS = {
    "int": "number",
    "float": "number",
    "string": "text",
    "bool": "truth",
    "hash": "hash",
    "region": "region",
    "datetime": "time",
    "uuid": "uuid",
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALCULATE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / sa.func.nullif(b, 0),
    "%": lambda a, b: a % sa.func.nullif(b, 0),
}


@dataclass(frozen=True, slots=True)
class Operand:
    """A value in SQL.

    Attributes
    ----------
    sql : `sqlalchemy.ColumnElement` or `sqlalchemy.FromClause`
        The value; of a range of time, the table that has it.
    kind : `str`
        ``number``, ``text``, ``truth``, ``time``, ``timespan``, ``hash``, ``region`` or ``uuid``.
    real : `bool`
        Whether a number can be other than whole.
    """

    sql: Any
    kind: str
    real: bool = False


class Scope:
    """What names mean where some dimensions have values.

    Parameters
    ----------
    session : `Session`
        The open registry.
    columns : `~collections.abc.Mapping` [`str`, `sqlalchemy.ColumnElement`]
        Columns with the values of the required dimensions.
    fields : `~collections.abc.Mapping` [`str`, `Operand`], optional
        Other names, such as ``ingest_date``.
    owner : `str`, optional
        What has these, and can be named before them: the dataset type, as in ``raw.ingest_date``.
    what : `str`, optional
        What has these dimensions, for messages.

    Attributes
    ----------
    used : `set` [`str`]
        Names of ``fields`` that were asked for.
    joins : `dict` [`str`, `sqlalchemy.FromClause`]
        Tables of dimensions that the names need, in the order in which they must be joined.
    """

    def __init__(
        self,
        session: Session,
        columns: Mapping[str, sa.ColumnElement[Any]],
        fields: Mapping[str, Operand] | None = None,
        *,
        owner: str = "",
        what: str = "what is searched",
    ) -> None:
        self.session = session
        self.universe = session.universe
        self.columns = dict(columns)
        self.fields = dict(fields or {})
        self.owner = owner
        self.used: set[str] = set()
        self.what = what
        self.elements = reachable(self.universe, columns)
        self.joins: dict[str, tuple[sa.FromClause, sa.ColumnElement[bool]]] = {}

    # -- tables

    def join(self, source: Any) -> Any:
        """Return a FROM clause with the tables that were needed so far."""
        for table, condition in self.joins.values():
            source = source.join(table, condition)
        return source

    def _table(self, element: Element) -> sa.FromClause:
        if element.name not in self.joins:
            table = self.session.table(element.name).alias()
            pairs = [(table.c[name], self.dimension(name)) for name in element.required if name != element.name]
            if element.is_dimension:
                pairs.append((table.c[element.key.name], self.dimension(element.name)))
            self.joins[element.name] = (table, sa.and_(*(a == b for a, b in pairs)))
        return self.joins[element.name][0]

    # -- names

    def dimension(self, name: str) -> sa.ColumnElement[Any]:
        """Return the value of a dimension that is reachable."""
        if name not in self.columns:
            owner = next(e for e in self.elements.values() if name in e.implied)
            self.columns[name] = self._table(owner).c[name]
        return self.columns[name]

    def find(self, parts: Sequence[str]) -> Operand | None:
        """Return what a name means, `None` if nothing."""
        first, rest = parts[0], tuple(parts[1:])
        if self._has(first):
            return Operand(self.dimension(first), self._kind(first)) if not rest else self._field(first, rest)
        if first in self.elements:
            return self._field(first, rest) if rest else None
        if first == self.owner and rest:
            return self._own(rest)
        if first in self.universe and self.universe[first].is_dimension:
            # Instruments have a field visit_system, too.
            return None
        # A field can do without the name of what has it where there is one such field.
        found = [name for name in self.elements if first in _fields(self.elements[name])]
        if first in self.fields:
            return self._own(tuple(parts)) if not found else None
        return self._field(found[0], tuple(parts)) if len(found) == 1 else None

    def _own(self, parts: tuple[str, ...]) -> Operand | None:
        """Return what the name of a field means that is not of a dimension."""
        found = self.fields.get(parts[0])
        if found is None or len(parts) > 2:
            return None
        self.used.add(parts[0])
        if len(parts) == 1:
            return found
        return _bound(found.sql, parts[1]) if found.kind == "timespan" else None

    def _has(self, name: str) -> bool:
        return name in self.columns or any(name in e.implied for e in self.elements.values())

    def _kind(self, dimension: str) -> str:
        return _KINDS[self.universe[dimension].key.type] if dimension in self.universe else "number"

    def _field(self, name: str, rest: tuple[str, ...]) -> Operand | None:
        element = self.elements.get(name)
        field = rest[0]
        if element is None or (field != "timespan" and len(rest) > 1):
            return None
        if element.is_dimension and field == element.key.name:
            return Operand(self.dimension(name), self._kind(name))
        if field == "timespan":
            return self._timespan(element, rest[1:]) if element.temporal else None
        if not element.has_table:
            return None
        if field in (*element.required[:-1], *element.implied):
            return Operand(self._table(element).c[field], self._kind(field))
        found = next((f for f in (*element.keys[1:], *element.metadata) if f.name == field), None)
        if found is None:
            return None
        return Operand(self._table(element).c[field], _KINDS[found.type], real=found.type == "float")

    def _timespan(self, element: Element, rest: tuple[str, ...]) -> Operand | None:
        table = self._table(element)
        if not rest:
            return Operand(table, "timespan")
        return _bound(table, rest[0]) if len(rest) == 1 else None

    def known(self) -> list[str]:
        """Return the names of all dimensions that can be used."""
        names = {*self.columns, *(i for e in self.elements.values() for i in e.implied)}
        return list(self.universe.sorted([n for n in names if self.universe.is_known(n)]))


def _bound(span: sa.FromClause | timespans.Timespan, name: str) -> Operand | None:
    """Return the begin or the end of a range of time."""
    bounds = {"begin": timespans.begin, "end": timespans.end}
    if name not in bounds:
        return None
    if isinstance(span, timespans.Timespan):
        return Operand(sa.literal(span.begin_ns if name == "begin" else span.end_ns, sa.BigInteger()), "time")
    return Operand(bounds[name](span), "time")


def _fields(element: Element) -> set[str]:
    fields = {f.name for f in (*element.keys, *element.metadata)}
    return fields | {"timespan"} if element.temporal else fields


def reachable(universe: Universe, dimensions: Iterable[str]) -> dict[str, Element]:
    """Return the elements of which there is one for each data ID of some dimensions.

    Parameters
    ----------
    universe : `Universe`
        The universe.
    dimensions : iterable of `str`
        Required dimensions of the data IDs.
    """
    names = {n for n in dimensions if n in universe}
    while True:
        more = {i for n in names for i in universe[n].implied} - names
        if not more:
            break
        names |= more
    found = {n: universe[n] for n in universe.sorted(list(names))}
    others = [e for e in universe if not e.is_dimension and e.has_table and set(e.required) <= names]
    return found | {e.name: e for e in others}


def condition(scope: Scope, expression: ex.Expression) -> sa.ColumnElement[bool]:
    """Turn an expression into a condition.

    Parameters
    ----------
    scope : `Scope`
        What names mean; the tables that they need are added to its ``joins``.
    expression : `Expression`
        The expression.

    Returns
    -------
    condition : `sqlalchemy.ColumnElement`
        The condition.

    Raises
    ------
    ExpressionError
        A name means nothing here, or values of different kinds are compared.
    """
    return _Compiler(scope, expression.text).truth(expression.root)


class _Compiler:
    def __init__(self, scope: Scope, text: str) -> None:
        self.scope = scope
        self.text = text

    def wrong(self, node: ex.Node, problem: str, hint: str | None = None) -> ExpressionError:
        return ExpressionError(self.text, getattr(node, "position", 0), problem, hint=hint)

    # -- conditions

    def truth(self, node: ex.Node) -> sa.ColumnElement[bool]:
        match node:
            case ex.And():
                return sa.and_(*map(self.truth, node.operands))
            case ex.Or():
                return sa.or_(*map(self.truth, node.operands))
            case ex.Not():
                return sa.not_(self.truth(node.operand))
            case ex.In():
                return self._in(node)
            case ex.IsNull():
                found = self.value(node.operand)
                if isinstance(found.sql, timespans.Timespan):
                    return sa.true() if node.negated else sa.false()
                sql = timespans.columns(found.sql)[0] if found.kind == "timespan" else found.sql
                return sql.is_not(None) if node.negated else sql.is_(None)
            case ex.Glob():
                return self._glob(node)
            case ex.Comparison():
                return self._overlaps(node) if node.operator == "OVERLAPS" else self._comparison(node)
        found = self.value(node)
        if found.kind != "truth":
            raise self.wrong(node, f"{_shown(node)} is a {found.kind}, and neither true nor false")
        return found.sql  # type: ignore[no-any-return]

    def _comparison(self, node: ex.Comparison) -> sa.ColumnElement[bool]:
        left, right = self._alike(node, node.left, node.right)
        if left.kind in ("truth", "region", "hash") and node.operator not in ("=", "!="):
            raise self.wrong(node, f"values of the kind {left.kind} cannot be compared by {node.operator}")
        if left.kind == "timespan":
            raise self.wrong(node, f"ranges of time cannot be compared by {node.operator}", "Use OVERLAPS.")
        return _COMPARE[node.operator](left.sql, right.sql)  # type: ignore[no-any-return]

    def _in(self, node: ex.In) -> sa.ColumnElement[bool]:
        found = self.value(node.operand)
        values, parts = [], []
        for item in node.items:
            if isinstance(item, ex.Range):
                self._require_whole(node.operand, found, "ranges are made of")
                inside = found.sql.between(item.start, item.stop)
                if item.stride > 1:
                    inside = sa.and_(inside, (found.sql - item.start) % item.stride == 0)
                parts.append(inside)
            elif isinstance(item, ex.Literal) and item.value is None:
                parts.append(found.sql.is_(None))
            else:
                kind = "time" if isinstance(item, ex.Time) else _kind_of(item.value)
                if kind != found.kind:
                    raise self._unlike(item, found, kind, node.operand)
                values.append(self._time(found.sql, item.tai_ns) if isinstance(item, ex.Time) else item.value)
        if values:
            parts.append(found.sql.in_(values))
        wanted = sa.or_(*parts)
        return sa.not_(wanted) if node.negated else wanted

    def _glob(self, node: ex.Glob) -> sa.ColumnElement[bool]:
        found = self.value(node.operand)
        self._require(node.operand, found, "text")
        if self.scope.session.dialect == "sqlite":
            # LIKE of SQLite does not tell a from A.
            return found.sql.op("GLOB", is_comparison=True)(node.pattern.replace("[", "[[]"))  # type: ignore[no-any-return]
        escaped = node.pattern.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        return found.sql.like(escaped.replace("*", "%").replace("?", "_"), escape="!")  # type: ignore[no-any-return]

    def _overlaps(self, node: ex.Comparison) -> sa.ColumnElement[bool]:
        sides: list[Any] = []
        for side in (node.left, node.right):
            if isinstance(side, ex.TimeRange):
                sides.append(side.timespan)
            elif isinstance(side, ex.Time):
                sides.append(timespans.Timespan(side.tai_ns, side.tai_ns + 1))
            else:
                found = self.value(side)
                if found.kind != "timespan":
                    hint = "Such as visit.timespan OVERLAPS (T'2024-05-01', T'2024-05-02')."
                    raise self.wrong(side, f"{_shown(side)} is not a range of time", hint)
                sides.append(found.sql)
        left, right = sides
        if isinstance(left, timespans.Timespan):
            left, right = right, left
        if isinstance(left, timespans.Timespan):
            return sa.true() if left.overlaps(right) else sa.false()
        if isinstance(right, timespans.Timespan):
            return timespans.overlaps(left, right)
        return timespans.overlap(left, right)

    # -- values

    def value(self, node: ex.Node) -> Operand:
        match node:
            case ex.Name():
                return self._name(node)
            case ex.Literal():
                if isinstance(node.value, bool):
                    return Operand(sa.true() if node.value else sa.false(), "truth")
                return Operand(sa.literal(node.value), _kind_of(node.value), real=isinstance(node.value, float))
            case ex.Time():
                return Operand(sa.literal(node.tai_ns, sa.BigInteger()), "time")
            case ex.Negative():
                found = self.value(node.operand)
                self._require(node.operand, found, "number")
                return Operand(-found.sql, "number", real=found.real)
            case ex.Arithmetic():
                left, right = self.value(node.left), self.value(node.right)
                self._require(node.left, left, "number")
                self._require(node.right, right, "number")
                if node.operator == "%":
                    self._require_whole(node.left, left, "% is for")
                    self._require_whole(node.right, right, "% is for")
                real = left.real or right.real or node.operator == "/"
                return Operand(_CALCULATE[node.operator](left.sql, right.sql), "number", real=real)
            case ex.TimeRange():
                raise self.wrong(node, "a range of time can be compared by OVERLAPS only")
        raise self.wrong(node, "a value was expected, and a comparison found")

    def _name(self, node: ex.Name) -> Operand:
        found = self.scope.find(node.parts)
        if found is None:
            from .collections import suggestion

            names = self.scope.known()
            near = suggestion(str(node), [*names, *self._all_fields()], "")
            hint = near if near.startswith("Did") else f"Its dimensions are: {', '.join(names) or 'none'}."
            raise self.wrong(node, f"{self.scope.what} has no {node}", hint)
        if found.kind == "time" and isinstance(found.sql.type, sa.DateTime):
            return Operand(found.sql, "time")
        return found

    def _all_fields(self) -> list[str]:
        return [f"{e.name}.{f}" for e in self.scope.elements.values() for f in sorted(_fields(e))]

    def _alike(self, node: ex.Node, one: ex.Node, other: ex.Node) -> tuple[Operand, Operand]:
        left, right = self.value(one), self.value(other)
        if left.kind != right.kind:
            raise self._unlike(node, left, right.kind, one)
        if left.kind == "time":
            # Old registries keep the time of ingest as a timestamp.
            for side, against in ((one, right), (other, left)):
                if isinstance(side, ex.Time) and isinstance(against.sql.type, sa.DateTime):
                    moment = Operand(self._time(against.sql, side.tai_ns), "time")
                    left, right = (moment, right) if side is one else (left, moment)
        return left, right

    def _unlike(self, node: ex.Node, found: Operand, kind: str, operand: ex.Node) -> ExpressionError:
        return self.wrong(node, f"{_shown(operand)} is a {found.kind}, and cannot be compared with a {kind}")

    @staticmethod
    def _time(column: Any, tai_ns: int) -> Any:
        if isinstance(column.type, sa.DateTime):
            epoch = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 (the column has no zone)
            moment = epoch + datetime.timedelta(microseconds=tai_to_utc_ns(tai_ns) // 1000)
            return sa.literal(moment, column.type)
        return tai_ns

    def _require(self, node: ex.Node, found: Operand, kind: str) -> None:
        if found.kind != kind:
            raise self.wrong(node, f"{_shown(node)} is a {found.kind}, and a {kind} is needed")

    def _require_whole(self, node: ex.Node, found: Operand, what: str) -> None:
        """Refuse reals where databases differ: SQLite would cut them, and PostgreSQL has no such operator."""
        self._require(node, found, "number")
        if found.real:
            hint = "Compare it by <= and >=."
            raise self.wrong(node, f"{_shown(node)} is not a whole number, which {what}", hint)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, uuid.UUID):
        return "uuid"
    return "text" if isinstance(value, str) else "number"


def _shown(node: ex.Node) -> str:
    if isinstance(node, ex.Literal):
        return repr(node.value)
    return str(node) if isinstance(node, ex.Name) else "this"
