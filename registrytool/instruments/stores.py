"""The datastore of a repository, as raw files and readings get into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from registrytool.config import parse_yaml
from registrytool.maintain.datasets import has_uuids
from registrytool.maintain.datastore import datastore_of
from registrytool.maintain.session import look

from .placement import LocalStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.datasets import IdMode
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository

    from .remote_placement import RemoteStore


def store_of(session: Session) -> LocalStore | RemoteStore:
    """Return the datastore of a repository.

    Raises
    ------
    ConfigurationError
        Its files are not on this machine, and lsst-resources is not installed or does not know where they are.
    """
    datastore, repository, catalog = datastore_of(session), session.repository, session.catalog

    def known(paths: Sequence[str]) -> set[str]:
        return known_paths(repository, paths, catalog=catalog)

    if datastore.is_local:
        root = datastore.root
        return LocalStore(unquote(urlsplit(root).path) if "://" in root else root, known)
    from .remote_placement import RemoteStore

    return RemoteStore(datastore.root, known)


def id_mode(session: Session) -> IdMode:
    """Return how ingested files are identified, as by the Butler: UUIDs follow from the data ID, numbers do not."""
    return "data_id_run" if has_uuids(session) else "uuid7"


def known_paths(repository: Repository, paths: Sequence[str], *, catalog: Catalog | None = None) -> set[str]:
    """Return which of some paths in the datastore the registry has records of."""

    def known(session: Session) -> set[str]:
        found: set[str] = set()
        name = datastore_of(session).records_table
        if not session.has_table(name) or name not in session.recorded.tables:
            return found
        table = session.table(name)
        for start in range(0, len(paths), 500):
            query = sa.select(table.c.path).where(table.c.path.in_(list(paths[start : start + 500])))
            found.update(session.connection.scalars(query))
        return found

    return look(repository, known, catalog=catalog)


def file_templates(repository: Repository) -> Any:
    """Return ``datastore.templates`` of ``butler.yaml``."""
    if repository.config_file is None:
        return None
    config = parse_yaml(repository.config_file.read_text(encoding="utf-8"))
    datastore = config.get("datastore") if isinstance(config, dict) else None
    return datastore.get("templates") if isinstance(datastore, dict) else None
