"""Claims about every command of maintenance, found by walking the command line itself: a new one cannot escape."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from registrytool.maintain.session import reading
from tests.support.commands import AGAINST_THE_CLIENT, EXAMPLES, INSTRUMENTS, commands, example, prepare
from tests.support.registries import make

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place, Run

pytestmark = pytest.mark.usefixtures("odd_namespace")

CLIENT = Path(__file__).parents[1] / "client"
COMMANDS = {command.name: command for command in commands()}


def everything(repository: Repository) -> dict[str, list[Any]]:
    """Return all rows."""
    with reading(repository) as session:
        return {
            name: sorted(map(repr, session.rows(sa.select(table)))) for name, table in session.metadata.tables.items()
        }


def test_each_command_has_an_example() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    for name, values in EXAMPLES.items():
        assert set(values) <= set(COMMANDS[name].options), name


def test_each_command_is_measured_by_the_client() -> None:
    assert set(AGAINST_THE_CLIENT) == {name for name, c in COMMANDS.items() if c.path[0] not in INSTRUMENTS}
    for name, test in AGAINST_THE_CLIENT.items():
        module, _, function = test.partition("::")
        tree = ast.parse((CLIENT / f"{module}.py").read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
        # Its words are in the module: a test that does not use the command is no test of it.
        words = {w for n in ast.walk(tree) if isinstance(n, ast.Constant) for w in str(n.value).split()}
        assert set(COMMANDS[name].path) <= words, (name, test)


@pytest.mark.slow
def test_examples_work_and_dry_runs_change_nothing(place: Place, run: Run) -> None:
    repository = make(place)
    identifier = prepare(repository)[0]
    before = everything(repository)
    # butler.yaml has no password.
    environment = {"REGISTRYTOOL_FORMAT": "json", "PGPASSWORD": str(make_url(place.url).password or "")}
    for name, command in COMMANDS.items():
        words = command.words(str(place.folder), example(name, repository, identifier))
        if command.changes:
            words = [*command.path, "--dry-run", *words[len(command.path) :]]
        done = run(*words, env=environment)
        if "obscore" in name and name != "obscore enable":
            assert "has no ObsCore table" in done.stderr
            continue
        if name == "instrument universe":
            continue  # It writes a file.
        assert done.exit_code in ((0,) if command.changes else (0, 4)), (words, done.stderr)
        assert ('"dry_run": true' in done.stdout) == command.changes, (name, done.stdout)
        assert ('"registry": ' in done.stdout) == ("repo" in command.parameters), name
    assert everything(repository) == before
