"""The real client reads and writes while an online migration is under way, and sees the same after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.online.engine import Pace
from registrytool.online.operation import OnlineOptions, migrate_online, resume_online
from registrytool.repository import open_repository
from tests.client.test_migrated import assert_clean, assert_same_content
from tests.support.fixtures import restore_postgresql
from tests.support.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.conftest import Client
    from tests.support.postgres import PostgresServer

TARGETS = ("datasets=2.0.0", "dimensions-config=7")


@pytest.fixture
def folder(postgres: PostgresServer, tmp_path: Path) -> Iterator[Path]:
    url = postgres.new_database()
    place = Place("postgresql", url, "registry", tmp_path / "repo")
    place.folder.mkdir()
    yield restore_postgresql("w2024_10", place.url, place.folder)
    postgres.drop_database(url)


@pytest.mark.slow
def test_the_client_writes_during_an_online_migration_and_reads_it_after(folder: Path, client: Client) -> None:
    repository = open_repository(str(folder))
    options = OnlineOptions(targets=TARGETS, accept_loss=True, pace=Pace(50, 0.0), hold=True)
    held = migrate_online(repository, options)
    assert held.held == "datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0 -> 2.0.0"
    client.content(folder, then_write=True)
    before = client.content(folder)

    resume_online(repository)

    assert_clean(folder, {"datasets": "2.0.0", "dimensions-config": "7"})
    assert_same_content(before, client.content(folder, then_write=True))
