"""Which dimension records are meant: fields with values, and expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .conditions import Scope, condition
from .expressions import parse
from .record_text import parse_assignments
from .record_values import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .session import Session


def record_condition(session: Session, element: str, expression: str) -> sa.ColumnElement[bool]:
    """Return the condition on the table of an element that an expression states.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    expression : `str`
        Such as ``instrument = 'HSC' AND exposure.seq_num > 5``; fields of what the records refer to can stand in it.

    Raises
    ------
    ExpressionError
        The expression is malformed, or a name in it means nothing for this element.
    RegistryStateError
        There is no such element.
    """
    shape, table = Shape.of(session.universe, element), session.table(element)
    parsed = parse(expression)
    inner = table.alias()
    names = dict(zip(shape.element.required, shape.key, strict=True))
    scope = Scope(session, {d: inner.c[c] for d, c in names.items()}, what=f"the element {element!r}")
    wanted = condition(scope, parsed)
    keys = sa.select(*(inner.c[c] for c in shape.key)).select_from(scope.join(inner)).where(wanted)
    columns = [table.c[c] for c in shape.key]
    return columns[0].in_(keys) if len(columns) == 1 else sa.tuple_(*columns).in_(keys)


def selection(
    session: Session, element: str, assignments: Sequence[str] = (), expression: str | None = None
) -> sa.ColumnElement[bool] | None:
    """Return the condition that fields have values, and an expression holds; `None` if there is neither.

    Parameters
    ----------
    session : `Session`
        The registry.
    element : `str`
        The element.
    assignments : `~collections.abc.Sequence` [`str`], optional
        Words such as ``instrument=HSC``.
    expression : `str`, optional
        See `record_condition`.

    Raises
    ------
    ConfigurationError
        A word or the expression is malformed.
    RegistryStateError
        There is no such element or field.
    """
    shape, table = Shape.of(session.universe, element), session.table(element)
    parts: list[sa.ColumnElement[Any]] = []
    if assignments:
        fields = shape.check(parse_assignments(shape, list(assignments)), f"find records of {element}", session.dialect)
        parts += [table.c[n] == v for n, v in shape.to_columns(fields, session.dialect).items()]
    if expression is not None:
        parts.append(record_condition(session, element, expression))
    return sa.and_(*parts) if parts else None
