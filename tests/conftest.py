"""Options, header, last line and fixtures of all tests."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from registrytool.check.server import memory_folder
from tests.support.places import ODD_NAMESPACE, Dialect, Outcome, Place, Run
from tests.support.postgres import PostgresMissingError, PostgresServer, find_sources, postgres_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from typer.testing import CliRunner
    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

    from tests.support.stage import Stage

CLIENT_VARIABLE = "REGISTRYTOOL_TEST_CLIENT"

# marker, the fixture that brings it, the option that leaves such tests out, and how they run
LEAVABLE = (
    ("postgresql", "postgres", "--no-postgresql", "on PostgreSQL"),
    ("client", "client_python", "--no-client", "with the Butler client"),
)

SERVER = pytest.StashKey[PostgresServer | PostgresMissingError]()
CLIENT = pytest.StashKey[tuple[Path | None, str]]()
LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("registrytool")
    group.addoption("--no-postgresql", action="store_true", help="leave out the tests on PostgreSQL, on purpose")
    group.addoption("--no-client", action="store_true", help="leave out the tests with the Butler client, on purpose")
    group.addoption(
        "--client",
        metavar="PYTHON",
        default=os.environ.get(CLIENT_VARIABLE),
        help=f"Python interpreter of an environment with lsst-daf-butler (default: {CLIENT_VARIABLE})",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Keep temporary files in memory, those of workers and of programs that tests start as well, unless told where."""
    if "TMPDIR" not in os.environ and (folder := memory_folder()) is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # To look through all that pytest and SQLAlchemy hold took a third of the time; commands do the same for themselves.
    gc.set_threshold(100_000)


def pytest_collection_finish() -> None:
    """Let garbage collection pass over all that is there before the first test."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"PostgreSQL: {_server_origin(config)}", f"Butler client: {_client_origin(config)}"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker of pytest-xdist which server to use: there is one, and the controller owns it."""
    if node.config.getoption("--no-postgresql"):
        return
    server = _server(node.config)
    if isinstance(server, PostgresServer):
        node.workerinput["postgres_address"] = server.address_for(node.gateway.id)
    else:
        node.workerinput["postgres_reasons"] = server.reasons


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a server or the client, before ``-m`` selects, and leave out what the options say."""
    left_out: dict[pytest.Item, str] = {}
    for marker, fixture, option, _ in LEAVABLE:
        for item in items:
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
            if config.getoption(option) and item.get_closest_marker(marker):
                left_out.setdefault(item, option)
    config.stash[LEFT_OUT] = Counter(left_out.values())
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of a worker of pytest-xdist
    if output is not None:
        output["left_out"] = dict(_left_out(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Take the numbers of a worker; all workers collect the same tests."""
    output: dict[str, dict[str, int]] = getattr(node, "workeroutput", {})
    node.config.stash[LEFT_OUT] = _left_out(node.config) | Counter(output.get("left_out", {}))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    """Say as the last line before pytest's own what was left out on purpose."""
    yield
    counts = _left_out(config)
    said = [f"{counts[option]} {what} ({option})" for _, _, option, what in LEAVABLE if config.getoption(option)]
    if said:
        terminalreporter.write_line(f"Left out on purpose: {', '.join(said)}.", yellow=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("client"):
        _require_client(item.config)


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """Return the PostgreSQL server of this run; without pytest-xdist it starts with the first test that asks."""
    server = _server(pytestconfig)
    if isinstance(server, PostgresMissingError):
        pytest.fail(str(server), pytrace=False)
    return server


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.postgresql] * (name == "postgresql")) for name in get_args(Dialect)]
)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Give the name of each database system in turn."""
    name: Dialect = request.param
    return name


@pytest.fixture
def odd_namespace() -> str:
    """Make `place` use a namespace that must be quoted; return its name."""
    return ODD_NAMESPACE


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Return the namespace of `place` on PostgreSQL; a test may parametrise this name with its own values."""
    return ODD_NAMESPACE if "odd_namespace" in request.fixturenames else "registry"


@pytest.fixture
def place(dialect: Dialect, namespace: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give an empty place for a registry on each database system; gone after the test."""
    folder = tmp_path / "repo"
    folder.mkdir()
    if dialect == "sqlite":
        yield Place(dialect, f"sqlite:///{folder / 'gen3.sqlite3'}", None, folder)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    yield Place(dialect, url, namespace, folder)
    server.drop_database(url)


@pytest.fixture(scope="session")
def client_python(pytestconfig: pytest.Config) -> Path:
    """Return the Python interpreter of the environment with the Butler client."""
    return _require_client(pytestconfig)


@pytest.fixture(scope="session")
def runner() -> CliRunner:
    """Return what runs commands in this process; a command is made once, as in a process of its own."""
    from typer import main, testing

    vars(testing)["_get_command"] = functools.cache(main.get_command)
    return testing.CliRunner()


@pytest.fixture
def run(runner: CliRunner) -> Run:
    """Return a function that runs a command in this process."""
    from registrytool.cli import app

    quiet = {"COLUMNS": "100", "NO_COLOR": "1", "FORCE_COLOR": None, "DAF_BUTLER_REPOSITORY_INDEX": None}

    def run_command(*arguments: object, stdin: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        words = [str(argument) for argument in arguments]
        result = runner.invoke(app, words, input=stdin, env=quiet | (env or {}), catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run_command


@pytest.fixture(scope="session")
def stages() -> dict[Dialect, Stage]:
    """Registries on which commands are tried, by database system; made when they are needed."""
    return {}


@pytest.fixture
def stage(
    dialect: Dialect,
    run: Run,
    stages: dict[Dialect, Stage],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stage:
    """Return registries in which each command of maintenance has something to do."""
    if dialect not in stages:
        from tests.support.stage import Stage

        server: PostgresServer | None = None
        if dialect == "postgresql":
            server = request.getfixturevalue("postgres")
        stages[dialect] = Stage(tmp_path_factory.mktemp(dialect), dialect, server, run)
    return stages[dialect]


def _left_out(config: pytest.Config) -> Counter[str]:
    return config.stash.setdefault(LEFT_OUT, Counter())


def _server(config: pytest.Config) -> PostgresServer | PostgresMissingError:
    """Return the server of this run, starting it at the first call; or why there is none."""
    if SERVER not in config.stash:
        config.stash[SERVER] = _start_server(config)
    return config.stash[SERVER]


def _start_server(config: pytest.Config) -> PostgresServer | PostgresMissingError:
    given = getattr(config, "workerinput", {})
    if "postgres_address" in given:
        return PostgresServer(**given["postgres_address"])
    if "postgres_reasons" in given:
        return PostgresMissingError(given["postgres_reasons"])
    stack = contextlib.ExitStack()
    config.add_cleanup(stack.close)
    try:
        return stack.enter_context(postgres_server())
    except PostgresMissingError as error:
        return error


def _server_origin(config: pytest.Config) -> str:
    if config.getoption("--no-postgresql"):
        return "left out (--no-postgresql)"
    if config.getoption("dist", "no") != "no":  # pytest-xdist: the workers need the server from the start
        server = _server(config)
        return server.origin if isinstance(server, PostgresServer) else str(server)
    return ", else ".join(source.origin for source in find_sources()) or str(PostgresMissingError([]))


def _client(config: pytest.Config) -> tuple[Path | None, str]:
    """Find the Butler client, once: its Python interpreter, and its version or what is wrong."""
    if CLIENT not in config.stash:
        config.stash[CLIENT] = _find_client(config.getoption("--client"))
    return config.stash[CLIENT]


def _find_client(python: str | None) -> tuple[Path | None, str]:
    if not python:
        return None, f"neither --client nor {CLIENT_VARIABLE} names a Python interpreter"
    command = [python, "-c", "from importlib.metadata import version; print(version('lsst-daf-butler'))"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return None, f"{python} cannot be run: {error.strerror}"
    if done.returncode != 0:
        return None, f"{python} has no package lsst-daf-butler"
    return Path(python).absolute(), f"lsst-daf-butler {done.stdout.strip()} of {python}"


def _client_origin(config: pytest.Config) -> str:
    if config.getoption("--no-client"):
        return "left out (--no-client)"
    return _client(config)[1]


def _require_client(config: pytest.Config) -> Path:
    python, finding = _client(config)
    if python is None:
        pytest.fail(
            f"No Butler client for the tests: {finding}. Make an environment (python3 -m venv client; client/bin/pip "
            "install lsst-daf-butler psycopg2-binary) and pass --client client/bin/python; scripts/test does this by "
            "itself. To leave these tests out on purpose, use --no-client.",
            pytrace=False,
        )
    return python
