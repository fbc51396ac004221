"""Back a registry up before it is changed."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .config import hide_passwords
from .database import first_line
from .errors import ConfigurationError, RegistryStateError

if TYPE_CHECKING:
    from .database import Database
    from .progress import Progress

#: Pages that are copied at a time, between two reports of progress.
_PAGES = 10_000
#: How long pg_dump waits for locks of others, in seconds.
_LOCK_WAIT_S = 60


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
        The file exists already, or its folder does not.
    """
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    if database.dialect == "sqlite":
        source = Path(database.url.database or "")
        name, place = f"{source.name}.backup-{stamp}", source.parent
    else:
        name, place = f"{database.url.database}-{database.namespace}.backup-{stamp}.dump", folder or Path.cwd()
        name = name.replace("/", "_")
    if path is None or path.is_dir():
        return _free(place if path is None else path, name)
    if path.exists():
        message = f"The backup {path} exists already."
        raise ConfigurationError(message, hint="Name another file with --backup.")
    if not path.parent.is_dir():
        message = f"The backup {path} cannot be made: there is no folder {path.parent}."
        raise ConfigurationError(message, hint="Make it, or name another file with --backup.")
    return path


def _free(folder: Path, name: str) -> Path:
    """Return a name that no file has: a run that was killed can have left its backup in this very second."""
    end = ".dump" if name.endswith(".dump") else ""
    numbered = (f"{name.removesuffix(end)}-{number}{end}" for number in itertools.count(2))
    return next(folder / n for n in itertools.chain((name,), numbered) if not (folder / n).exists())


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
        # Nobody else may read in the meantime what others cannot read in the registry.
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        if database.dialect == "sqlite":
            source = Path(database.url.database or "")
            _copy_sqlite(source, partial, progress)
            shutil.copymode(source, partial)
        else:
            _dump_postgresql(database, partial)
        partial.replace(path)
    except (OSError, sqlite3.Error) as error:
        message = f"The backup to {path} failed: {first_line(error)}."
        raise RegistryStateError(message, hint="Nothing was changed. Name another place with --backup.") from error
    finally:
        for left in (partial, partial.with_name(f"{partial.name}-journal")):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
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
    from psycopg2.extensions import make_dsn
    from sqlalchemy.dialects import postgresql

    driver: Any = postgresql.psycopg2.dialect
    _, settings = driver().create_connect_args(database.url)
    environment = dict(os.environ)
    password = settings.pop("password", None)
    if password is not None:
        # By the environment, where other users do not see it, as they see the arguments.
        environment["PGPASSWORD"] = str(password)
    quoted = str(database.namespace).replace('"', '""')
    command = [
        "pg_dump",
        "--format=custom",
        "--no-password",
        # Somebody who keeps readers out shall not keep the run lock waiting for ever.
        f"--lock-wait-timeout={_LOCK_WAIT_S}s",
        f"--file={target}",
        f'--schema="{quoted}"',
        f"--dbname={make_dsn(**settings)}",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        lines = result.stderr.split("\n")
        reason = next((line for line in lines if "error" in line), lines[0]).strip().rstrip(".")
        message = f"The backup failed: {hide_passwords(reason)}."
        raise RegistryStateError(
            message, hint="Nothing was changed. Make a backup yourself and say --no-backup, or mend what is wrong."
        )
