"""Where steps are run: registries at any state, on SQLite and, when it can be had, on PostgreSQL, in milliseconds.

A state is made once and copied for every use: a file on SQLite, a template database on PostgreSQL.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from registrytool.database import Database
from registrytool.digest import schema_digests
from registrytool.errors import ConfigurationError
from registrytool.executor import ConnectionExecutor
from registrytool.models import CONFIGURATIONS, MANAGERS, DynamicContent
from registrytool.reshape import Reshape
from registrytool.state import config_text, version_attributes, write_attributes
from registrytool.structure import Structure
from registrytool.universe import Universe

from .rows import fill_tables
from .server import start_server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.models import State

    from .server import Server

#: PostgreSQL schema of the registries.
NAMESPACE = "the registry"


class Laboratory:
    """Databases in which steps can be run; a context manager, after which nothing is left of them.

    Parameters
    ----------
    postgres_url : `str`, optional
        URL of a PostgreSQL server in which databases may be made; by default that of the environment, or programs on
        this machine.
    postgresql : `bool`, optional
        Whether to use PostgreSQL when it can be had.
    require_postgresql : `bool`, optional
        Whether it is a finding that it cannot be had.
    """

    def __init__(
        self, postgres_url: str | None = None, *, postgresql: bool = True, require_postgresql: bool = False
    ) -> None:
        self.require_postgresql = require_postgresql
        self._postgres_url = postgres_url
        self._wanted = postgresql or require_postgresql
        self._stack = contextlib.ExitStack()
        self._templates: dict[Any, sa.URL] = {}
        self._fingerprints: WeakKeyDictionary[Catalog, str] = WeakKeyDictionary()
        self.missing: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- databases --------------------------------------------------------

    @cached_property
    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="registrytool-check-")))

    @cached_property
    def server(self) -> Server | None:
        """The PostgreSQL server; `None` if there is none, and then ``missing`` says why."""
        if not self._wanted:
            self.missing = "PostgreSQL was not asked for."
            return None
        try:
            return self._stack.enter_context(start_server(self._postgres_url))
        except ConfigurationError as error:
            self.missing = error.message
            return None

    @property
    def dialects(self) -> tuple[str, ...]:
        """What there is of ``sqlite`` and ``postgresql``."""
        return ("sqlite",) if self.server is None else ("sqlite", "postgresql")

    @property
    def databases(self) -> tuple[str, ...]:
        """Names and versions of the databases, for reports."""
        import sqlite3

        names = [f"SQLite {sqlite3.sqlite_version}"]
        if self.server is not None:
            names.append(f"PostgreSQL {self.server.version}")
        return tuple(names)

    # -- registries -------------------------------------------------------

    @contextlib.contextmanager
    def registry(
        self,
        catalog: Catalog,
        state: State,
        dialect: str,
        *,
        rows: bool = False,
        never_null: Collection[tuple[str, str]] = (),
        groups: Sequence[tuple[str, ...]] | None = None,
        obscore: Mapping[str, Any] | None = None,
    ) -> Iterator[Database]:
        """Give a fresh registry.

        Parameters
        ----------
        catalog : `Catalog`
            The content.
        state : `State`
            Versions of the registry.
        dialect : `str`
            ``sqlite`` or ``postgresql``.
        rows : `bool`, optional
            Whether there are rows in every table.
        never_null : collection of `tuple` [`str`, `str`], optional
            Table and column of what may be NULL and shall not be.
        groups : sequence of `tuple` [`str`, ...], optional
            Required dimensions of the dataset types; by default some that the universe has.
        obscore : `~collections.abc.Mapping`, optional
            Configuration of the ObsCore table, if the state has one.

        Yields
        ------
        database : `Database`
            The registry, gone afterwards.
        """
        key = (
            self._fingerprint(catalog),
            config_text(catalog.universe(state)),
            frozenset(state.components.values()),
            dialect,
            rows,
            frozenset(never_null),
            groups,
            obscore and config_text(obscore),
        )
        if key not in self._templates:
            url = self._empty(dialect)
            database = Database(url, NAMESPACE if dialect == "postgresql" else None)
            try:
                with database.write("make a registry") as connection:
                    make_registry(connection, database.namespace, catalog, state, obscore)
                    if rows:
                        fill_tables(connection, database.namespace, catalog, never_null=never_null, groups=groups)
            except BaseException:
                self._drop(url)
                raise
            self._templates[key] = url
        url = self._clone(self._templates[key])
        try:
            yield Database(url, NAMESPACE if dialect == "postgresql" else None)
        finally:
            self._drop(url)

    def _fingerprint(self, catalog: Catalog) -> str:
        """Return what is the same for contents with the same schema files: their registries are the same."""
        if catalog not in self._fingerprints:
            digest = hashlib.blake2b()
            for layer in catalog.content.layers:
                for path in sorted((*layer.schemas.rglob("*.py"), *layer.schemas.glob("implementations.yaml"))):
                    digest.update(f"{path.relative_to(layer.schemas)}\n{path.stat().st_size}\n".encode())
                    digest.update(path.read_bytes())
            self._fingerprints[catalog] = digest.hexdigest()
        return self._fingerprints[catalog]

    def _empty(self, dialect: str) -> sa.URL:
        if dialect == "sqlite":
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".sqlite3", delete=False) as file:
                return sa.make_url(f"sqlite:///{file.name}")
        return self._require_server().make()

    def _clone(self, template: sa.URL) -> sa.URL:
        if template.get_backend_name() == "sqlite":
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".sqlite3", delete=False) as file:
                shutil.copyfile(str(template.database), file.name)
            return template.set(database=file.name)
        return self._require_server().make(template)

    def _drop(self, url: sa.URL) -> None:
        if url.get_backend_name() == "sqlite":
            Path(str(url.database)).unlink(missing_ok=True)
        else:
            self._require_server().drop(url)

    def _require_server(self) -> Server:
        if self.server is None:
            raise ConfigurationError(self.missing or "There is no PostgreSQL server.")
        return self.server


def make_registry(
    connection: sa.Connection,
    namespace: str | None,
    catalog: Catalog,
    state: State,
    obscore: Mapping[str, Any] | None = None,
) -> None:
    """Make an empty registry in an empty database.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database, in a transaction.
    namespace : `str` or `None`
        PostgreSQL schema, which is made.
    catalog : `Catalog`
        The content.
    state : `State`
        Versions of the registry.
    obscore : `~collections.abc.Mapping`, optional
        Configuration of the ObsCore table, if the state has one.
    """
    dialect = connection.dialect.name
    universe = catalog.universe(state)
    dynamic = DynamicContent(obscore=obscore)
    metadata = catalog.metadata(state, dialect, dynamic, universe=universe, namespace=namespace)
    if namespace is not None:
        quoted = connection.dialect.identifier_preparer.quote_schema(namespace)
        connection.exec_driver_sql(f"CREATE SCHEMA {quoted}")
    Reshape(Structure(dialect, {}), None, metadata).create(ConnectionExecutor(connection))
    attributes: dict[str, str] = {}
    if state.get("dimensions-config") is not None:
        attributes[CONFIGURATIONS["dimensions-config"]] = config_text(universe)
    for component in (*MANAGERS, "obscore"):
        version = state.get(component)
        if version is not None:
            attributes.update(version_attributes(catalog, version))
    if obscore is not None:
        attributes[CONFIGURATIONS["obscore-config"]] = config_text(obscore)
    if catalog.module(state["attributes"]).DIGESTS:
        attributes.update(schema_digests(catalog, state, metadata, Universe(universe), dialect))
    write_attributes(connection, namespace, attributes)
