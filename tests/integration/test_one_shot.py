"""Registries that the one-shot scripts of the existing migration tool left, with its defects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.models import ComponentVersion
from registrytool.naming import revision_id
from registrytool.status import registry_status, stamp_registry
from registrytool.verify import verify_registry
from tests.integration.test_drift import execute, with_not_null, without_not_null
from tests.migration.test_steps import never_null
from tests.support.content_states import CATALOG
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import fill_registry, read_content

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place

OBSCORE = """
namespace: {namespace}
version: 1
collection_type: RUN
dataset_types: {{}}
obs_collection: check
facility_name: Nowhere
"""


def columns_last_sqlite(repository: Repository, table: str, column: str) -> None:
    """Write a table again with a column at its end and a name for its key, as Alembic's batch mode does."""
    with Database.of(repository).write("defect") as connection:
        quoted = connection.dialect.identifier_preparer.quote(table)
        sql = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table})
        query = "SELECT sql FROM sqlite_master WHERE tbl_name = :name AND type = 'index' AND sql IS NOT NULL"
        indexes = connection.scalars(sa.text(query), {"name": table}).all()
        lines = sql.splitlines()
        line = next(one for one in lines if one.startswith(f"\t{column} "))
        lines.remove(line)
        first = next(n for n, one in enumerate(lines) if re.match(r"\t(CONSTRAINT|PRIMARY|FOREIGN)", one))
        lines.insert(first, line)
        changed = "\n".join(lines).replace("\tPRIMARY KEY", f'\tCONSTRAINT "{table}_pkey" PRIMARY KEY')
        names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({quoted})")]
        listed = ", ".join(names)
        for statement in (
            changed.replace(f"CREATE TABLE {quoted}", "CREATE TABLE new_table"),
            f"INSERT INTO new_table ({listed}) SELECT {listed} FROM {quoted}",
            f"DROP TABLE {quoted}",
            f"ALTER TABLE new_table RENAME TO {quoted}",
            *indexes,
        ):
            connection.exec_driver_sql(statement)


def columns_last_postgresql(repository: Repository, table: str, column: str) -> None:
    """Put a column at the end of a table: a new one is filled, the old one dropped, its constraints made again."""
    database = Database.of(repository)
    with database.write("defect") as connection:
        quote = connection.dialect.identifier_preparer.quote
        connection.execute(sa.text(f"SET LOCAL search_path = {quote(str(database.namespace))}, public"))
        constraints = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(:name)"
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = :namespace AND tablename = :name"
        values = {"name": quote(table)}
        before = {row[0]: row[1] for row in connection.execute(sa.text(constraints), values)}
        shapes = connection.execute(sa.text(indexes), {"namespace": database.namespace, "name": table}).all()
        (kind,) = (
            c["type"] for c in sa.inspect(connection).get_columns(table, database.namespace) if c["name"] == column
        )
        name = quote(table)
        for statement in (
            f"ALTER TABLE {name} ADD COLUMN new_column {kind.compile(connection.dialect)}",
            f"UPDATE {name} SET new_column = {column}",
            f"ALTER TABLE {name} DROP COLUMN {column} CASCADE",
            f"ALTER TABLE {name} RENAME COLUMN new_column TO {column}",
            f"ALTER TABLE {name} ALTER COLUMN {column} SET NOT NULL",
        ):
            connection.exec_driver_sql(statement)
        left = {row[0] for row in connection.execute(sa.text(constraints), values)}
        for constraint in sorted(before.keys() - left, key=lambda c: before[c].startswith("FOREIGN")):
            connection.exec_driver_sql(f"ALTER TABLE {name} ADD CONSTRAINT {quote(constraint)} {before[constraint]}")
        present = {
            row[0] for row in connection.execute(sa.text(indexes), {"namespace": database.namespace, "name": table})
        }
        for index, sql in shapes:
            if index not in present:
                connection.exec_driver_sql(sql)


def test_what_the_one_shot_scripts_left_comes_out_exact(place: Place) -> None:
    repository = make(place, "w_2022_23")
    fill_registry(repository, never_null=never_null(verify_registry(repository).state))
    before = read_content(repository)
    move = columns_last_sqlite if place.dialect == "sqlite" else columns_last_postgresql
    for table in before:
        if table.startswith(("dataset_tags_", "dataset_location", "file_datastore_records")):
            move(repository, table, "dataset_id")
    move(repository, "dataset_calibs_00000001", "collection_id")
    if place.dialect == "postgresql":
        execute(repository, "ALTER TABLE collection DROP CONSTRAINT collection_unq_name")
    for make_drift in (with_not_null("detector", "full_name"), without_not_null("physical_filter", "band")):
        make_drift(repository, place)
    # The mapping that the script works with, from a run that was broken off.
    execute(repository, "CREATE TABLE migration_id2uuid (id BIGINT, uuid CHAR(32))")

    found = verify_registry(repository)
    assert found.unknown == ()
    assert {d.drift for d in found.differences} == {
        "alternate-key-not-null",
        "implied-dimension-null",
        "primary-key-name" if place.dialect == "sqlite" else "collection-name-not-unique",
    }
    execute(repository, "DROP TABLE migration_id2uuid")

    migrate(repository, "newest", has_simulated="0")

    assert_clean(repository, CATALOG.newest_state())
    after = read_content(repository)
    for table in before:
        if table.startswith(("dataset_", "collection", "run", "file_datastore_records")):
            columns = sorted(before[table].columns)
            assert after[table].of(columns) == before[table].of(columns), table


@pytest.mark.parametrize(("namespace", "stamp"), [("embargo", "4fe28ef5030f"), ("daf_butler_obscore", "a48f69d2f825")])
def test_stamps_of_obscore_configurations_are_understood(
    namespace: str, stamp: str, place: Place, tmp_path: Path
) -> None:
    assert stamp == revision_id("obscore-config", namespace, "1")
    config = tmp_path / "obscore.yaml"
    config.write_text(OBSCORE.format(namespace=namespace), encoding="utf-8")
    repository = make(place, "w_2024_13")

    migrate(repository, "obscore=0.0.1", obscore_config=str(config))

    assert stamp in stamp_registry(repository).after
    status = {c.component: c for c in registry_status(repository).components}
    assert (status["obscore-config"].implementation, status["obscore-config"].revision) == (namespace, stamp)
    migrate(repository, "newest")
    found = verify_registry(repository)
    assert found.state.components["obscore-config"] == ComponentVersion("obscore-config", namespace, "1")
    assert (found.differences, found.notes) == ((), ())
    assert stamp in stamp_registry(repository).before
    # The root of the tree is stamped by the existing tool for a component that is not there.
    migrate(repository, "obscore=none")
    root = revision_id("obscore-config")
    execute(repository, f"INSERT INTO alembic_version VALUES ('{root}')")
    assert migrate(repository, "dimensions-config=7").plan.steps
    assert_clean(repository)
