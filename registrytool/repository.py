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
from urllib.parse import SplitResult, unquote, urlsplit

from .config import hide_passwords, parse_yaml
from .errors import ConfigurationError, RegistryNotFoundError

if TYPE_CHECKING:
    import sqlalchemy as sa

BUTLER_YAML = "butler.yaml"
SQLITE_NAME = "gen3.sqlite3"
_ROOT_TAG = "<butlerRoot>"
#: Kinds of places where the Butler can keep a repository, and registrytool cannot read it.
_REMOTE = ("s3", "gs", "http", "https", "dav", "davs", "webdav", "webdavs", "resource", "eups")
_SQLITE_MAGIC = b"SQLite format 3\0"


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
    shown = hide_passwords(name)
    location = _look_up(name)
    scheme = re.match(r"([A-Za-z][\w+.-]*)://", location)
    if scheme and scheme[1] in _REMOTE:
        message = f"Cannot open repository {shown}: it is not on a local file system ({scheme[1]})."
        raise ConfigurationError(message, hint="Name its database by URL, with --namespace for the schema.")
    if scheme and scheme[1] != "file":
        if db is not None:
            message = f"{shown} is the URL of a database, and --db names another one."
            raise ConfigurationError(message, hint="Leave one of them out.")
        return _checked(Repository(shown, database_url(location), namespace), namespace)
    path = Path(_file_path(location)).expanduser()
    try:
        exists = bool(location) and path.exists()
        config_file = path / BUTLER_YAML if path.is_dir() else path
        complete = config_file.exists()
    except OSError as error:
        message = f"Cannot look for the repository {shown}: {error.strerror}."
        raise ConfigurationError(message) from error
    if not exists:
        message = (
            f"There is no repository {shown or repr(name)}: no such file or folder, and no such name in the repository "
            "index."
        )
        raise RegistryNotFoundError(message, hint="Name a folder, its butler.yaml, or the URL of the database.")
    if not complete:
        message = f"{path} is not a repository: it has no {BUTLER_YAML}."
        raise RegistryNotFoundError(message, hint="'registrytool create' makes a new one.")
    config = _read_config(config_file)
    registry = _mapping(config.get("registry", {}), config_file, "registry")
    text = _db_text(registry, config, config_file) if db is None else db
    root = _root(config, config_file)
    url = _parse_url(text, root)
    if db is None:
        url = _with_parts(url, registry, config_file)
    found = namespace or registry.get("namespace")
    managers = _mapping(registry.get("managers"), config_file, "registry.managers", optional=True)
    classes = {k: str(v.get("cls")) if isinstance(v, Mapping) else str(v) for k, v in managers.items()}
    repository = Repository(shown, with_credentials(url), str(found) if found else None, root, config_file, classes)
    return _checked(repository, namespace)


def _checked(repository: Repository, namespace: str | None) -> Repository:
    """Refuse a namespace that was named on purpose where there is none, and one without a name."""
    if namespace is not None and (not namespace or "\0" in namespace):
        message = f"{namespace!r} is not the name of a namespace."
        raise ConfigurationError(message, hint="Name one, or leave --namespace out.")
    if namespace is not None and repository.dialect == "sqlite":
        message = f"The registry of {repository.name} is in SQLite, which has no namespace {namespace}."
        raise ConfigurationError(message, hint="Leave --namespace out.")
    return repository


def _file_path(location: str) -> str:
    """Return the path of a location, which can be a URI."""
    return unquote(urlsplit(location).path) if location.startswith("file:") else location


def _look_up(name: str) -> str:
    """Look a name up in the repository index."""
    place, inline = os.environ.get("DAF_BUTLER_REPOSITORY_INDEX"), os.environ.get("DAF_BUTLER_REPOSITORIES")
    if "://" in name or (not place and not inline):
        return name
    if place and inline:
        message = "Both DAF_BUTLER_REPOSITORY_INDEX and DAF_BUTLER_REPOSITORIES are set."
        raise ConfigurationError(message, hint="Unset one of them.")
    try:
        found = _read_index(place, inline).get(name)
    except ConfigurationError:
        # What needs no index does not need a good one.
        if Path(name).exists():
            return name
        raise
    return found if isinstance(found, str) else name


def _read_index(place: str | None, inline: str | None) -> Mapping[str, Any]:
    what = f"repository index {hide_passwords(place)}" if place else "repository index in DAF_BUTLER_REPOSITORIES"
    if place and urlsplit(place).scheme not in ("", "file"):
        message = f"Cannot read the {what}: it is not on a local file system."
        raise ConfigurationError(message, hint="Name the repository by its folder.")
    try:
        text = Path(_file_path(place)).expanduser().read_text(encoding="utf-8") if place else str(inline)
        index = parse_yaml(text)
    except OSError as error:
        message = f"Cannot read the {what}: {error.strerror}."
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        message = f"The {what} is not a text file in UTF-8."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"The {what} is not YAML: {error}."
        raise ConfigurationError(message) from error
    if not isinstance(index, Mapping):
        message = f"The {what} is not a mapping of names to places."
        raise ConfigurationError(message)
    return index


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        raw = path.read_bytes()
        config = parse_yaml(raw.decode("utf-8"))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        if raw.startswith(_SQLITE_MAGIC):
            message = f"{path} is an SQLite database, and not the configuration of a repository."
            raise ConfigurationError(message, hint=f"Name it as sqlite:///{path}, or name its repository.") from error
        message = f"{path} is not the configuration of a repository: it is not a text file in UTF-8."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{path} is not YAML: {error}."
        if "!include" in message:
            message = f"{path} includes other files, which registrytool does not follow."
        raise ConfigurationError(message, hint="Name the database by URL, with --namespace for the schema.") from error
    result = _mapping(config, path, "the file")
    if "remote_butler" in result or str(result.get("cls", "")).endswith("RemoteButler"):
        message = f"{path} is the configuration of a remote Butler, which names no database."
        raise ConfigurationError(message, hint="Name the database by URL, with --namespace for the schema.")
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
    if not isinstance(root, str) or urlsplit(root).scheme not in ("", "file"):
        message = f"{config_file} is not the configuration of a local repository: root is {root}."
        raise ConfigurationError(message, hint="Name the database by URL, with --namespace for the schema.")
    return (config_file.parent / _file_path(root)).absolute()


def _db_text(registry: Mapping[str, Any], config: Mapping[str, Any], config_file: Path) -> str:
    text = registry.get("db")
    if isinstance(text, str) and text:
        return text
    # Repositories from before the registry was written into the file kept to this default.
    if "datastore" in config and text is None:
        return f"sqlite:///{_ROOT_TAG}/{SQLITE_NAME}"
    what = "missing" if text is None else f"{text}, not a URL"
    message = f"{config_file} does not say where its database is: registry.db is {what}."
    raise ConfigurationError(message, hint="Name the database with --db.")


def _with_parts(url: sa.URL, registry: Mapping[str, Any], config_file: Path) -> sa.URL:
    """Take from the settings beside the URL what it lacks."""
    for key in ("username", "password", "host", "port", "database"):
        value = registry.get(key)
        if value is None or getattr(url, key) is not None:
            continue
        if key == "port" and not str(value).isdecimal():
            message = f"{config_file} is not the configuration of a repository: registry.port is {value}."
            raise ConfigurationError(message, hint="It must be a number.")
        changed: Mapping[str, Any] = {key: int(value) if key == "port" else str(value)}
        url = url.set(**changed)
    return url


def database_url(text: str) -> sa.URL:
    """Parse the URL of a database, choose the driver and complete it by what ``db-auth.yaml`` has.

    Parameters
    ----------
    text : `str`
        URL; a bare ``postgresql:`` means psycopg2, whatever the default of SQLAlchemy is.

    Raises
    ------
    ConfigurationError
        It is not a URL of a database that registrytool knows.
    """
    return with_credentials(_parse_url(text))


def _parse_url(text: str, root: Path | None = None) -> sa.URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        message = f"{hide_passwords(text)!r} is not the URL of a database."
        raise ConfigurationError(message, hint="It looks like sqlite:///PATH or postgresql://HOST/DATABASE.") from error
    if backend in ("postgresql", "postgres"):
        return _postgresql_url(text, url)
    if backend == "sqlite":
        return _sqlite_url(text, url, root)
    message = f"registrytool works with SQLite and PostgreSQL, not with {backend}."
    raise ConfigurationError(message)


def _postgresql_url(text: str, url: sa.URL) -> sa.URL:
    """Choose the driver, and put a password where it is known as one, and hidden."""
    if text.partition("?")[0].count("@") > 1:
        # The rest of the password would be taken for the host, and be shown.
        message = f"The URL {hide_passwords(text)} has more than one @."
        raise ConfigurationError(message, hint="Write an @ in a password as %40.")
    query = dict(url.query)
    password = query.pop("password", None)
    url = url.set(drivername="postgresql+psycopg2", query=query)
    if isinstance(password, str) and url.password is None:
        url = url.set(password=password)
    return url


def _sqlite_url(text: str, url: sa.URL, root: Path | None) -> sa.URL:
    """Take the path of an SQLite file literally: only newer versions of SQLAlchemy see %41 as a letter."""
    path, _, _ = text.partition("://")[2].removeprefix("/").partition("?")
    if root is not None:
        # Put in last, for it can have a question mark.
        path = path.replace(_ROOT_TAG, str(root))
    if path in ("", ":memory:") or url.host:
        message = f"The URL {text} names no database file."
        raise ConfigurationError(message, hint="It looks like sqlite:///PATH, with four slashes for an absolute path.")
    return url.set(drivername="sqlite", database=path, query={})


# -- credentials --------------------------------------------------------------


def with_credentials(url: sa.URL) -> sa.URL:
    """Complete a URL by what ``db-auth.yaml`` has for it.

    Raises
    ------
    ConfigurationError
        The file is not safe from others, or malformed.
    """
    if url.get_backend_name() == "sqlite" or not url.host or not url.database:
        return url
    entries, what = _credentials()
    for entry in entries:
        if not isinstance(entry, Mapping) or not {"url", "password"} <= entry.keys():
            message = f"{what} does not hold a list of mappings with url, username and password."
            raise ConfigurationError(message)
        try:
            pattern = urlsplit(str(entry["url"]))
        except ValueError:
            message = f"{what} has an entry of which the url is malformed."
            raise ConfigurationError(message) from None
        # As the Butler reads it, a question mark ends the pattern, though it is a wildcard elsewhere.
        if not _matches(pattern, url):
            continue
        user = url.username or entry.get("username")
        return url._replace(username=str(user) if user else None, password=str(entry["password"]))
    return url


def _matches(pattern: SplitResult, url: sa.URL) -> bool:
    """Whether an entry is for a URL: what the pattern has must be there and agree."""
    database = pattern.path.lstrip("/")
    try:
        port = pattern.port
    except ValueError:
        return False
    return (
        pattern.scheme.partition("+")[0] == url.get_backend_name()
        and fnmatch.fnmatchcase(url.host or "", pattern.hostname or "")
        and port in (None, url.port)
        and (not database or fnmatch.fnmatchcase(url.database or "", database))
        and pattern.username in (None, url.username)
    )


def _credentials() -> tuple[list[Any], str]:
    """Return the entries of the first source of credentials, and what it is."""
    inline = os.environ.get("LSST_DB_AUTH_CREDENTIALS")
    if inline:
        text, what = inline, "LSST_DB_AUTH_CREDENTIALS"
    else:
        path = Path(os.environ.get("LSST_DB_AUTH") or "~/.lsst/db-auth.yaml").expanduser()
        what = str(path)
        try:
            if not path.is_file():
                return [], what
            if path.stat().st_mode & 0o077:
                message = f"The file {path} holds passwords and can be read by others."
                raise ConfigurationError(message, hint=f"Run 'chmod 600 {path}'.")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            message = f"Cannot read {path}: {error.strerror}."
            raise ConfigurationError(message) from error
    try:
        entries = parse_yaml(text)
    except ValueError:
        # The message of the parser could hold a piece of the text, and so a password.
        message = f"{what} is not YAML."
        raise ConfigurationError(message) from None
    if not isinstance(entries, list):
        message = f"{what} does not hold a list of mappings with url, username and password."
        raise ConfigurationError(message)
    return entries, what
