"""Definitions of tables, which are made when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.errors import ContentError

if TYPE_CHECKING:
    from registrytool.builder import Builder


def definitions(dialect: str = "sqlite", namespace: str | None = None) -> Builder:
    """Return those of the newest state, which nobody has asked for a table yet."""
    catalog = Catalog()
    return catalog.definitions(catalog.newest_state(), dialect, namespace=namespace)


def test_a_table_is_made_when_it_is_asked_for_and_no_other_one() -> None:
    some = definitions()

    found = some.find("dataset")

    assert found is not None
    assert [t.name for t in found.metadata.tables.values()] == ["dataset"]
    assert some.find("dataset") is found


def test_what_is_defined_is_known_before_it_is_made() -> None:
    some = definitions("postgresql", "some.schema")

    assert "detector" in some
    assert "detektor" not in some
    assert some.find("detektor") is None
    some.find("detector")
    assert "detector" in some


@pytest.mark.parametrize("namespace", [None, "registry", "with.dots"])
def test_the_order_of_tables_does_not_tell_which_was_asked_for_first(namespace: str | None) -> None:
    whole = definitions("postgresql", namespace).metadata
    some = definitions("postgresql", namespace)

    for name in ("visit", "dataset", "collection"):
        some.find(name)

    assert list(some.metadata.tables) == list(whole.tables)
    assert [t.name for t in some.metadata.sorted_tables] == [t.name for t in whole.sorted_tables]


def test_foreign_keys_lead_to_tables_that_are_made_later() -> None:
    some = definitions("postgresql", "with.dots")
    tags = some.find("collection_chain")
    assert tags is not None

    tables = some.metadata.tables

    targets = {key.column for key in tags.foreign_keys}
    assert targets == {tables["with.dots.collection"].c.collection_id}


def test_what_is_defined_after_all_was_made_comes_along() -> None:
    some = definitions()
    before = len(some.metadata.tables)

    some.table("another", sa.Column("id", sa.Integer(), primary_key=True))

    assert len(some.metadata.tables) == before + 1
    assert list(some.metadata.tables)[-1] == "another"


def test_a_table_cannot_be_defined_twice() -> None:
    with pytest.raises(ContentError, match="The table dataset is defined twice"):
        definitions().table("dataset", sa.Column("id", sa.Integer(), primary_key=True))


def test_definitions_for_sqlite_have_nothing_for_postgresql() -> None:
    found = [i for t in definitions().metadata.tables.values() for i in t.indexes]

    assert found
    assert not any(i.dialect_kwargs for i in found)
