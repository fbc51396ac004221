"""``registrytool schema show|diff|sql``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import ContentFolder, Dialect, Namespace, OutputFormat, UniverseFile
from ._output import answer, hide_passwords, say, show_table

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.schema import Schema

app = typer.Typer(no_args_is_help=True, help="Show, compare and write out schemas.")

_Targets = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(
        metavar="[TARGET]...",
        help="Repository, or release and component=version. [default: newest]",
        show_default=False,
    ),
]
_Dialect = Annotated[Dialect, typer.Option("--dialect", help="Kind of database.")]


def _catalog(content: ContentFolder) -> Catalog:
    from registrytool.catalog import Catalog

    return Catalog.find(content)


@app.command("show")
def show(
    context: typer.Context,
    target: _Targets = None,
    dialect: _Dialect = Dialect.SQLITE,
    universe: UniverseFile = None,
    namespace: Namespace = None,
    table: Annotated[Optional[str], typer.Option("--table", help="Only this table, in detail.")] = None,  # noqa: UP045
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show the tables of some versions, or of a registry as it is."""
    from registrytool.errors import ConfigurationError
    from registrytool.schema import find_schema

    found = find_schema(
        target or [], dialect=dialect.value, universe=universe, namespace=namespace, catalog=_catalog(content)
    )
    if table is not None and table not in found.structure.tables:
        message = f"There is no table {table} in {hide_passwords(found.target)}."
        raise ConfigurationError(message, hint="'registrytool schema show' without --table lists the tables.")
    data = {**found.to_dict(), "target": hide_passwords(found.target)}
    if table is not None:
        data["structure"]["tables"] = {table: data["structure"]["tables"][table]}
    answer(context, output, data, lambda: _show(found, table))


def _show(found: Schema, only: str | None) -> None:
    from registrytool.structure import describe

    if only is None:
        show_table(
            ("table", "columns", "primary key", "foreign keys", "indexes"),
            [
                (t.name, len(t.columns), ", ".join(t.primary_key), len(t.foreign_keys), len(t.indexes))
                for _, t in sorted(found.structure.tables.items())
            ],
        )
        return
    table = found.structure.tables[only]
    rows = [("column", c.name, describe(c)) for c in table.columns.values()]
    rows.append(("primary key", table.primary_key_name or "", ", ".join(table.primary_key)))
    for kind, items in (
        ("unique", table.uniques),
        ("foreign key", table.foreign_keys),
        ("check", table.checks),
        ("index", table.indexes),
    ):
        rows.extend((kind, str(i.name), describe(i)) for i in items)
    show_table(("object", "name", "definition"), rows)


@app.command("diff")
def diff(
    context: typer.Context,
    a: Annotated[
        str, typer.Argument(metavar="A", help="Repository, release, or component=version.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.", show_default=False)],
    dialect: _Dialect = Dialect.SQLITE,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show what B has differently from A; exits with 4 if anything."""
    from registrytool.schema import find_schema, schema_differences

    catalog = _catalog(content)
    sides = []
    for target in (a, b):
        sides.append(find_schema([target], dialect=dialect.value, namespace=namespace, catalog=catalog))
        # A registry has one dialect; versions are compared with it in the same.
        dialect = Dialect(sides[-1].structure.dialect)
    if sides[0].structure.dialect != sides[1].structure.dialect:
        sides[0] = find_schema([a], dialect=dialect.value, namespace=namespace, catalog=catalog)
    found = schema_differences(*sides)
    a, b = hide_passwords(a), hide_passwords(b)
    data = {"a": a, "b": b, "differences": [d.to_dict() for d in found]}

    def table() -> None:
        if not found:
            say("No difference.")
            return
        show_table(
            ("table", "object", "name", "what", a, b),
            [(d.table, d.kind, d.name, d.aspect, d.expected, d.found) for d in found],
        )

    answer(context, output, data, table)
    if found:
        raise typer.Exit(4)


@app.command("sql")
def sql(
    context: typer.Context,
    target: _Targets = None,
    dialect: _Dialect = Dialect.SQLITE,
    universe: UniverseFile = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Print the statements that make the tables of some versions."""
    from registrytool.schema import schema_sql

    statements = schema_sql(
        target or [], dialect=dialect.value, universe=universe, namespace=namespace, catalog=_catalog(content)
    )
    answer(
        context,
        output,
        {"dialect": dialect.value, "statements": statements},
        lambda: say(";\n\n".join(statements) + ";"),
    )
