"""Options and arguments that several commands share, each declared once."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Optional

import typer


class Format(enum.StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


class Dialect(enum.StrEnum):
    """A kind of database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


Repo = Annotated[
    str,
    typer.Argument(
        metavar="REPO",
        help="Folder of a repository, its butler.yaml, its name in the repository index, or the URL of its database.",
        show_default=False,
    ),
]
RepoOrNone = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(
        metavar="[REPO]",
        help="Folder of a repository, its butler.yaml, its name in the repository index, or the URL of its database.",
        show_default=False,
    ),
]
Db = Annotated[
    Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option("--db", metavar="URL", help="URL of the database, instead of the one in butler.yaml."),
]
Namespace = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--namespace", metavar="NAME", help="PostgreSQL schema of the registry."),
]
OutputFormat = Annotated[
    Optional[Format],  # noqa: UP045
    # The environment variable belongs to the global option alone: here it would win over that one.
    typer.Option("--format", help="How the answer is written."),
]
ContentFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--content",
        metavar="DIR",
        envvar="REGISTRYTOOL_CONTENT",
        help="Folder with schemas/ and alembic/ of another project.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
BackupTo = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--backup", metavar="PATH", help="File or folder for the backup; by default beside the registry."),
]
NoBackup = Annotated[bool, typer.Option("--no-backup", help="Make no backup.")]
Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for a lock.")]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="KEY=VALUE", help="Option of a step; can be repeated."),
]
UniverseFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--universe", metavar="FILE", help="YAML file with a dimension universe, of any namespace."),
]
