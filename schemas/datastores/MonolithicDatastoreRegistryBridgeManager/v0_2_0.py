"""Datastore bridge 0.2.0 (week 2020.39): which datastore holds which dataset, and what is to be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder


def _datastore_name() -> sa.Column[Any]:
    return sa.Column("datastore_name", sa.Text(), primary_key=True, comment="Name of the datastore.")


def tables(registry: Builder) -> None:
    location(registry)
    trash(registry, _datastore_name(), registry.reference("dataset", primary_key=True))


def location(registry: Builder) -> None:
    """Define the table of datasets that are stored."""
    registry.table(
        "dataset_location",
        _datastore_name(),
        registry.reference("dataset", primary_key=True),
        registry.reference_key("dataset"),
        comment="Datasets that are in a datastore: a row says that it is.",
    )


def trash(registry: Builder, *columns: sa.Column[Any]) -> None:
    """Define the table of datasets of which the files are still to be deleted; they may be gone otherwise."""
    registry.table("dataset_location_trash", *columns, comment="Datasets that have been removed from a datastore.")
