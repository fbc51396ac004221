"""Datastore bridge 0.1.0 (week 2020.32): as 0.2.0, with names of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder


def _datastore_name() -> sa.Column[Any]:
    return sa.Column("datastore_name", sa.String(256), primary_key=True, comment="Name of the datastore.")


def tables(registry: Builder) -> None:
    registry.table(
        "dataset_location",
        _datastore_name(),
        registry.reference("dataset", primary_key=True),
        registry.reference_key("dataset"),
        comment="Datasets that are in a datastore: a row says that it is.",
    )
    registry.table(
        "dataset_location_trash",
        _datastore_name(),
        registry.reference("dataset", primary_key=True),
        comment="Datasets that have been removed from a datastore.",
    )
