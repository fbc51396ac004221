"""With a hundred thousand datasets, the client reads what it did before the migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.migrate import apply_migration
from registrytool.repository import open_repository
from registrytool.verify import verify_registry
from tests.client.conftest import password_of
from tests.support.content import compare_content

if TYPE_CHECKING:
    from tests.client.conftest import Client
    from tests.support.places import Place

DATASETS = 100_000


@pytest.mark.slow
def test_client_reads_the_same_from_a_migrated_registry_with_many_datasets(client: Client, place: Place) -> None:
    client.make(place, "--datasets-version", "1.0.0", "--datasets", DATASETS, universe=4)
    before = client.content(place.folder, password_of(place))
    assert len(before["datasets"]["bulk/run"]) == DATASETS
    repository = open_repository(str(place.folder), db=place.url)

    apply_migration(repository)

    after = client.content(place.folder, password_of(place), then_write=True)
    assert compare_content(before, after) == []
    dates = ({d["id"]: d["ingest_date_ns"] for d in content["datasets"]["bulk/run"]} for content in (before, after))
    assert next(dates) == next(dates)
    assert verify_registry(repository).differences == ()
