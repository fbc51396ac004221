"""Restore the repositories in ``tests/data/fixtures``, which real clients of several ages wrote.

``scripts/make-fixtures`` made them. Each is there for SQLite and for PostgreSQL, with the same content, and with what
its own client saw in it (``client_content.py``).
"""

from __future__ import annotations

import contextlib
import json
import lzma
import sqlite3
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg2
import yaml
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from tests.support.places import Dialect

FIXTURES = Path(__file__).parents[1] / "data" / "fixtures"


def fixture_names() -> list[str]:
    """Return the names of all fixtures, in alphabetical order."""
    return sorted(path.parent.name for path in FIXTURES.glob("*/manifest.json"))


def manifest(name: str) -> dict[str, Any]:
    """Return what a fixture says of itself.

    Parameters
    ----------
    name : `str`
        Name of the fixture.

    Returns
    -------
    manifest : `dict` [`str`, `object`]
        ``client``, ``state`` (component to implementation and version), ``universe``, ``dialects`` (with the
        PostgreSQL ``namespace``, null if none is configured) and how it was made.
    """
    return cast("dict[str, Any]", json.loads((FIXTURES / name / "manifest.json").read_text(encoding="utf-8")))


def recorded_content(name: str, dialect: Dialect) -> dict[str, Any]:
    """Return what the client that wrote a fixture saw in it.

    Parameters
    ----------
    name : `str`
        Name of the fixture.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    content : `dict` [`str`, `object`]
        A dump of ``client_content.py``.
    """
    return cast("dict[str, Any]", json.loads(_read(name, f"{dialect}.content.json.xz")))


def restore_sqlite(name: str, folder: Path) -> Path:
    """Restore a repository with its registry in an SQLite file.

    Parameters
    ----------
    name : `str`
        Name of the fixture.
    folder : `Path`
        Where to put it; created if missing. Without a dot in its name, for the sake of some clients.

    Returns
    -------
    repository : `Path`
        The same folder, with ``butler.yaml`` and all stored files.
    """
    _restore_files(name, folder)
    (folder / "butler.yaml").write_bytes((FIXTURES / name / "butler.yaml").read_bytes())
    load_sqlite(_read(name, "sqlite.sql.xz"), folder / "gen3.sqlite3")
    return folder


def restore_postgresql(name: str, url: str, folder: Path) -> Path:
    """Restore a repository with its registry in a PostgreSQL database.

    Parameters
    ----------
    name : `str`
        Name of the fixture.
    url : `str`
        URL of a fresh database, with any driver or none. The user may create the extension ``btree_gist``.
    folder : `Path`
        Where to put the rest; created if missing.

    Returns
    -------
    repository : `Path`
        The same folder. Its ``butler.yaml`` names psycopg2, as SQLAlchemy 2.1 would take another driver.
    """
    _restore_files(name, folder)
    load_postgresql(_read(name, "postgresql.sql.xz"), url)
    config = yaml.safe_load((FIXTURES / name / "butler.yaml").read_text(encoding="utf-8"))
    config["registry"]["db"] = make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    namespace = manifest(name)["dialects"]["postgresql"]["namespace"]
    if namespace is not None:
        config["registry"]["namespace"] = namespace
    (folder / "butler.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def load_sqlite(sql: str, path: Path) -> None:
    """Write a new SQLite file from a text dump."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def load_postgresql(sql: str, url: str) -> None:
    """Fill a fresh PostgreSQL database from a text dump, all or nothing."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(address)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def _read(name: str, file: str) -> str:
    """Read a compressed text of a fixture."""
    return lzma.decompress((FIXTURES / name / file).read_bytes()).decode()


def _restore_files(name: str, folder: Path) -> None:
    """Put the stored files of a fixture where the datastore expects them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(FIXTURES / name / "files.tar.xz") as archive:
        archive.extractall(folder, filter="data")
