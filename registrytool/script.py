"""The script of a migration, which an administrator runs by hand with psql or the sqlite3 shell.

It does in one transaction what `registrytool.runner` does: it asks for the lock, checks that the registry is still the
one for which it was written, repairs drift, runs all steps with their refusals, records versions, revisions and the
log, checks what came out, and commits.  What goes wrong ends the transaction, and the shell with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from . import __version__
from .database import lock_keys, whoami
from .dataset_ids import TYPES, UUID5
from .errors import PlanError
from .models import CONFIGURATIONS
from .runner import REGISTERING, Run
from .sqltext import comment, compiled, literal, values
from .state import ATTRIBUTES, LOG_PREFIX, ONLINE_PREFIX, STAMPS, write_attribute
from .structure import DIALECTS, EXTENSIONS, Structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .executor import Refusal
    from .models import PlannedStep

#: How long a statement of the script waits for a lock.
_LOCK_TIMEOUT = "10s"
#: Attributes that must be what they were when the script was written, as patterns of LIKE.
_DECISIVE = ("config:%", "version:%", f"{ONLINE_PREFIX}%")
_ASKS = "_registrytool_refusal"


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """A script, and the statements of each of its parts."""

    registry: str
    dialect: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    text: str


@dataclass
class _Writer:
    """Writes statements down as text; an executor without a database."""

    live: ClassVar[bool] = False
    dialect: str
    known_strangers: Mapping[str, tuple[tuple[str, str], ...]]
    step: PlannedStep | None = None
    statements: list[str] = field(default_factory=list)
    _refusals: int = 0

    def execute(self, statement: Any) -> None:
        """Write a statement down.

        Raises
        ------
        PlanError
            It needs a function that only connections of registrytool have.
        """
        text = compiled(statement, self.dialect)
        if self.step is not None and self.dialect == "sqlite" and f"{UUID5}(" in text:
            reason = "UUIDs that follow from data IDs need a function that the sqlite3 shell does not have"
            hint = f"Run 'registrytool migrate' without --sql, or give all datasets other UUIDs with --set {TYPES}=."
            raise not_expressible(self.step, reason, hint)
        self.statements.append(text)

    def fetch(self, statement: Any) -> Sequence[Any]:  # noqa: ARG002
        """Refuse: there is nobody to ask.

        Raises
        ------
        PlanError
            Always.
        """
        assert self.step is not None  # noqa: S101 (repairs ask nothing)
        raise not_expressible(self.step, "it computes rows in Python from what it reads")

    def stream(self, statement: Any) -> Iterator[Sequence[Any]]:
        """Refuse, as `fetch` does."""
        return iter(self.fetch(statement))

    def load(self, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
        """Write down nothing: there are no rows."""

    def strangers(self, table: str) -> Sequence[tuple[str, str]]:
        """Return name and definition of the indexes and triggers of an SQLite table."""
        return self.known_strangers.get(table, ())

    def forbid(self, rows: sa.Select[Any], refusal: Refusal) -> None:
        """Write down that the script ends if a query has rows."""
        self.refuse(compiled(rows, self.dialect), str(refusal("some", "?, ?")))

    def refuse(self, query: str, message: str) -> None:
        """Write down that the script ends with a message if a query has rows."""
        if self.dialect == "postgresql":
            body = (
                f"BEGIN\n  IF EXISTS (\n{query}\n  ) THEN\n"
                f"    RAISE EXCEPTION USING MESSAGE = {literal(message)};\n  END IF;\nEND"
            )
            self.statements.append(f"DO {dollar_quoted(body)}")
            return
        self._refusals += 1
        name = f"{_ASKS}_{self._refusals}"
        ends = f"BEGIN SELECT RAISE(ROLLBACK, {literal(message)}); END"
        self.statements += [
            f"CREATE TEMP TABLE {name} (found)",
            f"CREATE TEMP TRIGGER {name}_trigger BEFORE INSERT ON {name} {ends}",
            f"INSERT INTO {name} SELECT 1 WHERE EXISTS (\n{query}\n)",
            f"DROP TABLE {name}",
        ]


def dollar_quoted(text: str) -> str:
    """Return text in dollar quotes that do not occur in it."""
    number = 0
    while (quote := f"$registrytool{number or ''}$") in text:
        number += 1
    return f"{quote}\n{text}\n{quote}"


def not_expressible(step: PlannedStep, reason: str, hint: str | None = None) -> PlanError:
    """Return the refusal of a step that no script can do."""
    usual = "Run 'registrytool migrate' without --sql, or plan the script to the version before it with --to."
    return PlanError(f"The step {step.name} cannot be written as SQL: {reason}.", hint=hint or usual)


def write_script(run: Run, *, registry: str, strangers: Mapping[str, tuple[tuple[str, str], ...]]) -> MigrationScript:
    """Write the script of a run.

    Parameters
    ----------
    run : `Run`
        Plan, options, and the registry as it is.
    registry : `str`
        Name of the registry, for the head of the script.
    strangers : `~collections.abc.Mapping`
        Indexes and triggers on SQLite, by table.

    Returns
    -------
    script : `MigrationScript`
        The script.

    Raises
    ------
    PlanError
        A step cannot be written as SQL.
    """
    return _Author(run, registry, strangers).write()


class _Author:
    """Writes one script."""

    def __init__(self, run: Run, registry: str, strangers: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        self.run = run
        self.registry = registry
        self.dialect = run.dialect
        self.writer = _Writer(run.dialect, self._of_others(strangers))
        self.parts: list[tuple[str, tuple[str, ...]]] = []
        self._quote = DIALECTS[run.dialect].identifier_preparer.quote
        self._start = 0

    def _of_others(self, found: Mapping[str, tuple[tuple[str, str], ...]]) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Return indexes and triggers that belong to no version on the way."""
        snapshots = [self.run.first_snapshot(), *self.run.snapshots]
        ours = {i.name for s in snapshots for t in s.structure.tables.values() for i in t.indexes}
        return {table: tuple(item for item in items if item[0] not in ours) for table, items in found.items()}

    def _qualified(self, name: str) -> str:
        if self.run.namespace:
            return f"{DIALECTS[self.dialect].identifier_preparer.quote_schema(self.run.namespace)}.{self._quote(name)}"
        return self._quote(name)

    def _part(self, title: str) -> None:
        """End a part of the script."""
        self.parts.append((title, tuple(self.writer.statements[self._start :])))
        self._start = len(self.writer.statements)

    def write(self) -> MigrationScript:
        run, writer = self.run, self.writer
        if not run.plan.steps and not run.inspection.differences:
            text = comment(f"{self.registry} is there already: nothing to do.") + "\n"
            return MigrationScript(self.registry, self.dialect, (), text)
        self._lock()
        self._part("Keep others out")
        self._check_start()
        self._part("Check that the registry is the one for which this script was written")
        if self.dialect == "postgresql":
            names = [self._qualified(n) for n in run.closed_tables()]
            if names:
                writer.statements.append(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
            self._part("Lock what changes")
        if run.inspection.differences:
            run.repair(writer, plain=True)
            drift = sorted({str(d.drift) for d in run.inspection.differences})
            self._part(f"Repair known drift: {', '.join(drift)}")
        self._steps()
        end = run.snapshots[-1] if run.snapshots else run.first_snapshot()
        run.write_stamps_and_digests(writer, end.state, end.universe)
        self._log()
        self._part("Record revisions and log")
        self._check_end(end.structure)
        self._part("Check what came out")
        return MigrationScript(self.registry, self.dialect, tuple(self.parts), self._text())

    # -- beginning --------------------------------------------------------

    def _lock(self) -> None:
        if self.dialect == "sqlite":
            return
        a, b = lock_keys(self.run.namespace)
        self.writer.statements += [
            f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'",
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
        ]
        self.writer.refuse(
            f"SELECT 1 WHERE NOT pg_try_advisory_xact_lock({a}, {b})",
            "Another registrytool is at work in this registry. Wait until it has finished.",
        )
        tables = [ATTRIBUTES, *sorted(REGISTERING & self.run.inspection.recorded.tables)]
        self.writer.statements.append(
            f"LOCK TABLE {', '.join(map(self._qualified, tables))} IN SHARE ROW EXCLUSIVE MODE"
        )

    def _check_start(self) -> None:
        recorded = self.run.inspection.recorded
        decisive = {
            name: value
            for name, value in recorded.attributes.items()
            if name in CONFIGURATIONS.values() or name.startswith(tuple(p.rstrip("%") for p in _DECISIVE))
        }
        attributes = self._qualified(ATTRIBUTES)
        likes = " OR ".join(f"name LIKE {literal(pattern)}" for pattern in _DECISIVE)
        again = "Write the script again."
        self.writer.refuse(
            f"WITH expected(name, value) AS (\n{values(sorted(decisive.items()))})\n"
            f"SELECT name, value FROM expected EXCEPT SELECT name, value FROM {attributes}",
            f"The versions or the universe of this registry are not those for which this script was written. {again}",
        )
        self.writer.refuse(
            f"SELECT name FROM {attributes} WHERE ({likes}) AND name NOT IN "
            f"({', '.join(literal(n) for n in sorted(decisive))})",
            f"This registry has managers or an online migration that it did not have when this script was written. "
            f"{again}",
        )
        if recorded.dynamic.dataset_tables or "dataset_type" in recorded.tables:
            tables = [t.name for t in recorded.dynamic.dataset_tables]
            for column in ("tag_association_table", "calibration_association_table"):
                self._none_but(tables, "dataset_type", column)
        if "opaque_meta" in recorded.tables:
            names = [*recorded.dynamic.record_tables, *recorded.strange_tables]
            self._none_but(names, "opaque_meta", "table_name")
        found = self.run.inspection.found
        ours = {n: t for n, t in found.tables.items() if n in self.run.inspection.expected.tables}
        self._same_columns(Structure(self.dialect, ours), f"were not there when this script was written. {again}")
        if self.dialect == "postgresql":
            wanted = ", ".join(literal(e) for e in sorted(EXTENSIONS["postgresql"]))
            self.writer.refuse(
                f"SELECT 1 FROM unnest(ARRAY[{wanted}]) AS e WHERE e NOT IN (SELECT extname FROM pg_extension)",
                "The database lacks an extension that the Butler needs. Run: CREATE EXTENSION btree_gist;",
            )

    def _none_but(self, names: Sequence[str], table: str, column: str) -> None:
        """Refuse if a table has been registered that the script does not know."""
        known = f" AND {column} NOT IN ({', '.join(literal(n) for n in sorted(names))})" if names else ""
        self.writer.refuse(
            f"SELECT 1 FROM {self._qualified(table)} WHERE {column} IS NOT NULL{known}",
            "Tables have been registered since this script was written. Write the script again.",
        )

    def _same_columns(self, structure: Structure, complaint: str) -> None:
        """Refuse if tables have other columns than a structure says."""
        rows = [
            (t.name, c.name, c.type, c.nullable)
            for _, t in sorted(structure.tables.items())
            for c in sorted(t.columns.values(), key=lambda c: c.name)
        ]
        names = ", ".join(literal(n) for n in sorted(structure.tables))
        if self.dialect == "sqlite":
            present = (
                'SELECT m.name, c.name, upper(c.type), 1 - c."notnull" FROM sqlite_master AS m '
                f"JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name IN ({names})"
            )
        else:
            present = (
                'SELECT c.relname::text COLLATE "default", a.attname::text COLLATE "default",\n'
                "  format_type(a.atttypid, a.atttypmod), "
                "CASE WHEN a.attnotnull THEN 0 ELSE 1 END\n  FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace\n"
                "  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped\n"
                f"  WHERE n.nspname = {literal(self.run.namespace)} AND c.relkind IN ('r', 'p')\n"
                f"  AND c.relname IN ({names})"
            )
        self.writer.refuse(
            f'WITH expected("table", "column", "type", "nullable") AS (\n{values(rows)}),\n'
            f"present AS (\n  {present})\n"
            "SELECT * FROM (SELECT * FROM expected EXCEPT SELECT * FROM present) AS missing\n"
            "UNION ALL SELECT * FROM (SELECT * FROM present EXCEPT SELECT * FROM expected) AS unexpected",
            f"The tables of this registry have columns that {complaint}",
        )

    # -- steps ------------------------------------------------------------

    def _steps(self) -> None:
        run = self.run
        history = run.catalog.history
        before = run.first_snapshot()
        for planned, after in zip(run.plan.steps, run.snapshots, strict=True):
            reason = history.revision(planned.revision).computes
            if reason is not None:
                raise not_expressible(planned, reason)
            self.writer.step = planned
            run.write_down(planned, before, after, self.writer, accept_loss=run.accept_loss, plain=True)
            run.record(self.writer, planned, after)
            self._part(f"Step {planned.name}")
            before = after

    # -- end --------------------------------------------------------------

    def _log(self) -> None:
        """Record the run; its time is known only when the script runs."""
        mark = "\0"
        text = json.dumps(self.run.log_details(mark, f"a script by {whoami()}"))
        head, _, tail = text.partition(json.dumps(mark))
        if self.dialect == "postgresql":
            now = "clock_timestamp() AT TIME ZONE 'UTC'"
            stamp = f'to_char({now}, \'YYYYMMDD"T"HH24MISS.US"Z"\')'
            when = f"'\"' || to_char({now}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') || '\"'"
        else:
            stamp = "strftime('%Y%m%dT%H%M%S', 'now') || substr(strftime('%f', 'now'), 3) || '000Z'"
            when = "'\"' || strftime('%Y-%m-%dT%H:%M:%SZ', 'now') || '\"'"
        name = sa.literal_column(f"{literal(LOG_PREFIX)} || {stamp}", sa.Text())
        value = sa.literal_column(f"{literal(head)} || {when} || {literal(tail)}", sa.Text())
        write_attribute(self.writer, self.run.namespace, name, value)

    def _check_end(self, structure: Structure) -> None:
        tables = {n: t for n, t in structure.tables.items() if n != STAMPS}
        self._same_columns(Structure(self.dialect, tables), "the new versions do not promise. Please report this.")
        if self.dialect == "sqlite":
            for name, table in sorted(tables.items()):
                old = self.run.inspection.found.tables.get(name)
                if old is None or not set(table.foreign_keys) <= set(old.foreign_keys):
                    self.writer.refuse(
                        f"SELECT 1 FROM pragma_foreign_key_check({literal(name)})",
                        f"A row of {name} refers to a row that does not exist. Mend the data and run the script again.",
                    )

    # -- text -------------------------------------------------------------

    def _text(self) -> str:
        run = self.run
        lite = self.dialect == "sqlite"
        command = "sqlite3 -bail DATABASE.sqlite3 < SCRIPT" if lite else "psql -X -f SCRIPT DATABASE"
        head = [
            f"Migration of {self.registry}, written by registrytool {__version__}.",
            f"Run it with: {command}",
            "It is one transaction: it ends at its target, or leaves the registry as it was.",
            "Make a backup first. 'registrytool verify' compares the result with what its versions promise.",
        ]
        head.extend(
            f"Afterwards butler.yaml must name {run.catalog.configured_class(s.component, s.end.implementation)} as "
            f"manager of {s.component}."
            for s in run.plan.steps
            if s.end is not None
            and s.component not in CONFIGURATIONS
            and (s.start is None or s.start.implementation != s.end.implementation)
        )
        history = run.catalog.history
        head.extend(
            f"Afterwards butler.yaml must have {new} wherever it has {old}."
            for s in run.plan.steps
            for old, new in history.revision(s.revision).configuration.items()
        )
        lines = [comment("\n".join(head)), ""]
        if lite:
            # Keys are checked as a whole at the end; a rename is not followed into other definitions.
            lines += [".bail on", "PRAGMA foreign_keys = OFF;", "PRAGMA legacy_alter_table = ON;", "BEGIN IMMEDIATE;"]
        else:
            lines += [r"\set ON_ERROR_STOP on", "SET standard_conforming_strings = on;", "BEGIN;"]
        for title, statements in self.parts:
            if statements:
                lines += ["", comment(title), *(f"{s};" for s in statements)]
        lines += ["", "COMMIT;"]
        if lite:
            lines.append("PRAGMA legacy_alter_table = OFF;")
        return "\n".join(lines) + "\n"
