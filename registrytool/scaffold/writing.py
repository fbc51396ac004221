"""Write the script of a step, and its test data."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from .marks import DYNAMIC, LIVE, MARK, WIDTH, as_sentence, in_words, quoted, statement_of, variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registrytool.models import ComponentVersion
    from registrytool.structure import Column

    from .work import Way, Work


#: How many operations a script lists; a change of a key of a dimension has dozens that are all alike.
_LISTED = 24
_ROWS = "# Rows before the step, and what they must be after it (docs/how-to/write-a-step.md).\n\n"
_SCRIPT = '''"""{docstring}"""

from __future__ import annotations

from typing import TYPE_CHECKING
{sa}
if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "{component}", "{implementation}", "{version}"

revision = "{revision}"
down_revision = "{down}"
branch_labels = None
depends_on = None
{variables}

def upgrade(step: Step) -> None:
{upgrade}


def downgrade(step: Step) -> None:
{downgrade}
'''


class Writer:
    """Writes the script of a step and its test data."""

    def __init__(self, version: ComponentVersion, revision: str, down: str, message: str) -> None:
        self.version, self.revision, self.down, self.message = version, revision, down, message

    def placeholder(self, what: str) -> str:
        """Return a script of which the operations are not known yet."""
        body = textwrap.indent(statement_of(what), "    ")
        return self._assemble([], "", body, body, uses_sa=False)

    def script(self, work: Work) -> str:
        """Return the script of a step."""
        up, down = self._function(work.up, forward=True), self._function(work.down, forward=False)
        return self._assemble(work.operations, self._variables(work), up, down, uses_sa="sa." in up + down)

    def _assemble(self, operations: Sequence[str], variables: str, up: str, down: str, *, uses_sa: bool) -> str:
        lines = [as_sentence(self.message)]
        if operations:
            lines += ["", "What differs between the two versions:", ""]
            more = [f"and {len(operations) - _LISTED} more, which 'registrytool schema diff' lists"]
            for operation in operations if len(operations) <= _LISTED else [*operations[:_LISTED], *more]:
                lines += textwrap.wrap(f"- {operation}", WIDTH, subsequent_indent="  ", break_long_words=False)
        return _SCRIPT.format(
            docstring="\n".join(lines) + ("\n" if len(lines) > 1 else ""),
            sa="\nimport sqlalchemy as sa\n" if uses_sa else "",
            component=self.version.component,
            implementation=self.version.implementation,
            version=self.version.version,
            revision=self.revision,
            down=self.down,
            variables=variables,
            upgrade=up,
            downgrade=down,
        )

    @staticmethod
    def _variables(work: Work) -> str:
        drops: dict[str, list[str]] = {}
        for table, _, column in work.up.lost:
            drops.setdefault(table, []).append(column or "*")
        changes: dict[str, list[str]] = {}
        for table, column in work.up.converted:
            changes.setdefault(table, []).append(column)
        result = ""
        for name, tables in (("drops", drops), ("changes", changes)):
            if tables:
                items = ", ".join(f'"{t}": ({", ".join(quoted(c) for c in columns)},)' for t, columns in tables.items())
                result += f"{name} = {{{items}}}\n"
        lost = [f"{t}.{c}" if c else f"the records of {t}" for t, _, c in work.down.lost if t not in DYNAMIC]
        if lost:
            result += f"loses = {quoted(in_words(lost))}\n"
        return f"\n{result}" if result else ""

    def _function(self, way: Way, *, forward: bool) -> str:
        lines = [statement_of(d) for d in way.decisions]
        tables = list(
            dict.fromkeys(
                [t for t, *_ in way.refusals if t not in DYNAMIC]
                + [t for t, *_ in way.lost if t not in DYNAMIC and not forward]
            )
        )
        lines += [f"{variable(t)} = step.old({_old_name(t)})" for t in tables]
        for table, keys, column, why in way.refusals:
            if table not in DYNAMIC:
                lines += _refusal(table, keys, column, why)
        if not forward:
            for table, keys, lost in way.lost:
                if table not in DYNAMIC:
                    lines += _loss(table, keys, lost)
        lines.append(_reshape(way))
        return textwrap.indent("\n".join(lines), "    ")

    def rows(self, work: Work) -> str:
        """Return test data: one record of each table that changes, up and down."""
        tables = {t: table for t, table, _ in work.up.added if t not in DYNAMIC and t != LIVE}
        if not tables or any(c.name in t.primary_key for _, t, c in work.up.added):
            return f"{_ROWS}- case: {MARK}\n  before: {{}}\n  after: {{}}\n" if work.up.decisions else ""
        cases = []
        for name, table in tables.items():
            keys = {k: _sample(table.columns[k]) for k in table.primary_key}
            given = ", ".join(f"{k}: {v}" for k, v in keys.items())
            renamed = {new: old for old, new in work.up.renames.get(name, {}).items()}
            new = [c for t, _, c in work.up.added if t == name]
            before = "".join(f", {renamed[c.name]}: {_sample(c)}" for c in new if c.name in renamed)
            after = "".join(f", {c.name}: {self._expected(work, name, c, renamed)}" for c in new)
            cases.append(
                f"- case: a record of {name} gets {in_words([c.name for c in new])}\n"
                f"  before:\n    {name}:\n      - {{{given}{before}}}\n"
                f"  after:\n    {name}:\n      - {{{given}{after}}}\n"
            )
            cases.append(
                f"- case: a record of {name} stays, going back\n  direction: down\n"
                f"  before:\n    {name}:\n      - {{{given}}}\n"
                f"  after:\n    {name}:\n      - {{{given}}}\n"
            )
        return _ROWS + "\n".join(cases)

    @staticmethod
    def _expected(work: Work, table: str, column: Column, renamed: Mapping[str, str]) -> str:
        if column.name in renamed:
            return _sample(column)
        if column.name in work.up.fill.get(table, {}):
            return MARK
        return "null" if column.default is None else MARK


def _sample(column: Column) -> str:
    if "CHAR" in column.type or "TEXT" in column.type:
        return "00000000-0000-0000-0000-000000000001" if column.type == "CHAR(32)" else "A"
    return {"FLOAT": "1.5", "BOOLEAN": "true"}.get(column.type, "1")


def _old_name(table: str) -> str:
    if table == LIVE:
        return 'str((step.before.dynamic.obscore or {}).get("table_name") or "obscore")'
    return quoted(table)


def _select(table: str, keys: Sequence[str], condition: str) -> str:
    """Return a query for keys as an argument, indented, as the formatter would write it."""
    query = f"sa.select({', '.join(f'{variable(table)}.c.{k}' for k in keys)})"
    if not condition:
        return f"    {query},"
    line = f"    {query}.where({condition}),"
    return line if len(line) <= WIDTH + 6 else f"    {query}.where(\n        {condition}\n    ),"


def _refusal(table: str, keys: Sequence[str], column: str, why: str) -> list[str]:
    reference = f"{variable(table)}.c.{column}"
    condition = f"{reference}.is_(None)"
    hint = f"Set {table}.{column} of these records and run the same command again."
    if why.isdigit():
        condition = f"sa.func.length({reference}) > {why}"
        hint = f"Shorten {table}.{column} of these records and run the same command again."
        why = (
            f"{{count}} records of {table} have a {column} of more than {why} characters, the first one is ({{first}})."
        )
    query = _select(table, keys, condition)
    return ["step.refuse_if(", query, f"    {quoted(why)},", f"    {quoted(hint)},", ")"]


def _loss(table: str, keys: Sequence[str], column: str | None) -> list[str]:
    condition, what = "", f"{{count}} records of {table}, the first one is ({{first}})"
    if column is not None:
        condition, what = f"{variable(table)}.c.{column}.is_not(None)", f"{table}.{column} of {what}"
    return ["step.refuse_loss(", _select(table, keys, condition), f"    {quoted(what)},", ")"]


def _reshape(way: Way) -> str:
    arguments = []
    for name, tables in (("fill", way.fill), ("renames", way.renames)):
        texts = []
        for table, columns in tables.items():
            if table not in DYNAMIC:
                values = (f"{quoted(c)}: {v if name == 'fill' else quoted(v)}" for c, v in columns.items())
                texts.append(f"{quoted(table)}: {{{', '.join(values)}}}")
        if texts:
            arguments.append(f"{name}={{{', '.join(texts)}}}")
    if len(arguments) < 2:
        return f"step.reshape({''.join(arguments)})"
    return "step.reshape(\n" + "".join(f"    {a},\n" for a in arguments) + ")"
