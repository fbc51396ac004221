"""Digests of schemas: what clients stored, by the Butler registry format, section 15."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.digest import schema_digests
from registrytool.universe import Universe
from tests.support.content_states import CATALOG
from tests.support.format_facts import DIGESTS

if TYPE_CHECKING:
    from tests.support.places import Dialect


@pytest.mark.parametrize("dialect_name", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("name", "week"), DIGESTS)
def test_digests_are_those_that_clients_stored(name: str, week: str, dialect_name: Dialect) -> None:
    state = CATALOG.releases.find(week).state
    metadata = CATALOG.metadata(state, dialect_name)
    universe = Universe(CATALOG.universe_config(state["dimensions-config"]))
    digests = schema_digests(CATALOG, state, metadata, universe, dialect_name)
    found = {attribute.rpartition(".")[2]: digest for attribute, digest in digests.items()}
    assert found[name] == DIGESTS[name, week][dialect_name == "postgresql"]
