"""Online migrations: what others write meanwhile is kept, whatever is killed, and going back leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.inspection import inspect
from registrytool.introspect import read_structure
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.online.engine import Pace
from registrytool.online.operation import OnlineOptions, migrate_online
from registrytool.repository import open_repository
from registrytool.state import read_attributes
from tests.support.places import ODD_NAMESPACE, Place
from tests.support.registries import assert_clean, make
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from registrytool.structure import Structure
    from tests.support.postgres import PostgresServer

CATALOG = Catalog()
QUICK = Pace(batch_rows=500, pause_s=0.0)


@pytest.fixture
def online_place(postgres: PostgresServer, tmp_path: Path) -> Iterator[Place]:
    url = postgres.new_database()
    folder = tmp_path / "repo"
    folder.mkdir()
    yield Place("postgresql", url, ODD_NAMESPACE, folder)
    postgres.drop_database(url)


def twin_of(repository: Repository, server: PostgresServer) -> Repository:
    url = server.new_database(repository.url.render_as_string(hide_password=False))
    return open_repository(url, namespace=repository.namespace)


def content(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    return {name: table.of(sorted(table.columns)) for name, table in read_content(repository).items()}


def everything(repository: Repository) -> tuple[Structure, dict[str, str], list[tuple[Any, ...]]]:
    """Read structure, attributes, and the triggers and functions that no structure shows."""
    database = Database.of(repository)
    with database.read() as connection:
        others = connection.execute(
            sa.text(
                "SELECT proname FROM pg_proc WHERE pronamespace = CAST(:n AS regnamespace) UNION ALL "
                "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            ),
            {"n": connection.dialect.identifier_preparer.quote(str(database.namespace))},
        )
        return (
            read_structure(connection, database.namespace),
            read_attributes(connection, database.namespace),
            [tuple(r) for r in others],
        )


def filled(place: Place, *targets: str) -> Repository:
    repository = make(place, *targets)
    fill_registry(repository)
    return repository


@pytest.mark.parametrize(
    ("start", "target"),
    [
        ("datasets=1.0.0", "datasets=2.0.0"),
        ("datasets=2.0.0", "datasets=1.0.0"),
        ("dimensions=6.0.0", "dimensions=6.0.2"),
        ("dimensions=6.0.2", "dimensions=6.0.0"),
        ("datastores=0.2.0", "datastores=0.2.1"),
        ("dimensions-config=6", "dimensions-config=8"),
        ("dimensions-config=4", "dimensions-config=5"),
        ("attributes=1.0.0", "attributes=1.0.1"),
    ],
)
def test_an_online_run_gives_the_same_as_a_closed_one(
    start: str, target: str, online_place: Place, postgres: PostgresServer
) -> None:
    repository = make(online_place, start)
    fill_registry(repository, never_null=_implied(repository))
    twin = twin_of(repository, postgres)
    apply_migration(twin, MigrateOptions(targets=(target,), accept_loss=True, backup=False))

    report = migrate_online(repository, OnlineOptions(targets=(target,), accept_loss=True, pace=QUICK))

    assert len(report.steps) >= 1
    assert_clean(repository)
    assert content(repository) == content(twin)
    ours, wanted = everything(repository), everything(twin)
    assert ours[0].tables.keys() == wanted[0].tables.keys()
    assert [n for n in ours[1] if n.startswith("registrytool.online")] == []
    assert ours[2] == wanted[2]
    postgres.drop_database(twin.url.render_as_string(hide_password=False))


def _implied(repository: Repository) -> set[tuple[str, str]]:
    from registrytool.universe import Universe

    with Database.of(repository).read() as connection:
        recorded = inspect(connection, repository.namespace, CATALOG, where="the test").recorded
    return {(e.name, name) for e in Universe(recorded.universe) for name in e.implied}
