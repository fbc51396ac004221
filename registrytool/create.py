"""Create a registry, and the repository around it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from .catalog import Catalog
from .database import Database, hide_password
from .digest import schema_digests
from .errors import (
    ConfigurationError,
    ContentError,
    DatabaseConnectionError,
    RegistryExistsError,
    RegistryStateError,
)
from .executor import ConnectionExecutor
from .models import CONFIGURATIONS, MANAGERS
from .repository import BUTLER_YAML, SQLITE_NAME, database_url
from .reshape import Reshape
from .state import config_text, version_attributes, write_attributes
from .structure import Structure
from .targets import wanted_state
from .universe import Universe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .models import State


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What the user asks of a new registry.

    Attributes
    ----------
    db : `str`, optional
        URL of the database; by default an SQLite file in the repository.
    namespace : `str`, optional
        PostgreSQL schema; it is made if it does not exist.
    at : `tuple` [`str`, ...]
        Releases, or ``component=version``, instead of the newest versions; ``collections=NameKey...`` is written
        ``collections=NameKeyCollectionManager/2.0.0``.
    universe : `pathlib.Path`, optional
        File with a dimension universe, of any namespace.
    universe_docs : `pathlib.Path`, optional
        File with a dimension universe from which to take the documentation strings.
    """

    db: str | None = None
    namespace: str | None = None
    at: tuple[str, ...] = ()
    universe: Path | None = None
    universe_docs: Path | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A registry that has been made."""

    repository: str
    url: str
    namespace: str | None
    state: State
    tables: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        from .models import to_plain

        result: dict[str, Any] = to_plain(self)
        return result


def create_repository(root: Path, options: CreateOptions | None = None, *, catalog: Catalog | None = None) -> Created:
    """Make a repository with an empty registry.

    If anything fails, nothing is left behind.

    Parameters
    ----------
    root : `pathlib.Path`
        Folder of the repository; it is made if it does not exist.
    options : `CreateOptions`, optional
        What is wanted.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    created : `Created`
        What was made.

    Raises
    ------
    RegistryExistsError
        There is a repository, or the namespace has tables.
    ConfigurationError
        The options contradict each other.
    UnknownVersionError
        A version is not known.
    """
    catalog, options = catalog or Catalog.find(), options or CreateOptions()
    state, universe = wanted_state(options.at, catalog, universe=options.universe, universe_docs=options.universe_docs)
    root = Path(os.path.abspath(root.expanduser()))  # noqa: PTH100 (keeps symbolic links, as the Butler does)
    config_file = root / BUTLER_YAML
    if os.path.lexists(config_file):
        message = f"There is a repository in {root} already."
        raise RegistryExistsError(message, hint="Choose another folder, or remove it first.")
    if root.exists() and not root.is_dir():
        message = f"{root} is a file, and a repository is a folder."
        raise RegistryExistsError(message, hint="Choose another place.")
    made = [p for p in (root, *root.parents) if not p.exists()]
    # Not by its text: a folder can have a question mark in its name.
    url = database_url(options.db) if options.db else sa.URL.create("sqlite", database=str(root / SQLITE_NAME))
    if url.get_backend_name() == "sqlite" and options.namespace:
        message = "A namespace was named, but SQLite has none."
        raise ConfigurationError(message, hint="Leave --namespace out, or name a PostgreSQL database with --db.")
    try:
        root.mkdir(parents=True, exist_ok=True)
        return _create(Database(url, options.namespace), root, options, state, universe, catalog)
    except BaseException as error:
        # Folders that are not empty stay: somebody else may be making a repository there in this very moment.
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        if not isinstance(error, OSError):
            raise
        message = f"Cannot make a repository in {root}: {error.strerror}."
        raise RegistryStateError(message, hint="Choose another place, or get the right to write there.") from error


def _create(
    database: Database,
    root: Path,
    options: CreateOptions,
    state: State,
    universe: Mapping[str, Any],
    catalog: Catalog,
) -> Created:
    path = Path(database.url.database or "") if database.dialect == "sqlite" else None
    made: list[Path] = []
    if path is not None:
        if path.exists():
            message = f"There is a database file {path} already."
            raise RegistryExistsError(message, hint="Choose another folder, or remove the file first.")
        try:
            path.touch(exist_ok=False)
            made.append(path)
        except OSError as error:
            message = f"Cannot make the database file {path}: {error.strerror}."
            raise RegistryStateError(message, hint="Choose another place, or get the right to write there.") from error
    try:
        with database.write(f"create a registry for {root}") as connection:
            warnings = _prepare_namespace(connection, database)
            metadata = _metadata(state, universe, catalog, database, options)
            Reshape(Structure(database.dialect, {}), None, metadata).create(ConnectionExecutor(connection))
            write_attributes(connection, database.namespace, _attributes(database, state, universe, catalog, metadata))
            config_file = root / BUTLER_YAML
            # Written before the transaction ends, and removed again if that fails; never that of somebody else.
            with config_file.open("x", encoding="utf-8") as stream:
                made.append(config_file)
                stream.write(_butler_yaml(root, options, state, catalog))
    except BaseException as error:
        for file in made:
            with contextlib.suppress(OSError):
                file.unlink()
        if isinstance(error, FileExistsError):
            message = f"There is a repository in {root} already."
            raise RegistryExistsError(message, hint="Choose another folder, or remove it first.") from error
        raise
    return Created(
        str(root), hide_password(database.url), database.namespace, state, len(metadata.tables), tuple(warnings)
    )


def _metadata(
    state: State, universe: Mapping[str, Any], catalog: Catalog, database: Database, options: CreateOptions
) -> sa.MetaData:
    try:
        return catalog.metadata(state, database.dialect, universe=universe, namespace=database.namespace)
    except ContentError as error:
        if options.universe is None:
            raise
        # Some faults of a universe are found only when its tables are defined.
        message = f"{options.universe} is not a dimension universe: {error.message[0].lower()}{error.message[1:]}"
        raise ConfigurationError(message, hint=error.hint) from error


def _prepare_namespace(connection: sa.Connection, database: Database) -> list[str]:
    """Check the database, and make the namespace."""
    if database.dialect == "sqlite":
        return []
    preparer = connection.dialect.identifier_preparer
    namespace = str(database.namespace)
    if not connection.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'btree_gist'")):
        try:
            with connection.begin_nested():
                connection.execute(sa.text("CREATE EXTENSION btree_gist"))
        except DBAPIError as error:
            message = "The database lacks the extension btree_gist, which the Butler needs."
            raise DatabaseConnectionError(
                message, hint="Ask an administrator to run: CREATE EXTENSION btree_gist;"
            ) from error
    inspector = sa.inspect(connection)
    if namespace not in inspector.get_schema_names():
        connection.execute(CreateSchema(namespace))
    elif tables := inspector.get_table_names(schema=namespace):
        message = f"The namespace {namespace} has tables already ({len(tables)}, such as {tables[0]})."
        raise RegistryExistsError(message, hint="Choose another one with --namespace.")
    if preparer.quote(namespace) != namespace:
        return [f"The Butler itself can only use namespaces that need no quotes, and {namespace} needs them."]
    return []


def _attributes(
    database: Database, state: State, universe: Mapping[str, Any], catalog: Catalog, metadata: sa.MetaData
) -> dict[str, str]:
    """Return what a new registry says about itself."""
    result: dict[str, str] = {}
    for component in MANAGERS:
        result.update(version_attributes(catalog, state[component]))
    if state.get("dimensions-config") is not None:
        result[CONFIGURATIONS["dimensions-config"]] = config_text(universe)
    if catalog.module(state["attributes"]).DIGESTS:
        result.update(schema_digests(catalog, state, metadata, Universe(universe), database.dialect))
    return result


def _butler_yaml(root: Path, options: CreateOptions, state: State, catalog: Catalog) -> str:
    """Return the configuration of a repository, without a password."""
    import yaml

    registry: dict[str, Any] = {
        "db": _shown_url(root, options.db),
        "managers": {c: catalog.configured_class(c, state[c].implementation) for c in sorted(MANAGERS)},
    }
    if options.namespace:
        registry["namespace"] = options.namespace
    config = {
        "datastore": {
            "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore",
            "records": {"table": "file_datastore_records"},
            "root": "<butlerRoot>",
        },
        "registry": registry,
    }
    return str(yaml.safe_dump(config, sort_keys=True, allow_unicode=True))


def _shown_url(root: Path, db: str | None) -> str:
    """Return the URL that ``butler.yaml`` gets: with the user that was named, and without a password."""
    if db is None:
        return f"sqlite:///<butlerRoot>/{SQLITE_NAME}"
    url = sa.make_url(db)
    if url.get_backend_name() != "sqlite":
        # psycopg2 is named, since newer versions of SQLAlchemy take another driver by default.
        query = {key: value for key, value in url.query.items() if key != "password"}
        return url.set(query=query, drivername="postgresql+psycopg2")._replace(password=None).render_as_string()
    file = Path(database_url(db).database or "").absolute()
    return f"sqlite:///<butlerRoot>/{file.relative_to(root)}" if file.is_relative_to(root) else f"sqlite:///{file}"
