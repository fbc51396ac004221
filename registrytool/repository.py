"""Repositories: from what the user names to a database, by ``butler.yaml``, index and credentials.

The rules are those of the Butler: a name is looked up in the repository index first, then taken as a path; the
password is looked up in ``db-auth.yaml``.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import parse_yaml
from .errors import ConfigurationError, RegistryNotFoundError

if TYPE_CHECKING:
    import sqlalchemy as sa

BUTLER_YAML = "butler.yaml"
_ROOT_TAG = "<butlerRoot>"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the registry of a repository is.

    ``root`` and ``config_file`` are `None` for a registry that was named by the URL of its database.
    """

    name: str
    url: sa.URL
    namespace: str | None = None
    root: Path | None = None
    config_file: Path | None = None
    managers: Mapping[str, str] = field(default_factory=dict)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.url.get_backend_name()

    @property
    def sqlite_file(self) -> Path | None:
        """Database file, for SQLite."""
        if self.dialect != "sqlite" or not self.url.database or self.url.database == ":memory:":
            return None
        return Path(self.url.database)


def open_repository(name: str, *, db: str | None = None, namespace: str | None = None) -> Repository:
    """Find the registry that a name means.

    Parameters
    ----------
    name : `str`
        Folder, ``butler.yaml``, alias of the repository index, or URL of a database.
    db : `str`, optional
        URL of the database to use instead of the one in ``butler.yaml``.
    namespace : `str`, optional
        PostgreSQL schema to use instead of the one in ``butler.yaml``.

    Returns
    -------
    repository : `Repository`
        The place of the registry; nothing is connected yet.

    Raises
    ------
    ConfigurationError
        A setting is malformed, or not of a kind that registrytool can use.
    RegistryNotFoundError
        There is no repository of that name.
    """
    location = _look_up(name)
    if re.match(r"(sqlite|postgres(ql)?)(\+\w+)?:", location):
        return Repository(_without_password(name), database_url(location), namespace)
    if location.startswith("file://"):
        location = location.removeprefix("file://")
    if "://" in location:
        message = f"Cannot open repository {name}: it is not on a local file system ({location.partition('://')[0]})."
        raise ConfigurationError(message, hint="Name its database by URL, with --namespace for the schema.")
    path = Path(location).expanduser()
    config_file = path / BUTLER_YAML if path.is_dir() else path
    if not path.exists():
        message = f"There is no repository {name}: no such file or folder, and no such name in the repository index."
        raise RegistryNotFoundError(message)
    if not config_file.exists():
        message = f"{path} is not a repository: it has no {BUTLER_YAML}."
        raise RegistryNotFoundError(message, hint="'registrytool create' makes a new one.")
    config = _read_config(config_file)
    root = _root(config, config_file)
    registry = _mapping(config.get("registry"), config_file, "registry")
    text = db or _db_text(registry, config, config_file)
    url = database_url(text.replace(_ROOT_TAG, str(root)))
    if db is None:
        url = _with_parts(url, registry)
    found = namespace or registry.get("namespace")
    managers = _mapping(registry.get("managers"), config_file, "registry.managers", optional=True)
    classes = {k: str(v.get("cls")) if isinstance(v, Mapping) else str(v) for k, v in managers.items()}
    return Repository(name, url, str(found) if found else None, root, config_file, classes)


def _look_up(name: str) -> str:
    """Look a name up in the repository index."""
    if "/" in name:
        return name
    place, inline = os.environ.get("DAF_BUTLER_REPOSITORY_INDEX"), os.environ.get("DAF_BUTLER_REPOSITORIES")
    if place and inline:
        message = "Both DAF_BUTLER_REPOSITORY_INDEX and DAF_BUTLER_REPOSITORIES are set."
        raise ConfigurationError(message, hint="Unset one of them.")
    if not place and not inline:
        return name
    if place and "://" in place and not place.startswith("file://"):
        return name
    try:
        text = inline or Path(str(place).removeprefix("file://")).read_text(encoding="utf-8")
        index = parse_yaml(str(text))
    except OSError as error:
        if Path(name).exists():
            return name
        message = f"Cannot read the repository index {place}: {error.strerror}."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"The repository index is not YAML: {error}."
        raise ConfigurationError(message) from error
    found = index.get(name) if isinstance(index, Mapping) else None
    return str(found) if isinstance(found, str) else name


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise ConfigurationError(message) from error
    except (ValueError, UnicodeDecodeError) as error:
        message = f"{path} is not YAML: {error}."
        raise ConfigurationError(message) from error
    result = _mapping(config, path, "the file")
    if "remote_butler" in result or str(result.get("cls", "")).endswith("RemoteButler"):
        message = f"{path} is the configuration of a remote Butler, which names no database."
        raise ConfigurationError(message)
    return result


def _mapping(value: Any, path: Path, what: str, *, optional: bool = False) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if value is None and optional:
        return {}
    message = f"{path} is not the configuration of a repository: {what} is not a mapping."
    raise ConfigurationError(message)


def _root(config: Mapping[str, Any], config_file: Path) -> Path:
    root = config.get("root")
    if not root:
        return config_file.parent.absolute()
    return (config_file.parent / str(root).removeprefix("file://")).absolute()


def _db_text(registry: Mapping[str, Any], config: Mapping[str, Any], config_file: Path) -> str:
    text = registry.get("db")
    if isinstance(text, str) and text:
        return text
    # Repositories from before the registry was written into the file kept to this default.
    if "datastore" in config and text is None:
        return f"sqlite:///{_ROOT_TAG}/gen3.sqlite3"
    message = f"{config_file} does not say where its database is: registry.db is missing."
    raise ConfigurationError(message)


def _with_parts(url: sa.URL, registry: Mapping[str, Any]) -> sa.URL:
    """Apply the settings that may stand beside the URL."""
    for key in ("username", "password", "host", "database"):
        if registry.get(key) is not None:
            changed: Mapping[str, Any] = {key: str(registry[key])}
            url = url.set(**changed)
    if registry.get("port") is not None:
        url = url.set(port=int(registry["port"]))
    return url


def database_url(text: str) -> sa.URL:
    """Parse the URL of a database and choose the driver.

    Parameters
    ----------
    text : `str`
        URL; a bare ``postgresql:`` means psycopg2, whatever the default of SQLAlchemy is.

    Raises
    ------
    ConfigurationError
        It is not a URL of a database that registrytool knows.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        message = f"{_without_password(text)!r} is not the URL of a database."
        raise ConfigurationError(message, hint="It looks like sqlite:///PATH or postgresql://HOST/DATABASE.") from error
    if backend in ("postgresql", "postgres"):
        return with_credentials(url.set(drivername="postgresql+psycopg2"))
    if backend == "sqlite":
        return url.set(drivername="sqlite")
    message = f"registrytool works with SQLite and PostgreSQL, not with {backend}."
    raise ConfigurationError(message)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^/:@]*):[^@/]*@", r"\1:***@", text)


# -- credentials --------------------------------------------------------------


def with_credentials(url: sa.URL) -> sa.URL:
    """Complete a URL by what ``db-auth.yaml`` has for it.

    Raises
    ------
    ConfigurationError
        The file is not safe from others, or malformed.
    """
    if not url.host or not url.database:
        return url
    for entry in _credentials():
        if not isinstance(entry, Mapping) or "url" not in entry:
            message = "db-auth.yaml does not hold a list of mappings with url, username and password."
            raise ConfigurationError(message)
        pattern = re.fullmatch(
            r"(?P<dialect>[\w+]+)://(?:(?P<user>[^@/]*)@)?(?P<host>[^/:]*)(?::(?P<port>\d+))?(?:/(?P<database>.*))?",
            str(entry["url"]),
        )
        if pattern is None or not _matches(pattern, url):
            continue
        user = url.username or entry.get("username")
        if url.username and entry.get("username") and str(entry["username"]) != url.username:
            continue
        password = entry.get("password")
        return url.set(username=str(user) if user else None, password=str(password) if password else url.password)
    return url


def _matches(pattern: re.Match[str], url: sa.URL) -> bool:
    return (
        pattern["dialect"].partition("+")[0] == url.get_backend_name()
        and fnmatch.fnmatchcase(url.host or "", pattern["host"])
        and (not pattern["port"] or int(pattern["port"]) == url.port)
        and (not pattern["database"] or fnmatch.fnmatchcase(url.database or "", pattern["database"]))
        and (not pattern["user"] or not url.username or pattern["user"] == url.username)
    )


def _credentials() -> list[Any]:
    inline = os.environ.get("LSST_DB_AUTH_CREDENTIALS")
    if inline:
        text, what = inline, "LSST_DB_AUTH_CREDENTIALS"
    else:
        path = Path(os.environ.get("LSST_DB_AUTH") or "~/.lsst/db-auth.yaml").expanduser()
        if not path.is_file():
            return []
        if path.stat().st_mode & 0o077:
            message = f"The file {path} holds passwords and can be read by others."
            raise ConfigurationError(message, hint=f"Run 'chmod 600 {path}'.")
        text, what = path.read_text(encoding="utf-8"), str(path)
    try:
        entries = parse_yaml(text)
    except ValueError as error:
        # The message of the parser could hold a piece of the text, and so a password.
        message = f"{what} is not YAML."
        raise ConfigurationError(message) from error
    if not isinstance(entries, list):
        message = f"{what} does not hold a list of mappings with url, username and password."
        raise ConfigurationError(message)
    return entries
