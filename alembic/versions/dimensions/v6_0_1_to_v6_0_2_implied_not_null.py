"""Forbid implied dimensions to be NULL.

Columns of implied dimensions become NOT NULL, those of dimensions without a table included.  Visits without a filter
get the one that the user names.  Going back permits NULL again and changes no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.universe import Universe

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "dimensions", "StaticDimensionRecordStorageManager", "6.0.2"

revision = "035dcf13ef18"
down_revision = "1601d5973bf8"
branch_labels = None
depends_on = None

closed = "exposures and visits cannot be read while their columns are searched for NULL"

OPTION = "null_filter_value"
options = {OPTION: "Physical filter of visits that have none"}


def upgrade(step: Step) -> None:
    value = step.option(OPTION)
    for element in Universe(step.before.universe):
        if not element.has_table:
            continue
        table = step.old(element.name)
        if element.name == "visit" and "physical_filter" in element.implied and value is not None:
            known = step.old("physical_filter")
            unknown = ~sa.exists().where(known.c.instrument == table.c.instrument, known.c.name == value)
            without = table.c.physical_filter.is_(None)
            step.refuse_if(
                sa.select(*table.primary_key.columns).where(without, unknown),
                "{count} visits without a filter are of an instrument that does not have the one named, "
                "the first one is ({first}).",
                f"Name a filter of the instrument with --set {OPTION}=FILTER.",
            )
            step.execute(sa.update(table).where(without).values(physical_filter=value))
        for name in element.implied:
            hint = (
                f"Name the filter of such visits with --set {OPTION}=FILTER."
                if ((element.name, name) == ("visit", "physical_filter"))
                else f"Set {element.name}.{name} of these records and run the same command again."
            )
            step.refuse_if(
                sa.select(*table.primary_key.columns).where(table.c[name].is_(None)),
                f"{{count}} records of {element.name} have no {name}, the first one is ({{first}}).",
                hint,
            )
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
