"""Rows in every table of a registry, for the tests; the work is done by `registrytool.check.rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.rows import CALIBRATION, GROUPS, RECORD_TABLES, Filler, TableContent, fill_tables
from registrytool.check.rows import read_content as read_tables
from registrytool.database import Database
from tests.support.content_states import CATALOG

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

__all__ = [
    "CALIBRATION",
    "GROUPS",
    "RECORD_TABLES",
    "Filler",
    "TableContent",
    "execute",
    "fill_registry",
    "read_content",
]


def fill_registry(
    repository: Repository,
    *,
    catalog: Catalog | None = None,
    never_null: Collection[tuple[str, str]] = (),
    groups: Sequence[tuple[str, ...]] | None = None,
    calibration: tuple[str, ...] | None = None,
) -> None:
    """Put rows into every table of a new registry; see `registrytool.check.rows.fill_tables`."""
    database = Database.of(repository)
    with database.write("fill") as connection:
        fill_tables(
            connection,
            database.namespace,
            catalog or CATALOG,
            never_null=never_null,
            groups=groups,
            calibration=calibration,
        )
        if database.dialect == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def execute(repository: Repository, statement: str) -> None:
    """Execute a statement, in which {s} stands for the namespace and its point."""
    database = Database.of(repository)
    with database.write("change rows") as connection:
        quote = connection.dialect.identifier_preparer.quote_schema
        schema = f"{quote(database.namespace)}." if database.namespace else ""
        connection.exec_driver_sql(statement.replace("{s}", schema).replace("%", "%%" if schema else "%"))


def read_content(repository: Repository) -> dict[str, TableContent]:
    """Read all rows of all tables."""
    database = Database.of(repository)
    with database.read() as connection:
        return read_tables(connection, database.namespace)
