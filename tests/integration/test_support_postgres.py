"""The tests' own PostgreSQL server: databases and places are new, separate and gone afterwards."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from tests.support.places import ODD_NAMESPACE, Place
from tests.support.postgres import PostgresServer, Source, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator


def answer(url: str, statement: str) -> object:
    """Run one statement in a session of its own; return the first value, if any."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


def test_two_new_databases_are_independent(postgres: PostgresServer, database: str) -> None:
    other = postgres.new_database()

    answer(database, "CREATE TABLE thing (id int)")

    assert answer(database, "SELECT to_regclass('thing')::text") == "thing"
    assert answer(other, "SELECT to_regclass('thing')::text") is None
    postgres.drop_database(other)


def test_a_new_database_has_btree_gist_unless_asked_otherwise(postgres: PostgresServer, database: str) -> None:
    bare = postgres.new_database(extension=False)
    query = "SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'"

    assert (answer(database, query), answer(bare, query)) == (1, 0)
    postgres.drop_database(bare)


def test_a_clone_has_the_content_of_its_template(postgres: PostgresServer, database: str) -> None:
    answer(database, "CREATE TABLE thing AS SELECT generate_series(1, 7) AS id")

    clone = postgres.new_database(template=database)
    answer(database, "DELETE FROM thing")

    assert answer(clone, "SELECT count(*) FROM thing") == 7
    postgres.drop_database(clone)


def test_a_dropped_database_is_gone_though_somebody_is_connected(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        postgres.drop_database(url)

        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.exec_driver_sql("SELECT 1")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="does not exist"):
        answer(url, "SELECT 1")
    postgres.drop_database(url)  # once more is no error


def test_nothing_stays_in_a_server_that_was_running_before(postgres: PostgresServer) -> None:
    with postgres_server([Source("a test", lambda: contextlib.nullcontext(postgres.admin_url))]) as server:
        answer(server.new_database(), "CREATE TABLE thing (id int)")
        PostgresServer(**server.address_for("gw0")).new_database()

    query = f"SELECT count(*) FROM pg_database WHERE starts_with(datname, '{server.prefix}')"
    assert answer(postgres.admin_url, query) == 0


def test_a_place_is_empty(place: Place) -> None:
    assert list(place.folder.iterdir()) == []
    engine = sqlalchemy.create_engine(place.url, poolclass=sqlalchemy.NullPool)
    inspector = sqlalchemy.inspect(engine)
    assert inspector.get_table_names() == []
    if place.dialect == "sqlite":
        assert place.namespace is None
        assert Path(sqlalchemy.make_url(place.url).database or "").parent == place.folder
    else:
        assert place.namespace == "registry"
        assert place.namespace not in inspector.get_schema_names()


def test_a_place_can_have_an_odd_namespace(place: Place, odd_namespace: str) -> None:
    assert place.namespace == (None if place.dialect == "sqlite" else odd_namespace)


@pytest.mark.parametrize("namespace", ["public", ODD_NAMESPACE])
def test_a_test_can_choose_its_namespaces(place: Place, namespace: str) -> None:
    assert place.namespace == (None if place.dialect == "sqlite" else namespace)
