"""What a migration script works with: one step from a version to the next, on a real database or written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable, DropTable

from .digest import schema_digests
from .errors import ConfigurationError, RegistryStateError
from .progress import NullProgress, Progress
from .reshape import Change, Fill, Neighbours, Renames, Reshape, Sources
from .structure import DIALECTS, Structure, from_metadata
from .universe import Universe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from .catalog import Catalog
    from .executor import Executor
    from .models import DynamicContent, PlannedStep, State


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registry as its versions promise it."""

    state: State
    universe: Mapping[str, Any]
    dynamic: DynamicContent
    metadata: sa.MetaData
    structure: Structure

    @classmethod
    def make(
        cls,
        catalog: Catalog,
        state: State,
        dialect: str,
        dynamic: DynamicContent,
        universe: Mapping[str, Any],
        namespace: str | None,
    ) -> Snapshot:
        """Build the snapshot of a state."""
        metadata = catalog.metadata(state, dialect, dynamic, universe=universe, namespace=namespace)
        return cls(state, universe, dynamic, metadata, from_metadata(metadata, dialect))

    def table(self, name: str) -> sa.Table:
        """Return the definition of a table."""
        schema = self.metadata.schema
        return self.metadata.tables[f"{schema}.{name}" if schema else name]


class Step:
    """One migration step while it runs.

    Parameters
    ----------
    planned : `PlannedStep`
        The step.
    before, after : `Snapshot`
        The registry at its beginning and at its end.
    executor : `Executor`
        Executes or records the statements.
    catalog : `Catalog`
        The content.
    options : `~collections.abc.Mapping` [`str`, `str`], optional
        What the user set by ``--set``.
    accept_loss : `bool`, optional
        Whether information may be lost.
    progress : `Progress`, optional
        Is told about finished tables.
    rows : `~collections.abc.Mapping` [`str`, `int`], optional
        Estimated numbers of rows, by table.
    plain : `bool`, optional
        Whether the statements are for a shell instead of this program.
    found : `~collections.abc.Set` [`str`], optional
        Tables that the registry has; needed where the step is only written down, and nobody can be asked.

    Attributes
    ----------
    changes : `list` [`Change`]
        What has been done to which table.
    committed : `list` [callable]
        What to do when the migration has been committed.
    """

    def __init__(
        self,
        planned: PlannedStep,
        before: Snapshot,
        after: Snapshot,
        executor: Executor,
        catalog: Catalog,
        *,
        options: Mapping[str, str] | None = None,
        accept_loss: bool = False,
        progress: Progress | None = None,
        rows: Mapping[str, int] | None = None,
        plain: bool = False,
        found: AbstractSet[str] = frozenset(),
    ) -> None:
        self.planned = planned
        self.before = before
        self.after = after
        self.catalog = catalog
        self.options = options or {}
        self.changes: list[Change] = []
        self.neighbours = Neighbours()
        self.committed: list[Callable[[], object]] = []
        self._executor = executor
        self._accept_loss = accept_loss
        self._progress = progress or NullProgress()
        self._rows = rows or {}
        self._plain = plain
        self._found = found
        self._created = False

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.before.structure.dialect

    def old(self, table: str) -> sa.Table:
        """Return the definition of a table before the step."""
        return self.before.table(table)

    def new(self, table: str) -> sa.Table:
        """Return the definition of a table after the step."""
        return self.after.table(table)

    # -- conditions -------------------------------------------------------

    def option(self, name: str, choices: Sequence[str] | None = None) -> str | None:
        """Return what the user set for an option, `None` if nothing.

        Raises
        ------
        ConfigurationError
            It is none of the choices.
        """
        value = self.options.get(name)
        if value is not None and choices is not None and value not in choices:
            message = f"The option {name} of the step {self.planned.name} cannot be {value!r}."
            raise ConfigurationError(message, hint=f"It must be one of {', '.join(choices)}.")
        return value

    def refuse_if(self, rows: sa.Select[Any], message: str, hint: str) -> None:
        """Refuse the step if a query has rows.

        Parameters
        ----------
        rows : `sqlalchemy.Select`
            A query for what must not be.
        message : `str`
            One sentence; ``{count}`` stands for the number of rows, ``{first}`` for the first one.
        hint : `str`
            What to do about it.

        Raises
        ------
        RegistryStateError
            There are rows.
        """
        self._executor.forbid(
            rows, lambda count, first: RegistryStateError(message.format(count=count, first=first), hint=hint)
        )

    def refuse_loss(self, rows: sa.Select[Any], what: str) -> None:
        """Refuse to lose information that a query finds, unless the user accepts the loss.

        Raises
        ------
        RegistryStateError
            There is something to lose and the loss is not accepted.
        """
        if self._accept_loss:
            return

        def refusal(count: object, first: str) -> RegistryStateError:
            message = f"The step {self.planned.name} would lose {what.format(count=count, first=first)}."
            return RegistryStateError(message, hint="Accept that with --accept-loss, or stay at the present version.")

        self._executor.forbid(rows, refusal)

    # -- acting -----------------------------------------------------------

    def execute(self, statement: sa.Executable) -> None:
        """Execute a statement."""
        self._executor.execute(statement)

    def fetch(self, query: sa.Executable) -> Sequence[Any]:
        """Return the rows of a query; none if the step is only written down."""
        return self._executor.fetch(query)

    @property
    def recorded(self) -> bool:
        """Whether the step is only written down: nothing can be asked, and no row passes through Python."""
        return not self._executor.live

    def convert(self, query: sa.Executable, function: Callable[[Sequence[Any]], Sequence[Any]], to: sa.Table) -> None:
        """Pass the rows of a query through Python, for what no database can compute.

        Parameters
        ----------
        query : `sqlalchemy.Executable`
            The rows.
        function : callable
            Turns a row into one of texts and numbers.
        to : `sqlalchemy.Table`
            Where the new rows go, with all columns.
        """
        for rows in self._executor.stream(query):
            self._executor.load(to, [function(row) for row in rows])

    def stream(self, query: sa.Executable) -> Iterator[Sequence[Any]]:
        """Give the rows of a query in pieces; none if the step is only written down."""
        return self._executor.stream(query)

    def has_table(self, name: str) -> bool:
        """Whether there is a table, though no version promises it."""
        if self.recorded:
            return name in self._found
        if self.dialect == "sqlite":
            query = sa.text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
            return bool(self.fetch(query.bindparams(name=name)))
        query = sa.text("SELECT 1 FROM pg_tables WHERE schemaname = :namespace AND tablename = :name")
        return bool(self.fetch(query.bindparams(namespace=self.before.metadata.schema, name=name)))

    def keep(self, rows: sa.Select[Any], table: sa.Table) -> None:
        """Put what the new version has no place for into a table that no version knows, so that it can come back.

        Parameters
        ----------
        rows : `sqlalchemy.Select`
            What to keep; where there is nothing, no table is made, unless the step is only written down.
        table : `sqlalchemy.Table`
            The table, with the columns of the rows. One of this name is replaced.
        """
        if self.has_table(table.name):
            self.execute(DropTable(table))
        if self.recorded or self.fetch(rows.limit(1)):
            self.execute(CreateTable(table))
            self.execute(sa.insert(table).from_select([c.name for c in table.columns], rows))

    def analyze(self, table: sa.Table) -> None:
        """Let the planner of PostgreSQL know a table that the step has made and filled."""
        if self.dialect == "postgresql":
            name = DIALECTS[self.dialect].identifier_preparer.format_table(table)
            self.execute(sa.text(f"ANALYZE {name}".replace(":", r"\:")))

    def after_commit(self, action: Callable[[], object]) -> None:
        """Do something when the migration has been committed, and not if it is rolled back."""
        self.committed.append(action)

    def set_sequence(self, name: str, column: sa.Column[Any]) -> None:
        """Let a sequence go on after the greatest value of a column; SQLite does that by itself."""
        if self.dialect == "postgresql":
            quote = DIALECTS[self.dialect].identifier_preparer
            schema = self.after.metadata.schema
            sequence = f"{quote.quote_schema(schema)}.{quote.quote(name)}" if schema else quote.quote(name)
            greatest = sa.func.max(column)
            value = sa.func.setval(sa.literal(sequence), sa.func.coalesce(greatest, 1), greatest.is_not(None))
            self.execute(sa.select(value))

    def create_tables(self) -> None:
        """Make the tables that are new; `reshape` does it otherwise."""
        if not self._created:
            self._reshape().create(self._executor)
            self._created = True

    def _reshape(
        self, fill: Fill | None = None, renames: Renames | None = None, sources: Sources | None = None
    ) -> Reshape:
        before, after = self.before, self.after
        return Reshape(
            before.structure,
            before.metadata,
            after.metadata,
            fill or {},
            renames or {},
            sources or {},
            structure=after.structure,
            plain=self._plain,
        )

    def reshape(
        self, *, fill: Fill | None = None, renames: Renames | None = None, sources: Sources | None = None
    ) -> None:
        """Give all tables the structure that the new version has.

        Parameters
        ----------
        fill : `Fill`, optional
            Values of new or changed columns: expressions of the columns before the step, by table and column.
        renames : `Renames`, optional
            Columns that get another name: new by old, by table.
        sources : `Sources`, optional
            What to select the rows of a table from, if ``fill`` needs more than the table itself.
        """
        reshape = self._reshape(fill, renames, sources)
        self.changes.extend(reshape.changes())
        self.neighbours |= reshape.neighbours()
        self.create_tables()
        reshape.alter(self._executor, self._counter(reshape.altered))
        reshape.drop(self._executor)

    def _counter(self, tables: Sequence[str]) -> Callable[[str], None]:
        total = sum(self._rows.get(t, 0) for t in tables)
        finished = 0

        def done(table: str) -> None:
            nonlocal finished
            finished += self._rows.get(table, 0)
            self._progress.rows(table, finished, total)

        return done

    # -- attributes -------------------------------------------------------

    def set_attribute(self, name: str, value: str | None) -> None:
        """Set an attribute of the registry, or remove it if the value is `None`."""
        table = self.old("butler_attributes")
        self.execute(sa.delete(table).where(table.c.name == name))
        if value is not None:
            self.execute(sa.insert(table).values(name=name, value=value))

    def remove_attributes(self, prefix: str) -> None:
        """Remove all attributes whose names begin with a prefix."""
        table = self.old("butler_attributes")
        self.execute(sa.delete(table).where(table.c.name.startswith(prefix, autoescape=True)))

    def digests(self) -> dict[str, str]:
        """Return the digests of schemas, as attributes, that belong to the new version."""
        universe = Universe(self.after.universe)
        return schema_digests(self.catalog, self.after.state, self.after.metadata, universe, self.dialect)
