"""Alembic's own command line, in a checkout, does what ``registrytool migrate`` does."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import alembic.config
import pytest
import sqlalchemy as sa

from tests.integration.test_crash import checksums, fill_registry, finished
from tests.support import forks

if TYPE_CHECKING:
    from tests.support.places import Place

CHECKOUT = Path(__file__).parents[2]
HEAD = {
    "datasets": "4e2d7a28475b",
    "dimensions-config": "aa7a2f893cba",
}
UNIVERSE_4, UNIVERSE_5 = "9888256c6a18", "2a8a32e1bec3"

pytestmark = pytest.mark.slow


def run_alembic(*words: object, repo: object = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``alembic`` from a checkout."""
    given = ({"repo": str(repo)} if repo is not None else {}) | settings
    options = [word for name, value in given.items() for word in ("-x", f"{name}={value}")]
    return forks.finished(alembic_program, "alembic", "-c", "alembic.ini", *options, *words, folder=CHECKOUT)


def alembic_program() -> None:
    # Its class Config has taken what standard output was when it was defined.
    importlib.reload(alembic.config).main()


def own_process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ``alembic`` from a checkout, in a new process."""
    command = [sys.executable, "-m", "alembic.config", "-c", "alembic.ini", *words]
    # Run as a module, Python looks into the present folder first, where a folder "alembic" is; the script does not.
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, env=environment)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command was refused; return its sentence."""
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "INFO" not in line]
    assert len(lines) == 1, lines
    return lines[0].removeprefix("FAILED: ")


@pytest.fixture
def repo(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a repository of week 2023.32; its password is where PostgreSQL looks for it."""
    root = tmp_path / "made"
    words = [place.url, *(("--namespace", place.namespace) if place.namespace else ())]
    outcome = finished("create", root, "--at", "w_2023_32", *(("--db", *words) if place.namespace else ()))
    assert outcome.returncode == 0, outcome.stderr
    password = sa.make_url(place.url).password
    if password is not None:
        monkeypatch.setenv("PGPASSWORD", str(password))
    fill_registry(url_of(place, root), place.namespace, 100)
    return root


def url_of(place: Place, root: Path) -> str:
    return place.url if place.namespace else f"sqlite:///{root / 'gen3.sqlite3'}"


def versions(repo: Path) -> dict[str, str]:
    outcome = finished("status", repo, "--format", "json")
    assert outcome.returncode in (0, 4), outcome.stderr
    return {c["component"]: c["version"] for c in json.loads(outcome.stdout)["components"]}


def assert_sound(repo: Path) -> None:
    outcome = finished("verify", repo)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("namespace", ["registry", "public"])
def test_upgrade_to_heads_leaves_the_registry_as_migrate_does(
    repo: Path, place: Place, tmp_path: Path, postgresql_copy: str | None
) -> None:
    # The same content, migrated by registrytool.
    if place.namespace is None:
        url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
        (tmp_path / "other.sqlite3").write_bytes((repo / "gen3.sqlite3").read_bytes())
    else:
        assert postgresql_copy is not None
        url = postgresql_copy
    words = [url, *(("--namespace", place.namespace) if place.namespace else ())]
    outcome = finished("migrate", *words, "--yes", "--no-backup")
    assert outcome.returncode == 0, outcome.stderr

    done = run_alembic("upgrade", "heads", repo=repo)

    assert done.returncode == 0, done.stderr
    assert checksums(url_of(place, repo), place.namespace) == checksums(url, place.namespace)
    assert versions(repo)["dimensions-config"] != "4"
    assert finished("status", repo).returncode == 0
    assert_sound(repo)


@pytest.fixture
def postgresql_copy(repo: Path, place: Place, request: pytest.FixtureRequest) -> str | None:
    if place.namespace is None:
        return None
    copy: str = request.getfixturevalue("postgres").new_database(place.url)
    request.addfinalizer(lambda: request.getfixturevalue("postgres").drop_database(copy))  # noqa: PT021
    return copy


def test_upgrade_to_heads_works_by_url_and_namespace(repo: Path, place: Place, odd_namespace: str) -> None:
    settings = {"namespace": place.namespace} if place.namespace else {}

    done = run_alembic("upgrade", "heads", repo=url_of(place, repo), **settings)

    assert done.returncode == 0, done.stderr
    words = [url_of(place, repo), *(("--namespace", place.namespace) if place.namespace else ())]
    assert finished("verify", *words).returncode == 0
    assert finished("status", *words).returncode == 0


def test_upgrade_once_more_changes_nothing(repo: Path, place: Place) -> None:
    assert run_alembic("upgrade", "heads", repo=repo).returncode == 0
    before = checksums(url_of(place, repo), place.namespace)

    done = run_alembic("upgrade", "heads", repo=repo)

    assert done.returncode == 0, done.stderr
    assert checksums(url_of(place, repo), place.namespace) == before


def test_upgrade_to_a_revision_runs_only_the_steps_of_its_tree(repo: Path) -> None:
    before = versions(repo)

    done = run_alembic("upgrade", UNIVERSE_5, repo=repo)

    assert done.returncode == 0, done.stderr
    assert versions(repo) == {**before, "dimensions-config": "5"}
    assert_sound(repo)


def test_downgrade_leads_back_to_a_revision(repo: Path, place: Place) -> None:
    before = versions(repo)
    assert run_alembic("upgrade", UNIVERSE_5, repo=repo).returncode == 0

    done = run_alembic("downgrade", UNIVERSE_4, repo=repo)

    assert done.returncode == 0, done.stderr
    assert versions(repo) == before
    assert_sound(repo)


@pytest.mark.parametrize(
    "words", [("upgrade", "+1"), ("downgrade", "-1"), ("downgrade", "dimensions-config@-1"), ("downgrade", "base")]
)
def test_a_relative_target_is_followed_or_refused_but_never_ignored(repo: Path, words: tuple[str, ...]) -> None:
    before = versions(repo)

    done = run_alembic(*words, repo=repo)

    if done.returncode == 0:
        assert versions(repo) != before
    else:
        refusal(done)
        assert versions(repo) == before


def test_current_tells_what_the_registry_has(repo: Path) -> None:
    assert finished("stamp", repo).returncode == 0
    before = run_alembic("current", repo=repo)
    assert run_alembic("upgrade", "heads", repo=repo).returncode == 0
    after = run_alembic("current", repo=repo)

    assert (before.returncode, after.returncode) == (0, 0), before.stderr + after.stderr
    assert UNIVERSE_4 in before.stdout
    assert UNIVERSE_4 not in after.stdout
    for revision in HEAD.values():
        assert revision not in before.stdout
        assert revision in after.stdout


def test_current_changes_nothing(repo: Path, place: Place) -> None:
    before = checksums(url_of(place, repo), place.namespace)

    assert run_alembic("current", repo=repo).returncode == 0

    assert checksums(url_of(place, repo), place.namespace) == before


def test_history_and_heads_need_no_registry() -> None:
    history, heads = own_process("history"), own_process("heads")

    assert (history.returncode, heads.returncode) == (0, 0), history.stderr + heads.stderr
    for revision in HEAD.values():
        assert revision in history.stdout
        assert revision in heads.stdout


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (("upgrade", "heads"), {}, "Say which registry with -x repo=REPO."),
        (("upgrade", "heads"), {"repo": "/no/such/place"}, "There is no repository /no/such/place"),
        (("upgrade", "heads", "--sql"), {"repo": "REPO"}, "Use 'registrytool migrate --sql'"),
        (("upgrade", "no-such-revision"), {"repo": "REPO"}, "no-such-revision"),
        (("upgrade", "heads"), {"repo": "REPO", "no_such_option": "1"}, "No step has an option no_such_option."),
        (("stamp", "heads"), {"repo": "REPO"}, "registrytool stamp"),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    repo: Path, place: Place, words: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    before = checksums(url_of(place, repo), place.namespace)

    done = run_alembic(*words, **{name: value.replace("REPO", str(repo)) for name, value in settings.items()})

    assert said in refusal(done)
    assert checksums(url_of(place, repo), place.namespace) == before


def test_a_downgrade_that_loses_something_is_refused_unless_the_loss_is_accepted(repo: Path, place: Place) -> None:
    assert run_alembic("upgrade", "heads", repo=repo).returncode == 0
    engine = sa.create_engine(url_of(place, repo), poolclass=sa.NullPool)
    prefix = f"{place.namespace}." if place.namespace else ""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {prefix}\"group\" (instrument, name) VALUES ('LSSTCam', 'of nobody')")
    before = checksums(url_of(place, repo), place.namespace)

    refused = run_alembic("downgrade", UNIVERSE_5, repo=repo)

    assert "would lose" in refusal(refused)
    assert checksums(url_of(place, repo), place.namespace) == before
    accepted = run_alembic("downgrade", UNIVERSE_5, repo=repo, accept_loss="1")
    assert accepted.returncode == 0, accepted.stderr
    assert versions(repo)["dimensions-config"] == "5"
    assert_sound(repo)
