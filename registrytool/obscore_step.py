"""Give the ObsCore table another configuration.

The columns follow from the configuration.  What rows have in columns of both stays; new columns get the value that the
configuration has for all datasets, or NULL, until clients or dax_obscore write the row again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.obscore import CONFIG_HELP, CONFIG_OPTION, require_free
from registrytool.structure import DIALECTS

if TYPE_CHECKING:
    from registrytool.step import Step

component = revision = "obscore-config"
down_revision = None

needs = {"obscore": "0.0.1"}
options = {CONFIG_OPTION: CONFIG_HELP}
required_options = (CONFIG_OPTION,)
closed = "clients that are at work write rows for the old columns"

#: Types of which every value can become one of the other: kinds of whole numbers, in the order of their size.
_GROWING = (sa.SmallInteger, sa.Integer, sa.BigInteger)


def upgrade(step: Step) -> None:
    """Turn the table of one configuration into that of the other."""
    before, after = step.before.dynamic.obscore, step.after.dynamic.obscore
    assert after is not None  # noqa: S101 (there is a configuration to turn to)
    target = step.new(str(after["table_name"]))
    if before is None or str(before.get("table_name") or "obscore") != target.name:
        require_free(step, target.name)
    if before is None:
        step.reshape()
        return
    table = step.old(str(before.get("table_name") or "obscore"))
    values = {name: _value(step, table.c.get(name), column, after) for name, column in target.c.items()}
    for column in table.columns:
        fits = _fits(step, column, target.c.get(column.name))
        step.refuse_loss(
            sa.select(*table.primary_key.columns).where(column.is_not(None), sa.not_(fits)),
            f"what {{count}} rows of {table.name} have in {column.name}, such as that of dataset {{first}}",
        )
    if table.name == target.name:
        new = {n: v for n, v in values.items() if n not in table.c or not _same(step, table.c[n], target.c[n])}
        step.reshape(fill={table.name: new})
        return
    step.create_tables()
    step.execute(sa.insert(target).from_select(list(values), sa.select(*values.values()).select_from(table)))
    step.reshape()


def _value(
    step: Step, old: sa.Column[Any] | None, new: sa.Column[Any], config: Mapping[str, Any]
) -> sa.ColumnElement[Any]:
    """Return what a column gets: its old value, the constant of the configuration, or NULL."""
    if old is not None:
        return old if _same(step, old, new) else sa.case((_fits(step, old, new), sa.cast(old, new.type)), else_=None)
    constant = (config.get("extra_columns") or {}).get(new.name)
    if constant is None or isinstance(constant, Mapping):
        return sa.cast(sa.null(), new.type)
    return sa.cast(sa.literal(constant, new.type), new.type)


def _same(step: Step, old: sa.Column[Any], new: sa.Column[Any]) -> bool:
    dialect = DIALECTS[step.dialect]
    return bool(old.type.compile(dialect) == new.type.compile(dialect))


def _fits(step: Step, old: sa.Column[Any], new: sa.Column[Any] | None) -> sa.ColumnElement[bool]:
    """Return whether a value of a column can become one of another column."""
    if new is None:
        return sa.false()
    if _same(step, old, new) or _size(old) <= _size(new):
        return sa.true()
    if isinstance(old.type, sa.String) and isinstance(new.type, sa.String):
        return sa.true() if new.type.length is None else sa.func.length(old).between(1, new.type.length)
    return sa.false()


def _size(column: sa.Column[Any]) -> float:
    """Return the position of a type among whole numbers; not a number, which is never less, for others."""
    return next((i for i, kind in enumerate(_GROWING) if type(column.type) is kind), float("nan"))
