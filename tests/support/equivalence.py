"""Do the same with registrytool and through the client's Python API, and compare every row of every table.

A test takes the fixture ``twins`` (``tests/client/conftest.py``), which the newest client fills once and hands out as
two copies that are the same to the last identifier::

    def test_rename(twins: MakeTwins) -> None:
        two = twins()                               # options of client_fill.py, such as "--name-key"
        two.client_prepares("registry.registerRun('a')")             # in both copies, by the client
        two.we("collection", "rename", "{repo}", "u/ann/best", "b")  # in ours, as on the command line
        two.client("butler.collections. ...")                        # in theirs, through the client's Python API
        two.assert_same()

``two.we`` asserts exit code 0 and returns the outcome; ``two.we_fail`` asserts exit code 3 and that nothing changed.
``two.act(operation)`` calls a Python function with our `Repository` instead.  ``two.client(program)`` returns what the
program assigned to ``answer``, and ``two.client_fails(program)`` the name of the exception of a program that raises
one; see ``client_do.py`` for the names that a program can use.  ``two.assert_same`` verifies the structure of ours
and compares all rows.  Identifiers are compared by what they stand for: collections and dataset types by name, groups
by their dimensions, datasets by type, run and data ID; those of datasets that are gone must be the same.  The time at
which a dataset came is compared for datasets that were there before.  What else may differ is named:
``two.assert_same(ignore={("file_datastore_records", "checksum")})``.  With ``read=True`` the client reads all of ours,
which takes seconds.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from registrytool.check.rows import TableContent, read_content
from registrytool.database import Database
from registrytool.repository import open_repository
from registrytool.verify import verify_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from registrytool.repository import Repository
    from tests.client.conftest import Client
    from tests.support.places import Outcome, Place, Run

Tables = dict[str, TableContent]
Rows = dict[str, Counter[str]]


class MakeTwins(Protocol):
    """Make two copies of a repository that the client has filled."""

    def __call__(self, *options: str, universe: int | None = None) -> Twins:
        """Make them.

        Parameters
        ----------
        *options : `str`
            Options of ``client_fill.py``; with ``--empty`` there is nothing in them.
        universe : `int`, optional
            Version of the dimension universe, by default the newest one.
        """


@dataclass(frozen=True)
class Twins:
    """Two copies of one repository.

    Parameters
    ----------
    ours, theirs : `Place`
        Where registrytool acts, and where the client does.
    """

    ours: Place
    theirs: Place
    _client: Client
    run: Run
    _before: Tables

    # -- acting -----------------------------------------------------------

    def we(self, *words: object) -> Outcome:
        """Run a command of registrytool; ``{repo}`` stands for our repository."""
        done = self.run(*self._words(words))
        assert done.exit_code == 0, done.stderr
        return done

    def we_fail(self, *words: object, exit_code: int = 3) -> str:
        """Run a command that must refuse and change nothing; return what it says."""
        before = tables_of(self.ours)
        done = self.run(*self._words(words))
        assert (done.exit_code, done.stdout) == (exit_code, ""), done
        assert tables_of(self.ours) == before
        return done.stderr

    def check(self, *words: object) -> Outcome:
        """Run a command that only looks, whatever it says."""
        before = tables_of(self.ours)
        done = self.run(*self._words(words))
        assert tables_of(self.ours) == before
        return done

    def act(self, operation: Callable[[Repository], Any]) -> Any:
        """Call a function with our repository."""
        return operation(repository_of(self.ours))

    def client(self, program: str) -> Any:
        """Let the client do something in their copy."""
        return self._do(self.theirs, program)

    def client_in_ours(self, program: str) -> Any:
        """Let the client do or see something in our copy."""
        return self._do(self.ours, program)

    def client_prepares(self, program: str) -> None:
        """Let the client do something in both copies; what it makes anew has other identifiers in each."""
        for place in (self.ours, self.theirs):
            self._do(place, program)

    def client_fails(self, program: str) -> str:
        """Let the client try something that it refuses; return the name of its exception."""
        answer = self._ask(self.theirs, program)
        assert "raised" in answer, answer
        return str(answer["raised"])

    def _words(self, words: tuple[object, ...]) -> list[object]:
        return [str(self.ours.folder) if word == "{repo}" else word for word in words]

    def _do(self, place: Place, program: str) -> Any:
        answer = self._ask(place, program)
        assert "raised" not in answer, f"{answer['raised']}: {answer['text']}"
        return answer["answer"]

    def _ask(self, place: Place, program: str) -> dict[str, Any]:
        answer = json.loads(self._client.run("client_do.py", place.folder, program))
        assert isinstance(answer, dict)
        return answer

    # -- comparing --------------------------------------------------------

    def assert_same(
        self, *, ignore: Collection[tuple[str, str]] = (), structure: bool = True, read: bool = False
    ) -> None:
        """Check that both copies are the same now.

        Parameters
        ----------
        ignore : `~collections.abc.Collection` [`tuple` [`str`, `str`]], optional
            Tables and columns that may differ.
        structure : `bool`, optional
            Whether the structure is verified, too.
        read : `bool`, optional
            Whether the client reads everything in our copy as well.
        """
        if structure:
            drift = [str(d) for d in verify_registry(repository_of(self.ours)).differences]
            assert drift == [], "\n".join(drift)
        old = {row[0] for row in self._before["dataset"].of(["id"])}
        found, wanted = (meaning(tables_of(p), old, ignore) for p in (self.ours, self.theirs))
        different = row_differences(found, wanted)
        assert different == [], "\n".join(different)
        if read:
            self._client.content(self.ours.folder)

    def assert_changed(self) -> None:
        """Check that something has happened in their copy: a comparison of what nobody changed shows nothing."""
        assert tables_of(self.theirs) != self._before


def repository_of(place: Place) -> Repository:
    """Return the repository in a place."""
    return open_repository(str(place.folder), db=place.url)


def tables_of(place: Place) -> Tables:
    """Return all rows of all tables."""
    database = Database.of(repository_of(place))
    with database.read() as connection:
        return read_content(connection, database.namespace)


def row_differences(found: Rows, wanted: Rows) -> list[str]:
    """Return what differs, a sentence for each row."""
    result = [f"table {name} is only in one of them" for name in sorted(found.keys() ^ wanted.keys())]
    for name in sorted(found.keys() & wanted.keys()):
        result += [f"{name}: we have, they have not: {row}" for row in (found[name] - wanted[name]).elements()]
        result += [f"{name}: they have, we have not: {row}" for row in (wanted[name] - found[name]).elements()]
    return result


# -- what identifiers stand for -------------------------------------------------


def meaning(tables: Tables, old: Collection[Any] = (), ignore: Collection[tuple[str, str]] = ()) -> Rows:
    """Return all rows with what identifiers stand for.

    Parameters
    ----------
    tables : `dict` [`str`, `TableContent`]
        All tables.
    old : `~collections.abc.Collection`, optional
        Identifiers of datasets of which the time matters.
    ignore : `~collections.abc.Collection` [`tuple` [`str`, `str`]], optional
        Tables and columns to leave out.
    """
    names = _Names(tables)
    result: Rows = {}
    for name, content in tables.items():
        rows = result.setdefault(names.table(name), Counter())
        for values in content.rows:
            row = dict(zip(content.columns, values, strict=True))
            if name == "dataset" and row["id"] not in old:
                row["ingest_date"] = "new"
            shown = {c: names.value(name, c, v) for c, v in row.items() if (name, c) not in ignore}
            rows[repr(sorted(shown.items(), key=lambda item: item[0]))] += 1
    return result


class _Names:
    """What the identifiers of a registry stand for."""

    def __init__(self, tables: Tables) -> None:
        self._groups: dict[int, str] = {0: "()"}
        members: dict[int, list[str]] = {}
        for number, dimension in tables["dimension_graph_definition"].of(["dimension_graph_id", "dimension_name"]):
            members.setdefault(number, []).append(dimension)
        self._groups |= {number: f"({', '.join(sorted(found))})" for number, found in members.items()}
        self._collections = {}
        if "collection_id" in tables["collection"].columns:
            self._collections = dict(tables["collection"].of(["collection_id", "name"]))
        self._types = dict(tables["dataset_type"].of(["id", "name"]))
        self._datasets = self._name_datasets(tables)

    def _name_datasets(self, tables: Tables) -> Mapping[Any, str]:
        run = "run_id" if "run_id" in tables["dataset"].columns else "run_name"
        found = {i: (self._types[t], r) for i, t, r in tables["dataset"].of(["id", "dataset_type_id", run])}
        result = {i: f"{t} in {self._collections.get(r, r)}" for i, (t, r) in found.items()}
        for name, content in tables.items():
            if not name.startswith("dataset_tags_"):
                continue
            key = "collection_id" if "collection_id" in content.columns else "collection_name"
            others = [c for c in content.columns if c not in ("dataset_type_id", "dataset_id", key)]
            for dataset, collection, *data_id in content.of(["dataset_id", key, *others]):
                if dataset in found and found[dataset][1] == collection:
                    result[dataset] += f" {dict(zip(others, data_id, strict=True))}"
        return result

    def table(self, name: str) -> str:
        """Return the name of a table, of which a number of a group can be part."""
        if not isinstance(name, str) or not name.startswith(("dataset_tags_", "dataset_calibs_")):
            return name
        stem, _, number = name.rpartition("_")
        return f"{stem}_{self._groups.get(int(number), number)}"

    def value(self, table: str, column: str, value: Any) -> Any:
        """Return what a value stands for."""
        match column:
            case "collection_id" | "run_id" | "parent" | "child":
                return self._collections.get(value, value)
            case "dataset_type_id":
                return self._types.get(value, value)
            case "dataset_id" | "registry_dataset_id":
                return self._datasets.get(value, value)
            case "dimension_graph_id" | "dimensions_key":
                return self._groups.get(value, value)
            case "tag_association_table" | "calibration_association_table":
                return self.table(value)
            case "id" if table == "dataset":
                return self._datasets[value]
            case "id" if table == "dimension_graph_key":
                return self._groups[value]
            case "id" if table == "dataset_type" or table.startswith("dataset_calibs_"):
                return "any"
        return value
