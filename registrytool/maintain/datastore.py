"""Datastores: where ``butler.yaml`` says that files are, and the records that a registry keeps of them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from registrytool.config import parse_yaml
from registrytool.errors import ConfigurationError, RegistryStateError

from .collections import insert_missing
from .idlist import among
from .pieces import chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.repository import Repository

    from .datasets import DatasetId
    from .session import Session

#: What stands in the records where a file is of no component.
NO_COMPONENT = "__NULL_STRING__"
LOCATION, TRASH, OPAQUE = "dataset_location", "dataset_location_trash", "opaque_meta"
_ROOT_TAG = "<butlerRoot>"
_RECORDS = "file_datastore_records"


@dataclass(frozen=True, slots=True)
class Datastore:
    """A datastore that keeps files.

    Attributes
    ----------
    name : `str`
        What the registry calls it.
    root : `str`
        Folder, or URI of one, without a slash at its end.
    records_table : `str`
        Table with a record for each of its files.
    """

    name: str
    root: str
    records_table: str

    @property
    def is_local(self) -> bool:
        """Whether its files are in a folder of this machine."""
        return not urlsplit(self.root).scheme or self.root.startswith("file:")

    def uri(self, path: str) -> str:
        """Return where the file of a record is.

        Parameters
        ----------
        path : `str`
            Path of the record: relative to the root, or an absolute path or URI.
        """
        if urlsplit(path).scheme or path.startswith("/"):
            return path
        return f"{self.root}/{path}"


def load_datastores(repository: Repository) -> tuple[Datastore, ...]:
    """Read from ``butler.yaml`` which datastores keep files.

    Parameters
    ----------
    repository : `Repository`
        The repository.

    Returns
    -------
    datastores : `tuple` [`Datastore`, ...]
        Those of a chain in their order; datastores in memory are left out.

    Raises
    ------
    ConfigurationError
        The registry was named by the URL of its database, or the file says nothing of datastores.
    """
    if repository.config_file is None or repository.root is None:
        message = f"Where the files of {repository.name} are is written in a butler.yaml, and a database was named."
        raise ConfigurationError(message, hint="Name the repository by its folder or its butler.yaml.")
    try:
        config = parse_yaml(repository.config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"Cannot read {repository.config_file}: {error}."
        raise ConfigurationError(message) from error
    found = config.get("datastore") if isinstance(config, dict) else None
    datastores = tuple(_walk(found, str(repository.root))) if isinstance(found, dict) else ()
    if not datastores:
        message = f"{repository.config_file} names no datastore that keeps files."
        raise ConfigurationError(message, hint="It needs an entry datastore with cls and root.")
    return datastores


def _walk(config: Mapping[str, Any], butler_root: str) -> Iterator[Datastore]:
    children = config.get("datastores")
    if isinstance(children, list):
        for child in children:
            if isinstance(child, dict):
                yield from _walk(child, butler_root)
        return
    cls = str(config.get("cls") or "FileDatastore").rpartition(".")[2]
    if cls.startswith("InMemory"):
        return
    written = str(config.get("root") or _ROOT_TAG)
    records = config.get("records")
    table = records.get("table") if isinstance(records, dict) else None
    root = written.replace(_ROOT_TAG, butler_root)
    if not urlsplit(root).scheme and not root.startswith("/"):
        root = posixpath.join(butler_root, root)
    yield Datastore(str(config.get("name") or f"{cls}@{written}"), root.rstrip("/") or "/", str(table or _RECORDS))


def datastore_of(session: Session, name: str | None = None) -> Datastore:
    """Return a datastore: the first one, or the one of a name.

    Raises
    ------
    ConfigurationError
        There is none.
    """
    datastores = load_datastores(session.repository)
    found = next((d for d in datastores if name in (None, d.name)), None)
    if found is None:
        message = f"There is no datastore {name!r} in {session.repository.config_file}."
        raise ConfigurationError(message, hint=f"Its datastores are: {', '.join(d.name for d in datastores)}.")
    return found


def records_table(session: Session, repository: Repository | None = None, *, datastore: str | None = None) -> sa.Table:
    """Return the table with the records of the files of a datastore; it is made if it is missing.

    Parameters
    ----------
    session : `Session`
        The open registry.
    repository : `Repository`, optional
        The repository; by default that of the session.
    datastore : `str`, optional
        Name of the datastore; by default the first one.

    Returns
    -------
    table : `sqlalchemy.Table`
        The table.
    """
    del repository
    return ensure_records_table(session, datastore_of(session, datastore).records_table)


def ensure_records_table(session: Session, name: str) -> sa.Table:
    """Return a table for records of files; a Butler makes it when it first writes, and so does this."""
    opaque = session.table(OPAQUE)
    if name not in session.recorded.dynamic.record_tables:
        # The row is unique: of two who make the table at once, one waits here for the other.
        session.connection.execute(insert_missing(session, OPAQUE), {opaque.c.table_name.name: name})
        session.refresh()
        if name not in session.recorded.dynamic.record_tables:
            message = (
                f"The table {name} of the registry of {session.repository.name} has not the columns of file records."
            )
            raise RegistryStateError(message, hint="Check datastore.records.table in butler.yaml.")
    if name not in session.recorded.tables:
        session.table(name).create(session.connection, checkfirst=True)
        session.refresh()
    return session.table(name)


def store_records(session: Session, rows: Sequence[Mapping[str, Any]], *, datastore: str | None = None) -> None:
    """Record that datasets have files.

    Parameters
    ----------
    session : `Session`
        The open registry.
    rows : sequence of `~collections.abc.Mapping`
        One for each file: ``dataset_id``, ``path`` (relative to the root of the datastore, or an absolute URI),
        ``formatter``, ``storage_class``, and if known ``component``, ``checksum`` and ``file_size`` in bytes.
    datastore : `str`, optional
        Name of the datastore; by default the first one of ``butler.yaml``.

    Raises
    ------
    RegistryStateError
        A dataset has a record already.
    """
    if not rows:
        return
    store = datastore_of(session, datastore)
    table = ensure_records_table(session, store.records_table)
    locations = [{"datastore_name": store.name, "dataset_id": i} for i in dict.fromkeys(r["dataset_id"] for r in rows)]
    records = [
        {
            "dataset_id": row["dataset_id"],
            "path": row["path"],
            "formatter": row["formatter"],
            "storage_class": row["storage_class"],
            "component": row.get("component") or NO_COMPONENT,
            "checksum": row.get("checksum"),
            "file_size": row.get("file_size"),
        }
        for row in rows
    ]
    for part in chunks(locations):
        session.connection.execute(insert_missing(session, LOCATION), part)
    for part in chunks(records):
        statement = insert_missing(session, table.name).returning(table.c.dataset_id, table.c.component)
        inserted = {tuple(row) for row in session.connection.execute(statement, part)}
        taken = [row["dataset_id"] for row in part if (row["dataset_id"], row["component"]) not in inserted]
        if taken:
            shown = ", ".join(str(i) for i in taken[:5])
            message = f"{len(taken)} of the datasets have file records in {store.name} already: {shown}."
            raise RegistryStateError(message, hint="A dataset has one record for each component.")


def local_path(uri: str) -> str | None:
    """Return the path of a local file, `None` for a URI of somewhere else."""
    scheme = urlsplit(uri).scheme
    if not scheme:
        return uri
    return unquote(urlsplit(uri).path) if scheme == "file" else None


def file_uris(session: Session, ids: Sequence[DatasetId]) -> dict[DatasetId, tuple[str, ...]]:
    """Return where the files of datasets are.

    Parameters
    ----------
    session : `Session`
        The open registry.
    ids : sequence
        Identifiers.

    Returns
    -------
    uris : `dict`
        Places by identifier, in the order of the datastores; datasets without files are left out.

    Raises
    ------
    ConfigurationError
        Where the datastores are is not known.
    """
    found: dict[DatasetId, list[str]] = {}
    location = session.table(LOCATION)
    for store in load_datastores(session.repository):
        if store.records_table not in session.recorded.dynamic.record_tables:
            continue
        table = session.table(store.records_table)
        for part in chunks(ids):
            query = (
                sa.select(table.c.dataset_id, table.c.path)
                .join(location, location.c.dataset_id == table.c.dataset_id)
                .where(location.c.datastore_name == store.name, among(session, table.c.dataset_id, part))
                .order_by(table.c.component)
            )
            for row in session.rows(query):
                found.setdefault(row.dataset_id, []).append(store.uri(row.path))
    return {identifier: tuple(uris) for identifier, uris in found.items()}
