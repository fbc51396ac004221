"""Registries in which every command of maintenance has something to do, to try commands on again and again."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.instruments import ingest, visits
from registrytool.maintain import collection_changes, datasets, obscore_live, obscore_table, trash
from registrytool.maintain.certifications import check_certifications
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.session import reading
from tests.support.commands import AFTER, commands, example, given, prepare
from tests.support.equivalence import meaning, repository_of, row_differences, tables_of
from tests.support.moments import Ended, run_until
from tests.support.places import ODD_NAMESPACE, Place
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.equivalence import Rows, Tables
    from tests.support.places import Dialect, Outcome, Run
    from tests.support.postgres import PostgresServer

COMMANDS = {command.name: command for command in commands()}
#: How each database defines its tables, indexes and constraints.
STRUCTURE = {
    "sqlite": "SELECT type, sql FROM sqlite_master",
    "postgresql": "SELECT relname, pg_get_indexdef(oid) FROM pg_class WHERE relnamespace = :schema AND relkind = 'i' "
    "UNION ALL SELECT relname, relkind::text || relnatts FROM pg_class WHERE relnamespace = :schema "
    "UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = :schema",
}


@dataclass(frozen=True, eq=False)
class Seen:
    """What a repository holds: structure, rows with what identifiers stand for, and files."""

    structure: Counter[str]
    tables: Tables
    files: dict[str, bytes]
    old: set[Any]

    @cached_property
    def rows(self) -> Rows:
        """Rows with what identifiers stand for."""
        return meaning(self.tables, self.old)

    def same(self, other: Seen) -> bool:
        """Whether another one holds the same; what is equal as it is stored need not be understood."""
        if (self.structure, self.files) != (other.structure, other.files):
            return False
        return self.tables == other.tables or self.rows == other.rows

    def differences(self, wanted: Seen) -> list[str]:
        """Return what is different, in words."""
        if self.same(wanted):
            return []
        files = [name for name in self.files | wanted.files if self.files.get(name) != wanted.files.get(name)]
        structure = (self.structure - wanted.structure) + (wanted.structure - self.structure)
        return [*structure, *row_differences(self.rows, wanted.rows), *(f"file {name}" for name in sorted(files))]


class Stage:
    """Registries to begin with, made once, and one place to which they are copied.

    Parameters
    ----------
    folder : `Path`
        Folder for all of them.
    dialect : `str`
        Database system.
    server : `PostgresServer` or `None`
        The server, on PostgreSQL.
    run : `Run`
        Runs a command.
    """

    def __init__(self, folder: Path, dialect: Dialect, server: PostgresServer | None, run: Run) -> None:
        self._folder, self._server, self._run = folder, server, run
        root = folder / "now" / "repo"
        root.mkdir(parents=True)
        url = server.new_database() if server else f"sqlite:///{root / 'gen3.sqlite3'}"
        self.place = Place(dialect, url, ODD_NAMESPACE if server else None, root)
        self._environment = {"PGPASSWORD": str(sa.make_url(url).password or "")}
        self._starts: dict[str | None, tuple[Path, Place]] = {}
        identifiers = prepare(make(self.place))
        self.identifier = identifiers[0]
        self.old = set(identifiers)
        self._keep(None)

    def _keep(self, name: str | None) -> None:
        kept = self._folder / f"start {len(self._starts)}"
        shutil.copytree(self.place.folder.parent, kept, symlinks=True)
        self._starts[name] = (kept, self.place)
        if self._server is not None:
            self.place = replace(self.place, url=self._server.new_database(self.place.url))

    def begin(self, name: str) -> None:
        """Bring back what a command begins with."""
        before = AFTER.get(name)
        if before not in self._starts:
            self._restore(None)
            assert before is not None
            done = self.act(before)
            assert done.exit_code == 0, done
            self._keep(before)
        self._restore(before)

    def _restore(self, before: str | None) -> None:
        kept, place = self._starts[before]
        shutil.rmtree(self.place.folder.parent)
        shutil.copytree(kept, self.place.folder.parent, symlinks=True)
        if self._server is None:
            return
        if self.place.url not in [p.url for _, p in self._starts.values()]:
            self._server.drop_database(self.place.url)
        self.place = replace(self.place, url=self._server.new_database(place.url))
        config = self.place.folder / "butler.yaml"
        old, new = (str(sa.make_url(u).database) for u in (place.url, self.place.url))
        config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    @property
    def password(self) -> str:
        """Password of the database; empty if there is none."""
        return self._environment["PGPASSWORD"]

    def example(self, name: str) -> dict[str, Any]:
        """Return values with which a command has something to do."""
        return example(name, repository_of(self.place), self.identifier)

    def act(self, name: str, values: Mapping[str, Any] | None = None, *more: str) -> Outcome:
        """Run a command in this process.

        Parameters
        ----------
        name : `str`
            The command.
        values : `dict`, optional
            Values of its parameters; by default those of the example.
        *more : `str`
            More options.
        """
        words = COMMANDS[name].words(str(self.place.folder), self.example(name) if values is None else values)
        path = len(COMMANDS[name].path)
        return self._run(*words[:path], *more, *words[path:], env=self._environment)

    def act_until(self, name: str, moment: int | None = None) -> Ended:
        """Run a command in a forked process, which ends itself at a moment."""
        folders = (self.place.folder, given(repository_of(self.place)))

        def work() -> dict[str, Any]:
            _cut_small()
            return self.act(name)._asdict()

        return run_until(work, folders, self._folder / "log", moment)

    def look(self) -> Seen:
        """Return what there is."""
        files = {
            str(path.relative_to(self.place.folder.parent)): path.read_bytes()
            for path in self.place.folder.parent.rglob("*")
            if path.is_file() and not path.name.startswith("gen3.sqlite3")
        }
        database = str(sa.make_url(self.place.url).database)
        config = "repo/butler.yaml"
        files[config] = files[config].replace(database.encode(), b"DATABASE")
        return Seen(self._structure(), tables_of(self.place), files, self.old)

    def _structure(self) -> Counter[str]:
        place = self.place
        engine = sa.create_engine(place.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            query, values = sa.text(STRUCTURE[place.dialect].replace("::", r"\:\:")), {}
            if place.namespace is not None:
                name = sa.text("SELECT oid FROM pg_namespace WHERE nspname = :name")
                values = {"schema": connection.scalar(name, {"name": place.namespace})}
            # Tables of dataset types are numbered, and long names of indexes have a digest of that; numbers of
            # transactions that came to nothing are left out.
            return Counter(re.sub(r"(?<=_)[0-9a-f]{8}", "N", str(row)) for row in connection.execute(query, values))

    def assert_consistent(self, *, files: bool) -> None:
        """Check that nothing is half done; with files, that none is left over either."""
        repository = repository_of(self.place)
        with reading(repository) as session:
            found = find_orphans(session, files=files)
            assert [o for o in found.found if not o.harmless] == []
            assert check_certifications(session).problems == ()
        assert_clean(repository)


def _cut_small() -> None:
    """Cut work into small pieces, so that it has several commits with few rows; for a process that ends soon."""
    few = {"sqlite": 2, "postgresql": 2}
    # Not in larger ones either where the machine is fast: each run must have the same moments.
    datasets.Batches.FIRST = datasets.Batches.LARGEST = few
    datasets.Batches.SMALLEST = 2
    trash._BATCH = few
    collection_changes._PIECE = 2
    obscore_live.PIECE = 2
    vars(obscore_table)["PIECE"] = 2
    ingest.BATCH = visits.BATCH = 1
