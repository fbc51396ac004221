"""The Butler client, as the tests of this folder use it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from sqlalchemy.engine import make_url

from tests.support.equivalence import MakeTwins, Twins, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.places import Place, Run
    from tests.support.postgres import PostgresServer

SUPPORT = Path(__file__).parents[1] / "support"

Content = dict[str, Any]


class ClientError(AssertionError):
    """A program that uses the client has failed."""


class Client:
    """Runs the programs ``tests/support/client_*.py`` with the client's Python."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def run(self, program: str, *arguments: object, password: str | None = None) -> str:
        """Run a program and return its output.

        Parameters
        ----------
        program : `str`
            Its file name.
        *arguments : `object`
            Words of its command line; each as ``str`` gives it.
        password : `str`, optional
            For PostgreSQL, where the URL in ``butler.yaml`` has none.
        """
        return self._output(program, arguments, self._ask(self._request(program, arguments, password, begin=False)))

    def begin(self, program: str, *arguments: object, password: str | None = None) -> Callable[[], str]:
        """Let a program run at the same time as others; return what waits for it, and returns its output."""
        number = self._ask(self._request(program, arguments, password, begin=True))["number"]
        return lambda: self._output(program, arguments, self._ask({"finish": number}))

    @staticmethod
    def _request(program: str, arguments: tuple[object, ...], password: str | None, *, begin: bool) -> dict[str, Any]:
        return {
            "arguments": [str(SUPPORT / program), *map(str, arguments)],
            "environment": {"PGPASSWORD": password} if password else {},
            "begin": begin,
        }

    @staticmethod
    def _output(program: str, arguments: tuple[object, ...], answer: dict[str, Any]) -> str:
        if answer["status"] != 0:
            message = f"{program} {' '.join(map(str, arguments))}: status {answer['status']}\n{answer['stderr']}"
            raise ClientError(message)
        return cast("str", answer["stdout"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        line = self._server.stdout.readline()
        if not line:
            raise ClientError("The server of the client has ended; its standard error says why.")
        return cast("dict[str, Any]", json.loads(line))

    def content(self, folder: Path, password: str | None = None, *, then_write: bool = False) -> Content:
        """Return what the client sees in a repository; afterwards let it write there and read that back."""
        options = ["--write-probe"] if then_write else []
        return cast("Content", json.loads(self.run("client_content.py", folder, *options, password=password)))

    def make(self, place: Place, *options: object, universe: int | None = None) -> None:
        """Make a repository, filled unless ``--empty`` is among the options."""
        words = list(options)
        if place.dialect == "postgresql":
            words += ["--db", place.url, "--namespace", place.namespace]
        if universe is not None:
            words += ["--universe", universe_of_client(universe)]
        self.run("client_fill.py", place.folder, *words, password=password_of(place))


def universe_of_client(version: int) -> str:
    """Return where the client itself keeps a dimension universe: it shall not depend on ours."""
    return f"resource://lsst.daf.butler/configs/old_dimensions/daf_butler_universe{version}.yaml"


def password_of(place: Place) -> str | None:
    """Return the password of a place, which ``registrytool create`` does not write into ``butler.yaml``."""
    password = make_url(place.url).password
    return str(password) if password else None


@pytest.fixture(scope="session")
def client(client_python: Path) -> Iterator[Client]:
    """Return the client; importing it takes longer than most tests here, so this happens once."""
    command = [client_python, SUPPORT / "client_server.py"]
    # Its standard error is that of pytest: a server that cannot start says why there.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Client(server)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Any, Place]]:
    """Repositories that the client has filled once, to be copied."""
    del tmp_path_factory
    made: dict[Any, Place] = {}
    yield made
    made.clear()


@pytest.fixture
def twins(
    client: Client,
    run: Run,
    place: Place,
    filled: dict[Any, Place],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[MakeTwins]:
    """Return a function that makes two copies of a repository; see ``tests/support/equivalence.py``."""
    server = request.getfixturevalue("postgres") if place.dialect == "postgresql" else None
    with contextlib.ExitStack() as stack:
        yield partial(_twins, stack, client, run, place, filled, tmp_path_factory, server)


def _twins(
    stack: contextlib.ExitStack,
    client: Client,
    run: Run,
    place: Place,
    filled: dict[Any, Place],
    folders: pytest.TempPathFactory,
    server: PostgresServer | None,
    *options: str,
    universe: int | None = None,
) -> Twins:
    key = (place.dialect, options, universe)
    if key not in filled:
        folder = folders.mktemp("filled")
        url = server.new_database() if server else f"sqlite:///{folder / 'gen3.sqlite3'}"
        filled[key] = replace(place, url=url, folder=folder)
        client.make(filled[key], *options, universe=universe)
    copies = []
    # A test can have several pairs.
    number = len(list(place.folder.glob("ours*"))) or ""
    for name in (f"ours{number}", f"theirs{number}"):
        copy = replace(filled[key], folder=place.folder / name)
        shutil.copytree(filled[key].folder, copy.folder)
        copy = replace(copy, url=f"sqlite:///{copy.folder / 'gen3.sqlite3'}")
        if server is not None:
            copy = replace(copy, url=server.new_database(filled[key].url))
            stack.callback(server.drop_database, copy.url)
            path = copy.folder / "butler.yaml"
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
            # With its password: what runs here is for nobody else to read.
            config["registry"]["db"] = copy.url
            path.write_text(yaml.safe_dump(config), encoding="utf-8")
        copies.append(copy)
    ours, theirs = copies
    return Twins(ours, theirs, client, run, tables_of(theirs))
