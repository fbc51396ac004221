"""Registries for the tests of the command line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import sqlite3
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

from registrytool.create import CreateOptions, create_repository
from tests.support.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer


#: Numbers of Linux (linux/capability.h).
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True)
class Registry:
    """A registry of its own for one test; the command line knows it as ``repo``."""

    place: Place

    @property
    def folder(self) -> Path:
        """Root of the repository."""
        return self.place.folder

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.folder / "gen3.sqlite3"

    @property
    def label(self) -> str:
        """What ``status`` has in parentheses."""
        return f"postgresql, namespace {self.place.namespace}" if self.place.namespace else "sqlite"

    def execute(self, *statements: str) -> None:
        """Change the registry behind the back of registrytool; names of tables follow ``{s}``."""
        with self.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("{s}", self._schema).replace("%", "%%"))

    def value(self, name: str) -> str:
        """Return an attribute."""
        with self.connect() as connection:
            query = f"SELECT value FROM {self._schema}butler_attributes WHERE name = '{name}'"
            return str(connection.exec_driver_sql(query).scalar_one())

    def set_value(self, name: str, value: str | None) -> None:
        """Change or remove an attribute."""
        with self.connect() as connection:
            delete = f"DELETE FROM {self._schema}butler_attributes WHERE name = :name"
            connection.execute(sa.text(delete), {"name": name})
            if value is not None:
                insert = f"INSERT INTO {self._schema}butler_attributes VALUES (:name, :value)"
                connection.execute(sa.text(insert), {"name": name, "value": value})

    def rename_value(self, pattern: str, value: str | None) -> str:
        """Change or remove the attribute whose name matches a pattern of SQL; return the name."""
        with self.connect() as connection:
            query = f"SELECT name FROM {self._schema}butler_attributes WHERE name LIKE :pattern"
            name = str(connection.scalars(sa.text(query), {"pattern": pattern}).one())
        self.set_value(name, value)
        return name

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end."""
        engine = sa.create_engine(self.place.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            yield connection

    def trace(self) -> Any:
        """Return all that writing would change: bytes and times of files, rows with their place and transaction."""
        files = {
            path.relative_to(self.folder): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.folder.rglob("*")
            if path.is_file()
        }
        if self.place.dialect == "sqlite":
            return files
        with self.connect() as connection:
            # A relfilenode changes when a table is written again; xmin and ctid when a row is.
            catalog = connection.exec_driver_sql(
                "SELECT n.nspname, c.relname, c.relkind, c.relfilenode, c.xmin::text FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
                "WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema' ORDER BY 1, 2"
            ).all()
            quote = connection.dialect.identifier_preparer.quote_identifier
            rows = {
                (schema, name): connection.execute(
                    sa.text(
                        f"SELECT xmin::text, ctid::text, t::text FROM {quote(schema)}.{quote(name)} AS t ORDER BY ctid"
                    )
                ).all()
                for schema, name, kind, *_ in catalog
                if kind == "r"
            }
            schemas = connection.exec_driver_sql("SELECT nspname FROM pg_namespace ORDER BY 1").scalars().all()
        return files, catalog, rows, schemas

    @property
    def _schema(self) -> str:
        namespace = self.place.namespace
        return "" if namespace is None else '"' + namespace.replace('"', '""') + '".'


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a folder of its own, without settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "DAF_BUTLER_REPOSITORY_INDEX",
        "DAF_BUTLER_REPOSITORIES",
        "LSST_DB_AUTH",
        "LSST_DB_AUTH_CREDENTIALS",
        "PGPASSWORD",
        "PGPASSFILE",
        "REGISTRYTOOL_FORMAT",
        "REGISTRYTOOL_CONTENT",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def password(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let libpq find the password of `place` in the environment, as ``butler.yaml`` does not hold it."""
    found = sa.make_url(place.url).password or ""
    if place.dialect == "postgresql":
        monkeypatch.setenv("PGPASSWORD", found)
    return found


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Any, Place]]:
    """Registries that have been made once, to be copied."""
    made: dict[Any, Place] = {}
    yield made
    made.clear()


@pytest.fixture
def registry_at(
    place: Place,
    password: str,
    templates: dict[Any, Place],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Registry]]:
    """Return a function that makes the registry of this test, at some targets."""
    with contextlib.ExitStack() as stack:
        yield partial(_registry, stack, place, templates, tmp_path_factory, request)


@pytest.fixture
def registry(registry_at: Callable[..., Registry]) -> Registry:
    """Make a registry of the newest versions."""
    return registry_at()


@pytest.fixture
def old_registry(registry_at: Callable[..., Registry]) -> Registry:
    """Make a registry from which two steps lead to the newest one."""
    return registry_at("newest", "dimensions-config=7", "datasets=1.0.0")


def _registry(
    stack: contextlib.ExitStack,
    place: Place,
    templates: dict[Any, Place],
    folders: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    *targets: str,
) -> Registry:
    key = (place.dialect, place.namespace, targets)
    server: PostgresServer | None = request.getfixturevalue("postgres") if place.dialect == "postgresql" else None
    if key not in templates:
        folder = folders.mktemp("template")
        url = server.new_database() if server else f"sqlite:///{folder / 'gen3.sqlite3'}"
        db = url if server else None
        create_repository(folder, CreateOptions(db=db, namespace=place.namespace, at=targets))
        templates[key] = Place(place.dialect, url, place.namespace, folder)
    template = templates[key]
    shutil.copytree(template.folder, place.folder, dirs_exist_ok=True)
    if server is None:
        return Registry(place)
    url = server.new_database(template.url)
    stack.callback(server.drop_database, url)
    path = place.folder / "butler.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["registry"]["db"] = sa.make_url(url)._replace(password=None).render_as_string()
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return Registry(replace(place, url=url))


def sqlite_rows(path: Path, query: str) -> list[Any]:
    """Return rows of an SQLite file, which is not changed."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


class Limits:
    """Puts limits on this process, for as long as a test needs them."""

    @contextlib.contextmanager
    def permissions_bind(self) -> Iterator[None]:
        """Take away what lets root write where permission bits forbid it (Linux: two capabilities)."""
        if os.geteuid() != 0:
            yield
            return
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        data = (ctypes.c_uint32 * 6)()
        if libc.capget(header, data) != 0:
            raise OSError(ctypes.get_errno(), "capget")
        all_of_them = data[0]
        data[0] = all_of_them & ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
        if libc.capset(header, data) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        try:
            yield
        finally:
            data[0] = all_of_them
            libc.capset(header, data)

    @contextlib.contextmanager
    def file_size(self, size_bytes: int) -> Iterator[None]:
        """Let no file grow beyond a size; Python ignores the signal, and the write fails."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def limits() -> Limits:
    """Return what puts limits on this process."""
    return Limits()


@pytest.fixture
def sqlite_registry(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    templates: dict[Any, Place],
    tmp_path_factory: pytest.TempPathFactory,
) -> Registry:
    """Make a registry from which two steps lead to the newest one, in SQLite."""
    folder = tmp_path / "repo"
    folder.mkdir()
    place = Place("sqlite", f"sqlite:///{folder / 'gen3.sqlite3'}", None, folder)
    targets = ("newest", "dimensions-config=7", "datasets=1.0.0")
    return _registry(contextlib.ExitStack(), place, templates, tmp_path_factory, request, *targets)
