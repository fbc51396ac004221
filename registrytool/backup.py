"""Back a registry up before it is changed."""

from __future__ import annotations

import datetime
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .database import first_line
from .errors import ConfigurationError, RegistryStateError

if TYPE_CHECKING:
    from .database import Database
    from .progress import Progress

#: Pages that are copied at a time, between two reports of progress.
_PAGES = 10_000


def backup_path(database: Database, folder: Path | None, path: Path | None) -> Path:
    """Choose where a backup goes.

    Parameters
    ----------
    database : `Database`
        The database.
    folder : `pathlib.Path` or `None`
        Root of the repository, or `None` if there is none.
    path : `pathlib.Path` or `None`
        File or folder that the user named.

    Raises
    ------
    ConfigurationError
        The file exists already.
    """
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    if database.dialect == "sqlite":
        source = Path(database.url.database or "")
        name, place = f"{source.name}.backup-{stamp}", source.parent
    else:
        name, place = f"{database.url.database}-{database.namespace}.backup-{stamp}.dump", folder or Path.cwd()
    if path is None:
        path = place / name
    elif path.is_dir():
        path = path / name
    if path.exists():
        message = f"The backup {path} exists already."
        raise ConfigurationError(message, hint="Name another file with --backup.")
    return path


def require_backup_tool(database: Database) -> None:
    """Check that a backup can be made.

    Raises
    ------
    ConfigurationError
        It cannot.
    """
    if database.dialect == "postgresql" and shutil.which("pg_dump") is None:
        message = "No backup can be made: pg_dump is not installed."
        raise ConfigurationError(
            message, hint="Install the PostgreSQL client, or make a backup yourself and say --no-backup."
        )


def back_up(database: Database, path: Path, progress: Progress) -> Path:
    """Copy a registry as it is now.

    On SQLite the online backup interface is used, which other readers do not notice; on PostgreSQL ``pg_dump`` writes
    the namespace in its custom format.  A file that was not finished is removed.

    Parameters
    ----------
    database : `Database`
        The database.
    path : `pathlib.Path`
        File to write.
    progress : `Progress`
        Is told how far it is.

    Returns
    -------
    path : `pathlib.Path`
        The file.

    Raises
    ------
    RegistryStateError
        The backup failed.
    """
    progress.phase(f"backing up to {path}")
    partial = path.with_name(f"{path.name}.part")
    try:
        if database.dialect == "sqlite":
            _copy_sqlite(Path(database.url.database or ""), partial, progress)
        else:
            _dump_postgresql(database, partial)
        partial.replace(path)
    except (OSError, sqlite3.Error) as error:
        message = f"The backup to {path} failed: {first_line(error)}."
        raise RegistryStateError(message, hint="Nothing was changed. Name another place with --backup.") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _copy_sqlite(source: Path, target: Path, progress: Progress) -> None:
    origin = sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True)
    try:
        copy = sqlite3.connect(target)
        try:
            origin.backup(
                copy,
                pages=_PAGES,
                progress=lambda _status, left, total: progress.rows("backup (pages)", total - left, total),
            )
        finally:
            copy.close()
    finally:
        origin.close()


def _dump_postgresql(database: Database, target: Path) -> None:
    url = database.url
    command = ["pg_dump", "--format=custom", f"--file={target}", "--no-password"]
    quoted = str(database.namespace).replace('"', '""')
    command.append(f'--schema="{quoted}"')
    environment = dict(os.environ)
    # Passed by the environment, where other users do not see it.
    for variable, value in (
        ("PGHOST", url.host or url.query.get("host")),
        ("PGPORT", url.port),
        ("PGUSER", url.username),
        ("PGPASSWORD", url.password),
        ("PGDATABASE", url.database),
    ):
        if value:
            environment[variable] = str(value)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        reason = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr.strip())
        message = f"The backup failed: {reason}"
        raise RegistryStateError(message, hint="Make a backup yourself and say --no-backup.")
