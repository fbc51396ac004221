"""Run scripts of ``migrate --sql``."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import psycopg2

if TYPE_CHECKING:
    from registrytool.repository import Repository


def execute_script(repository: Repository, text: str) -> None:
    """Run a script as its shell does, but for the commands to the shell itself."""
    lines = [line for line in text.splitlines() if line not in (".bail on", r"\set ON_ERROR_STOP on")]
    assert len(lines) == len(text.splitlines()) - 1
    statements = "\n".join(lines)
    if repository.sqlite_file is not None:
        with contextlib.closing(sqlite3.connect(repository.sqlite_file)) as file:
            file.executescript(statements)
        return
    url = repository.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statements)
