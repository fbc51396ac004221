"""Datastore bridge 0.2.1 (week 2025.21): the trash is keyed by dataset first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder


def tables(registry: Builder) -> None:
    base = registry.version("datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.0")
    base.location(registry)
    base.trash(
        registry,
        registry.reference("dataset", primary_key=True),
        sa.Column("datastore_name", sa.Text(), primary_key=True, comment="Name of the datastore."),
    )
