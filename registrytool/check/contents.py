"""Compare the contents of a registry before and after a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.models import CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .rows import TableContent
    from .tried import Passage

_ATTRIBUTES = "butler_attributes"
#: What the runner itself writes: versions, classes and configurations; and digests, at the end of a run.
_BOOKKEEPING = ("version:", "config:registry.managers.", *CONFIGURATIONS.values())
_DIGESTS = "schema_digest:"


def changed_by_up(component: str, up: Passage) -> Iterator[tuple[str, str, str]]:
    """List what a way up loses or changes.

    Parameters
    ----------
    component : `str`
        Component of the step.
    up : `Passage`
        The way up, with rows.

    Yields
    ------
    table, column : `str`
        What a declaration has to name; the column is ``*`` for whole rows.
    what : `str`
        What happened, to follow the name of the step.
    """
    for table, old in up.start.items():
        new = up.end.get(table)
        if table == _ATTRIBUTES:
            before, after = _attributes(component, up.start), _attributes(component, up.end)
            kept = {n: v for n, v in before.items() if not n.startswith(_BOOKKEEPING)}
            if any(after.get(name) != value for name, value in kept.items()):
                yield table, "*", "changes attributes"
        elif new is None:
            if old.rows:
                yield table, "*", f"drops {table} with its rows"
        else:
            yield from _changed_table(table, old, new, up)


def _changed_table(table: str, old: TableContent, new: TableContent, up: Passage) -> Iterator[tuple[str, str, str]]:
    pairs = []
    for column in old.columns:
        name = up.renames.get((table, column), column)
        if name in new.columns:
            pairs.append((column, name))
        elif any(value != (None,) for value in old.of([column])):
            yield table, column, f"drops {table}.{column}, which has values"
    if len(new.rows) != len(old.rows):
        yield table, "*", f"turns {len(old.rows)} rows of {table} into {len(new.rows)}"
        return
    same = [(a, b) for a, b in pairs if old.of([a]) == new.of([b])]
    for a, b in pairs:
        if (a, b) not in same:
            yield table, b, f"changes values of {table}.{b}"
    # Each column by itself may look the same while the rows are mixed up.
    if same and old.of([a for a, _ in same]) != new.of([b for _, b in same]):
        yield table, "*", f"mixes up the rows of {table}"


def not_restored(up: Passage, back: Passage) -> Iterator[tuple[str, str, str]]:
    """List what is not again as it was after the way up and down; see `changed_by_up`."""
    for table, old in up.start.items():
        new = back.end.get(table)
        if table == _ATTRIBUTES or new is None or set(old.columns) != set(new.columns):
            continue  # said by the comparison of structures, and of attributes
        if len(old.rows) != len(new.rows):
            yield table, "*", f"{table} has {len(new.rows)} rows instead of {len(old.rows)}"
            continue
        wrong = [c for c in old.columns if old.of([c]) != new.of([c])]
        for column in wrong:
            yield table, column, f"{table}.{column} has other values"
        same = [c for c in old.columns if c not in wrong]
        if old.of(same) != new.of(same):
            yield table, "*", f"the rows of {table} are mixed up"


def lost_by_down(down: Passage) -> Iterator[tuple[str, str]]:
    """List tables, and what of them that has values a way down does without."""
    for table, old in down.start.items():
        new = down.end.get(table)
        if table == _ATTRIBUTES:
            continue
        if new is None:
            if old.rows:
                yield table, table
            continue
        for column in old.columns:
            name = down.renames.get((table, column), column)
            if name not in new.columns and any(value != (None,) for value in old.of([column])):
                yield table, f"{table}.{column}"
        if len(new.rows) < len(old.rows):
            yield table, f"rows of {table}"


def attribute_traces(
    component: str, before: Mapping[str, TableContent], after: Mapping[str, TableContent]
) -> list[str]:
    """Return the names of attributes that are not as they were."""
    old, new = _attributes(component, before), _attributes(component, after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def different_tables(a: Mapping[str, TableContent], b: Mapping[str, TableContent]) -> list[str]:
    """Return the names of tables that have other rows."""
    return [
        table
        for table in a
        if table in b
        and set(a[table].columns) == set(b[table].columns)
        and a[table].of(a[table].columns) != b[table].of(a[table].columns)
    ]


def _attributes(component: str, content: Mapping[str, TableContent]) -> dict[str, str]:
    rows = content[_ATTRIBUTES].of(["name", "value"]) if _ATTRIBUTES in content else []
    # Digests are brought up to date at the end of a run, but for the step that is about them.
    return {n: v for n, v in rows if component == "attributes" or not str(n).startswith(_DIGESTS)}
