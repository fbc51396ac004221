"""Reading the structure of tables that nobody of ours made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.introspect import read_structure
from registrytool.structure import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    Sequence,
    Structure,
    Table,
    Unique,
    differences,
    from_metadata,
)
from tests.support.content_states import CATALOG
from tests.support.registries import make

if TYPE_CHECKING:
    from tests.support.places import Place
    from tests.support.postgres import PostgresServer


def sqlite(*statements: str) -> Structure:
    with sa.create_engine("sqlite://").connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        return read_structure(connection)


def sqlite_table(sql: str) -> Table:
    (table,) = sqlite(sql).tables.values()
    return table


def test_sqlite_columns_are_read() -> None:
    table = sqlite_table("CREATE TABLE t (a  varchar (3) NOT NULL DEFAULT 'x', b, c INTEGER DEFAULT (1 + 2))")
    assert list(table.columns.values()) == [
        Column("a", "VARCHAR (3)", nullable=False, default="'x'"),
        Column("b", "", nullable=True),
        Column("c", "INTEGER", nullable=True, default="1 + 2"),
    ]


def test_sqlite_names_in_all_quotes_are_read() -> None:
    table = sqlite_table(
        'CREATE TABLE "odd ""table, (" ("a""b" INT, [c d] INT, `e``f` INT, \'g h\' INT, '
        'CONSTRAINT "p k" PRIMARY KEY ("a""b", [c d]), CONSTRAINT [u q] UNIQUE (`e``f`, \'g h\'))'
    )
    assert table.name == 'odd "table, ('
    assert list(table.columns) == ['a"b', "c d", "e`f", "g h"]
    assert (table.primary_key, table.primary_key_name) == (('a"b', "c d"), "p k")
    assert table.uniques == (Unique("u q", ("e`f", "g h")),)


def test_sqlite_comments_are_skipped_and_what_looks_like_one_is_not() -> None:
    table = sqlite_table(
        'CREATE TABLE t ( -- UNIQUE (a), "\n'
        "  a TEXT /* , CHECK (a > 'x') */ DEFAULT '-- no comment',\n"
        '  "b--b" TEXT CHECK ("b--b" <> \'/*\') -- the end\n'
        ")"
    )
    assert list(table.columns) == ["a", "b--b"]
    assert table.columns["a"].default == "'-- no comment'"
    assert table.checks == (Check(None, "\"b--b\"<>'/*'"),)
    assert table.uniques == ()


def test_sqlite_constraints_of_columns_are_read_with_their_own_names() -> None:
    table = sqlite_table(
        "CREATE TABLE t (id INTEGER CONSTRAINT pk PRIMARY KEY AUTOINCREMENT, "
        "a TEXT CONSTRAINT nn NOT NULL UNIQUE CONSTRAINT ck CHECK (length(a) > 1), "
        "b TEXT CONSTRAINT df DEFAULT 'x' CHECK (b <> ''), "
        "c TEXT COLLATE NOCASE CONSTRAINT uq UNIQUE ON CONFLICT REPLACE)"
    )
    assert (table.primary_key, table.primary_key_name) == (("id",), "pk")
    assert table.uniques == (Unique(None, ("a",)), Unique("uq", ("c",)))
    assert table.checks == (Check(None, "b<>''"), Check("ck", "length(a)>1"))


def test_sqlite_foreign_keys_are_read_in_all_spellings() -> None:
    structure = sqlite(
        "CREATE TABLE parent (id INTEGER, name TEXT, PRIMARY KEY (id, name))",
        "CREATE TABLE child (a INTEGER REFERENCES parent (id) ON DELETE SET NULL NOT NULL, b TEXT, "
        "c INT CONSTRAINT named REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED, "
        "FOREIGN KEY (a, b) REFERENCES parent ON UPDATE CASCADE ON DELETE NO ACTION, "
        'CONSTRAINT "f k" FOREIGN KEY (b) REFERENCES "parent" ("name") MATCH FULL NOT DEFERRABLE)',
    )
    assert set(structure.tables["child"].foreign_keys) == {
        ForeignKey(None, ("a",), "parent", ("id",), "SET NULL"),
        ForeignKey("named", ("c",), "parent", ("id",), deferrable=True),
        # Without columns the primary key is meant.
        ForeignKey(None, ("a", "b"), "parent", ("id", "name"), onupdate="CASCADE"),
        ForeignKey("f k", ("b",), "parent", ("name",)),
    }
    assert structure.tables["child"].columns["a"].nullable is False


def test_sqlite_indexes_are_read_but_not_those_of_constraints() -> None:
    structure = sqlite(
        "CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT UNIQUE)",
        'CREATE UNIQUE INDEX "i x" ON t (b, a)',
        "CREATE INDEX expressions ON t (lower(a), b)",
    )
    assert structure.tables["t"].indexes == (
        Index("expressions", ("(expression)", "b")),
        Index("i x", ("b", "a"), unique=True),
    )


def test_sqlite_generated_columns_and_checks_with_parentheses_are_read() -> None:
    table = sqlite_table("CREATE TABLE t (a INT, b INT AS ((a + 1) * 2) STORED, CHECK ((a > 0) OR (a IN (-1, -2))))")
    assert table.checks == (Check(None, "(a>0)OR(a IN(-1,-2))"),)


def test_tables_of_sqlite_itself_are_not_read_and_virtual_ones_are() -> None:
    structure = sqlite(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = 'porter ascii')",
    )
    assert "sqlite_sequence" not in structure.tables
    assert structure.tables["words"].checks == ()


def test_a_table_that_was_made_from_a_query_is_read() -> None:
    structure = sqlite("CREATE TABLE a (x INT NOT NULL)", "CREATE TABLE b AS SELECT x, x + 1 AS y FROM a")
    assert list(structure.tables["b"].columns) == ["x", "y"]
    assert structure.tables["b"].primary_key == ()


def test_a_definition_that_cannot_be_understood_is_refused() -> None:
    from registrytool.introspect import _Definition

    with pytest.raises(RegistryStateError, match="a parenthesis is not closed"):
        _Definition("CREATE TABLE t (a INT")


ODD = 'odd "näme-space'


def test_postgresql_tables_are_read(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    script = """
        CREATE SCHEMA "odd ""näme-space"; SET search_path = "odd ""näme-space", public;
        CREATE TABLE "Par ent" (id bigint PRIMARY KEY, "na""me" varchar(32) DEFAULT 'it''s'::varchar);
        CREATE TABLE child (
            a bigint NOT NULL, b numeric(10, 2), span int8range DEFAULT '(,)'::int8range,
            CONSTRAINT pk PRIMARY KEY (a, span),
            CONSTRAINT uq UNIQUE (b) DEFERRABLE,
            CONSTRAINT fk FOREIGN KEY (a) REFERENCES "Par ent" (id) ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE,
            CONSTRAINT ck CHECK (b > 0),
            CONSTRAINT ex EXCLUDE USING gist (a WITH =, span WITH &&)
        );
        ALTER TABLE child ADD CONSTRAINT later FOREIGN KEY (a) REFERENCES "Par ent" (id) NOT VALID;
        CREATE INDEX plain ON child (b, a DESC);
        CREATE INDEX lowered ON "Par ent" (lower("na""me")) WHERE id > 5;
        CREATE UNIQUE INDEX uniq ON "Par ent" ("na""me");
        CREATE INDEX gisted ON child USING gist (span);
        CREATE SEQUENCE child_seq_a INCREMENT 5;
        COMMENT ON TABLE child IS 'words'; COMMENT ON COLUMN child.b IS 'words';
        ALTER TABLE child ADD COLUMN gone text; ALTER TABLE child DROP COLUMN gone;
        CREATE VIEW v AS SELECT 1 AS x; CREATE TABLE public.elsewhere (id int);
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(script)
    with engine.connect() as connection:
        structure = read_structure(connection, ODD)
    postgres.drop_database(url)

    assert structure.tables.keys() == {"Par ent", "child"}
    child, parent = structure.tables["child"], structure.tables["Par ent"]
    assert dict(child.columns) == {
        "a": Column("a", "bigint", nullable=False),
        "b": Column("b", "numeric(10,2)", nullable=True, comment=True),
        "span": Column("span", "int8range", nullable=False, default="'(,)'::int8range"),
    }
    assert (child.primary_key, child.primary_key_name, child.comment) == (("a", "span"), "pk", True)
    assert child.uniques == (Unique("uq", ("b",)),)
    assert child.checks == (Check("ck", "CHECK((b>(0)::numeric))"),)
    assert child.exclusions == (Exclusion("ex", "EXCLUDE USING gist(a WITH=,span WITH &&)"),)
    assert child.foreign_keys == (
        ForeignKey("fk", ("a",), "Par ent", ("id",), "CASCADE", "RESTRICT", deferrable=True),
        ForeignKey("later", ("a",), "Par ent", ("id",), validated=False),
    )
    assert child.indexes == (Index("gisted", ("span",), method="gist"), Index("plain", ("b", "a")))
    assert parent.indexes == (
        Index("lowered", ('lower("na""me"::text)', "WHERE (id > 5)")),
        Index("uniq", ('na"me',), unique=True),
    )
    assert structure.sequences == {"child_seq_a": Sequence("child_seq_a", increment=5)}
    assert "btree_gist" in structure.extensions


def test_what_is_created_is_read_as_what_was_defined(place: Place) -> None:
    from registrytool.database import Database

    repository = make(place)
    database = Database.of(repository)
    with database.read() as connection:
        found = read_structure(connection, database.namespace)
    metadata = CATALOG.metadata(CATALOG.newest_state(), place.dialect, namespace=place.namespace)
    assert differences(from_metadata(metadata, place.dialect), found) == []
