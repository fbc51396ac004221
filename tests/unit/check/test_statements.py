"""SQL cut into statements."""

from __future__ import annotations

import pytest

from registrytool.check.statements import changed_tables, single_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; UPDATE a SET b = ';'; ", ["SELECT 1", "UPDATE a SET b = ';'"]),
        ("/* a; */ SELECT 1 -- b; c", ["SELECT 1"]),
        ("SELECT '--', \"a;b\", 1-1, 4/2", ["SELECT '--', \"a;b\", 1-1, 4/2"]),
        ("SELECT 'it''s;'", ["SELECT 'it''s;'"]),
        ("SELECT $a$; $$ ;$a$, 1", ["SELECT $a$; $$ ;$a$, 1"]),
        ("", []),
    ],
)
def test_statements_end_at_semicolons_that_are_not_part_of_one(text: str, statements: list[str]) -> None:
    assert list(single_statements(text)) == statements


def test_statements_of_a_block_follow_it() -> None:
    block = "DO $$ DECLARE n int; BEGIN IF n > 1 THEN UPDATE a SET b = 1; END IF; EXECUTE 'DROP TABLE c'; END $$"
    found = list(single_statements(block))
    assert found[0] == block
    assert {"UPDATE a SET b = 1", "DROP TABLE c"} <= set(found)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("INSERT INTO a VALUES (1)", {"a"}),
        ('UPDATE ONLY "the registry"."a ""b""" SET c = 1', {'a "b"'}),
        ("WITH old AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM old", {"a", "b"}),
        ("SELECT 1; delete from r.a", {"a"}),
        ("SELECT updated FROM a WHERE b = 'UPDATE c'", set()),
    ],
)
def test_tables_of_which_rows_change_are_named(text: str, tables: set[str]) -> None:
    assert changed_tables(text) == tables
