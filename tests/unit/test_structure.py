"""What differs between two structures, and how it is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from registrytool.reshape import add_constraint
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
    normal_expression,
    type_name,
)

TABLE = Table(
    "visit",
    {
        "id": Column("id", "bigint", nullable=False),
        "name": Column("name", "text", nullable=True, default="'x'::text", comment=True),
    },
    ("id",),
    "visit_pkey",
    (ForeignKey("fk", ("id",), "other", ("id",), "CASCADE"),),
    (Unique("unq", ("name",)),),
    (Check("len", "length(name)<=16"),),
    (Exclusion("excl", "EXCLUDE"),),
    (Index("idx", ("name", "id")),),
    comment=True,
)
STRUCTURE = Structure(
    "postgresql", {"visit": TABLE}, {"visit_seq_id": Sequence("visit_seq_id")}, frozenset({"btree_gist"})
)


def said(**changes: Any) -> list[str]:
    """Return what is said when the table that is found has these changes."""
    found = dataclasses.replace(STRUCTURE, tables={"visit": dataclasses.replace(TABLE, **changes)})
    return [str(d) for d in differences(STRUCTURE, found)]


def columns(**changes: Any) -> dict[str, Column]:
    return {**TABLE.columns, "name": dataclasses.replace(TABLE.columns["name"], **changes)}


def test_equal_structures_do_not_differ() -> None:
    assert differences(STRUCTURE, STRUCTURE) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"columns": columns(type="character varying(16)")},
            "visit: column name: type is 'character varying(16)', expected 'text'",
        ),
        ({"columns": columns(nullable=False)}, "visit: column name: nullable is False, expected True"),
        ({"columns": columns(default=None)}, "visit: column name: default is None, expected \"'x'::text\""),
        ({"columns": columns(comment=False)}, "visit: column name: comment is False, expected True"),
        ({"columns": {"id": TABLE.columns["id"]}}, "visit: column name is missing"),
        ({"columns": {**TABLE.columns, "z": Column("z", "text", nullable=True)}}, "visit: column z is unexpected"),
        ({"primary_key": ("id", "name")}, "visit: primary key visit: columns is 'id, name', expected 'id'"),
        ({"primary_key_name": "pk"}, "visit: primary key visit: name is 'pk', expected 'visit_pkey'"),
        ({"foreign_keys": ()}, "visit: foreign key fk is missing"),
        ({"uniques": ()}, "visit: unique constraint unq is missing"),
        ({"uniques": (Unique("unq", ("id",)),)}, "visit: unique constraint unq: columns is 'id', expected 'name'"),
        ({"uniques": (Unique("other", ("name",)),)}, "visit: unique constraint unq: name is 'other', expected 'unq'"),
        ({"uniques": (*TABLE.uniques, Unique(None, ("id",)))}, "visit: unique constraint (unnamed) is unexpected"),
        ({"checks": ()}, "visit: check len is missing"),
        (
            {"checks": (Check("len", "length(name)<=32"),)},
            "visit: check len: expression is 'length(name)<=32', expected 'length(name)<=16'",
        ),
        ({"exclusions": ()}, "visit: exclusion constraint excl is missing"),
        ({"indexes": ()}, "visit: index idx is missing"),
        ({"indexes": (Index("idx", ("id", "name")),)}, "visit: index idx: columns is 'id, name', expected 'name, id'"),
        ({"indexes": (Index("idx", ("name", "id"), unique=True),)}, "visit: index idx: unique is True, expected False"),
        (
            {"indexes": (Index("idx", ("name", "id"), method="gist"),)},
            "visit: index idx: method is 'gist', expected 'btree'",
        ),
        ({"indexes": (Index("idx", ("name", "id"), valid=False),)}, "visit: index idx: valid is False, expected True"),
        ({"indexes": (*TABLE.indexes, Index("mine", ("id",)))}, "visit: index mine is unexpected"),
        ({"comment": False}, "visit: comment visit is missing"),
    ],
)
def test_each_difference_is_said_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert said(**changes) == [sentence]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ondelete": "NO ACTION"}, "visit: foreign key fk: ondelete is 'NO ACTION', expected 'CASCADE'"),
        ({"onupdate": "CASCADE"}, "visit: foreign key fk: onupdate is 'CASCADE', expected 'NO ACTION'"),
        ({"target": "third"}, "visit: foreign key fk: target is 'third', expected 'other'"),
        ({"target_columns": ("name",)}, "visit: foreign key fk: target_columns is 'name', expected 'id'"),
        ({"deferrable": True}, "visit: foreign key fk: deferrable is True, expected False"),
        ({"validated": False}, "visit: foreign key fk: validated is False, expected True"),
        ({"name": "fk2"}, "visit: foreign key fk: name is 'fk2', expected 'fk'"),
    ],
)
def test_each_difference_of_a_foreign_key_is_said(change: dict[str, Any], sentence: str) -> None:
    assert said(foreign_keys=(dataclasses.replace(TABLE.foreign_keys[0], **change),)) == [sentence]


def test_an_unwanted_comment_is_no_difference() -> None:
    plain = dataclasses.replace(
        STRUCTURE, tables={"visit": dataclasses.replace(TABLE, columns=columns(comment=False), comment=False)}
    )
    assert differences(plain, STRUCTURE) == []


def test_the_order_of_columns_is_no_difference() -> None:
    assert said(columns=dict(reversed(list(TABLE.columns.items())))) == []


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"tables": {}}, "table visit is missing"),
        ({"tables": {"visit": TABLE, "z": TABLE}}, "table z is unexpected"),
        ({"sequences": {}}, "sequence visit_seq_id is missing"),
        (
            {"sequences": {"visit_seq_id": Sequence("visit_seq_id", increment=2)}},
            "sequence visit_seq_id: increment is 2, expected 1",
        ),
        ({"extensions": frozenset({"plpgsql"})}, "extension btree_gist is missing"),
    ],
)
def test_differences_of_whole_objects_are_said(found: dict[str, Any], sentence: str) -> None:
    assert [str(d) for d in differences(STRUCTURE, dataclasses.replace(STRUCTURE, **found))] == [sentence]


def test_differences_tell_what_is_missing_and_what_is_there() -> None:
    found = dataclasses.replace(STRUCTURE, tables={"visit": dataclasses.replace(TABLE, foreign_keys=())})
    (difference,) = differences(STRUCTURE, found)
    assert (difference.expected, difference.found) == ("(id) -> other(id) ON DELETE CASCADE", None)


@pytest.mark.parametrize(
    ("column_type", "sqlite", "in_postgresql"),
    [
        (sa.String(32), "VARCHAR(32)", "character varying(32)"),
        (sa.String(), "VARCHAR", "character varying"),
        (sa.Text(), "TEXT", "text"),
        (sa.BigInteger(), "BIGINT", "bigint"),
        (sa.SmallInteger(), "SMALLINT", "smallint"),
        (sa.Integer(), "INTEGER", "integer"),
        (sa.Float(), "FLOAT", "double precision"),
        (sa.Boolean(), "BOOLEAN", "boolean"),
        (sa.Uuid(), "CHAR(32)", "uuid"),
        (sa.LargeBinary(), "BLOB", "bytea"),
        (sa.TIMESTAMP(), "TIMESTAMP", "timestamp without time zone"),
    ],
)
def test_types_are_in_the_words_of_each_database(
    column_type: sa.types.TypeEngine[Any], sqlite: str, in_postgresql: str
) -> None:
    assert (type_name(column_type, "sqlite"), type_name(column_type, "postgresql")) == (sqlite, in_postgresql)


@pytest.mark.parametrize(
    "text",
    [
        'length("name")<=16 AND length("name")>=1',
        "length( name ) <= 16  AND length(name) >= 1",
        "length([name])<=16\nAND length(`name`)>=1",
    ],
)
def test_expressions_that_mean_the_same_are_the_same(text: str) -> None:
    assert normal_expression(text) == "length(name)<=16 AND length(name)>=1"


def test_table_definitions_become_a_structure() -> None:
    metadata = sa.MetaData(schema="odd")
    other = sa.Table("other", metadata, sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False))
    sa.Sequence("other_seq_id", metadata=metadata)
    table = sa.Table(
        "t",
        metadata,
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("span", postgresql.INT8RANGE(), server_default=sa.text("'(,)'::int8range"), comment="words"),
        sa.ForeignKeyConstraint(["id"], [other.c.id], name="fk", ondelete="CASCADE"),
        sa.UniqueConstraint("span", name="unq"),
        comment="words",
    )
    sa.Index("idx", table.c.span, postgresql_using="gist")

    structure = from_metadata(metadata, "postgresql")

    assert structure.tables["t"] == Table(
        "t",
        {
            "id": Column("id", "bigint", nullable=False),
            "span": Column("span", "int8range", nullable=True, default="'(,)'::int8range", comment=True),
        },
        ("id",),
        "t_pkey",
        (ForeignKey("fk", ("id",), "other", ("id",), "CASCADE"),),
        (Unique("unq", ("span",)),),
        (),
        (),
        (Index("idx", ("span",), method="gist"),),
        comment=True,
    )
    assert structure.sequences == {"other_seq_id": Sequence("other_seq_id")}
    assert structure.extensions == {"btree_gist"}


def test_adding_a_constraint_leaves_the_definition_of_its_table_alone() -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.BigInteger(), primary_key=True))
    before = str(CreateTable(table))

    assert str(add_constraint(table.primary_key)) == "ALTER TABLE t ADD PRIMARY KEY (id)"

    assert str(CreateTable(table)) == before
    assert "PRIMARY KEY (id)" in before
