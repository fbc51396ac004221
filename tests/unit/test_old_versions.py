"""Versions of 2020: their tables are those that clients made, by the digests that these stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.digest import schema_digests
from registrytool.encoded import encode, encoded_text
from registrytool.errors import ContentError
from registrytool.models import ComponentVersion
from registrytool.universe import Universe
from tests.support.content_states import CATALOG
from tests.support.format_facts import OLD_DIGESTS, OLD_NAME_KEY_DIGESTS

if TYPE_CHECKING:
    from registrytool.models import State
    from tests.support.places import Dialect


def _digests(state: State, dialect: str, metadata: sa.MetaData | None = None) -> dict[str, str]:
    universe = Universe(CATALOG.universe(state))
    found = schema_digests(CATALOG, state, metadata or CATALOG.metadata(state, dialect), universe, dialect)
    return {attribute.rpartition(".")[2]: digest for attribute, digest in found.items()}


@pytest.mark.parametrize("dialect_name", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("name", "week"), OLD_DIGESTS)
def test_tables_of_old_versions_are_those_that_clients_made(name: str, week: str, dialect_name: Dialect) -> None:
    state = CATALOG.releases.find(week).state
    # Its own catalogue: the definitions are changed.
    metadata = Catalog.find().metadata(state, dialect_name)
    if (name, week) == ("ByDimensionsDatasetRecordStorageManager", "w_2020_32"):
        # Known drift: the column became wider in week 2020.37.
        metadata.tables["dataset_type"].c.dimensions_encoded.type = sa.VARCHAR(4)
    assert _digests(state, dialect_name, metadata)[name] == OLD_DIGESTS[name, week][dialect_name == "postgresql"]


@pytest.mark.parametrize(("week", "version"), OLD_NAME_KEY_DIGESTS)
def test_tables_of_collections_with_names_as_keys_are_those_that_clients_made(week: str, version: str) -> None:
    state = CATALOG.releases.find(week).state
    state = state.replace(ComponentVersion("collections", "NameKeyCollectionManager", version))
    assert _digests(state, "sqlite")["NameKeyCollectionManager"] == OLD_NAME_KEY_DIGESTS[week, version]


def test_sqlite_cannot_hold_the_first_collections_with_names_as_keys() -> None:
    state = CATALOG.releases.find("w_2020_32").state
    state = state.replace(ComponentVersion("collections", "NameKeyCollectionManager", "0.1.0"))
    with pytest.raises(ContentError) as caught:
        CATALOG.metadata(state, "sqlite")
    assert caught.value.message == ("SQLite cannot hold registries with collections NameKeyCollectionManager 0.1.0.")
    assert CATALOG.metadata(state, "postgresql").tables


def test_dimensions_are_encoded_with_what_they_need_and_imply() -> None:
    universe = Universe(CATALOG.universe(CATALOG.releases.find("w_2020_39").state))
    # band, htm1 to htm24, instrument, skymap, detector, physical_filter, subfilter, tract, visit_system, exposure, ...
    assert encode(universe, []) == bytes(5)
    assert encode(universe, ["detector"]) == (1 << 25 | 1 << 27).to_bytes(5, "big")
    assert encode(universe, ["exposure"]) == (1 | 1 << 25 | 1 << 28 | 1 << 32).to_bytes(5, "big")
    assert encode(universe, ["htm7"]) == (1 << 7).to_bytes(5, "big")
    assert encoded_text(bytes(5)) == "AAAAAAA="
