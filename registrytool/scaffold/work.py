"""What differs between two versions, and what a step between them has to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registrytool.naming import shrink
from registrytool.structure import Column, Structure, Table, differences

from .marks import DIALECTS, DYNAMIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.models import Difference


@dataclass
class Way:
    """What one direction of a step has to do besides what follows from the structures."""

    decisions: list[str] = field(default_factory=list)
    fill: dict[str, dict[str, str]] = field(default_factory=dict)
    renames: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: list[tuple[str, tuple[str, ...], str, str]] = field(default_factory=list)  # table, keys, column, why
    lost: list[tuple[str, tuple[str, ...], str | None]] = field(default_factory=list)  # table, keys, column
    converted: list[tuple[str, str]] = field(default_factory=list)
    added: list[tuple[str, Table, Column]] = field(default_factory=list)


@dataclass
class Work:
    """What differs between two versions."""

    operations: list[str]
    up: Way
    down: Way

    @property
    def summary(self) -> str:
        """A message for who gives none."""
        return _work_summary(self.operations)


def _work_summary(operations: Sequence[str]) -> str:
    firsts = [o for o in operations if re.match(r"(new table|drop table|[\w*]+: (add|drop) column)", o)]
    if not operations:
        return "Change the configuration alone"
    if len(firsts) == 1 and (match := re.match(r"([\w*]+): (add|drop) column (\w+)", firsts[0])):
        return f"{match[2].capitalize()} {match[1].replace('*', 'N')}.{match[3]}"
    if len(firsts) == 1 and (match := re.match(r"(new|drop) table (\w+)", firsts[0])):
        return f"{'Add' if match[1] == 'new' else 'Drop'} the table {match[2]}"
    tables = list(dict.fromkeys(re.findall(r"^(?:new table |drop table )?(\w+)", "\n".join(operations), re.MULTILINE)))
    return f"Change {', '.join(tables[:3])}{' and other tables' if len(tables) > 3 else ''}"


def operations_between(old: Mapping[str, Structure], new: Mapping[str, Structure]) -> Iterator[str]:
    """List the operations, those that both databases share once."""
    listed: dict[tuple[str, ...], dict[str, str]] = {}
    for dialect in DIALECTS:
        for d in differences(old[dialect], new[dialect]):
            if d.kind == "comment" or d.aspect == "comment":
                continue
            key = (d.table, d.kind, shrink(d.name, "postgresql"), d.aspect)
            listed.setdefault(key, {})[dialect] = _operation(d)
    for texts in listed.values():
        sqlite, postgresql = texts.get("sqlite"), texts.get("postgresql")
        if sqlite is not None and postgresql is not None:
            different = (
                "" if sqlite == postgresql else f"; on PostgreSQL: {postgresql.partition(': ')[2] or postgresql}"
            )
            yield f"{sqlite}{different}"
        else:
            yield f"{sqlite or postgresql} ({'SQLite' if sqlite else 'PostgreSQL'} only)"


def _operation(d: Difference) -> str:
    """Say what leads from the first structure to the second."""
    table = DYNAMIC.get(d.table, d.table)
    where = f"{table}: " if table and d.kind != "table" else ""
    name = d.name.replace("00000001", "*")
    if d.aspect == "unexpected":
        return f"new table {name}" if d.kind == "table" else f"{where}add {d.kind} {name}, {d.found}"
    if d.aspect == "missing":
        return f"drop table {name}" if d.kind == "table" else f"{where}drop {d.kind} {name}"
    change = {("nullable", False): "becomes NOT NULL", ("nullable", True): "may be NULL"}.get((d.aspect, d.found))
    return f"{where}{d.kind} {name} {change or f'{d.aspect} {d.expected} becomes {d.found}'}"


def way_between(old: Mapping[str, Structure], new: Mapping[str, Structure]) -> Way:
    """Find what has to be decided or refused on the way from one structure to another."""
    way = Way()
    before, after = old["sqlite"].tables, new["sqlite"].tables
    for name in before:
        if name not in after:
            way.lost.append((name, before[name].primary_key, None))
    for name, want in after.items():
        if name in before:
            _columns_on_the_way(way, before[name], want)
            _keys_on_the_way(way, before[name], want, {n for n in after if n not in before})
    return way


def _columns_on_the_way(way: Way, have: Table, want: Table) -> None:
    name = DYNAMIC.get(want.name, want.name)
    added = {n: c for n, c in want.columns.items() if n not in have.columns}
    dropped = {n: c for n, c in have.columns.items() if n not in want.columns}
    for column in added.values():
        way.added.append((want.name, want, column))
        like = next((n for n, c in dropped.items() if c.type == column.type), None)
        if like is not None:
            del dropped[like]
            way.renames.setdefault(want.name, {})[like] = column.name
            way.decisions.append(
                f"{name}.{like} goes and {name}.{column.name} of the same type comes: take it out of renames "
                "if that is not the same column with another name"
            )
        elif not column.nullable and column.default is None:
            way.fill.setdefault(want.name, {})[column.name] = "sa.null()"
            way.decisions.append(
                f"what {name}.{column.name} is for rows that are there: it cannot be NULL and has no default"
            )
    way.lost.extend((want.name, have.primary_key, column) for column in dropped)
    for column in want.columns.values():
        present = have.columns.get(column.name)
        if present is None:
            continue
        if present.nullable and not column.nullable:
            why = f"{{count}} records of {name} have no {column.name}, the first one is ({{first}})."
            way.refusals.append((want.name, have.primary_key, column.name, why))
        if present.type != column.type:
            _type_on_the_way(way, name, want, have.primary_key, (present, column))


def _type_on_the_way(way: Way, name: str, table: Table, keys: tuple[str, ...], columns: tuple[Column, Column]) -> None:
    present, column = columns
    lengths = [_length(present.type), _length(column.type)]
    if None not in lengths:
        old, new = lengths
        # What other tables refer to is refused there: their columns follow.
        refers = any(column.name in fk.columns for fk in table.foreign_keys)
        if old is not None and new is not None and new < old and not refers:
            way.refusals.append((table.name, keys, column.name, f"{new}"))
        return
    way.converted.append((table.name, column.name))
    way.fill.setdefault(table.name, {})[column.name] = f'sa.column("{column.name}")'
    way.decisions.append(f"how {name}.{column.name}, {present.type}, becomes {column.type}")


def _length(kind: str) -> int | None:
    """Return how many characters a type of text can hold, `None` if it holds something else."""
    if kind in ("TEXT", "VARCHAR"):
        return 2**31
    match = re.fullmatch(r"VARCHAR\((\d+)\)", kind)
    return int(match[1]) if match else None


def _keys_on_the_way(way: Way, have: Table, want: Table, created: set[str]) -> None:
    name = DYNAMIC.get(want.name, want.name)
    present = {(fk.columns, fk.target, fk.target_columns) for fk in have.foreign_keys}
    for fk in want.foreign_keys:
        if (fk.columns, fk.target, fk.target_columns) in present or not set(fk.columns) <= set(have.columns):
            continue
        how = "make its rows" if fk.target in created else "refuse, or make, what is missing"
        way.decisions.append(f"({', '.join(fk.columns)}) of {name} must be in {fk.target}: {how}")
    unique = {u.columns for u in have.uniques} | {have.primary_key}
    for constraint in [u.columns for u in want.uniques] + [want.primary_key]:
        if constraint not in unique and set(constraint) <= set(have.columns):
            if set(constraint) in [set(u) for u in unique]:
                continue
            way.decisions.append(f"({', '.join(constraint)}) of {name} must be unique: refuse what is not")
