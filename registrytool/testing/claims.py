"""Claims about content, as tests: what must hold of every version and every step.

Collected by ``pytest --registrytool-content DIR``, or imported by a test module of another project::

    from registrytool.testing.claims import *

They are about the content that the option, or ``registrytool_content`` in the configuration of pytest, names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registrytool.check.model import Subject
from registrytool.config import Content
from registrytool.inspection import inspect
from registrytool.models import COMPONENTS, CONFIGURATIONS, ComponentVersion
from registrytool.naming import module_name, revision_id
from registrytool.pytest_plugin import content_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrytool.check.laboratory import Laboratory
    from registrytool.check.tried import Trial
    from registrytool.history import Revision

__all__ = [
    "pytest_generate_tests",
    "registrytool_subject",
    "test_a_fresh_registry_equals_its_snapshot",
    "test_every_revision_has_its_schema_file",
    "test_every_schema_file_has_its_revision",
    "test_history_has_one_head_for_each_implementation",
    "test_identifiers_follow_the_rule",
    "test_nothing_is_left_to_be_filled_in",
    "test_step_down_from_a_fresh_registry_gives_the_snapshot",
    "test_step_gives_the_rows_of_its_test_data",
    "test_step_up_and_down_with_rows_gives_the_snapshots",
]

_SUBJECTS: dict[Any, Subject] = {}


def _subject(config: pytest.Config) -> Subject:
    """Return the content under test; the same object for all tests, since the trials of a step are kept with it."""
    folder = content_folder(config)
    if folder not in _SUBJECTS:
        _SUBJECTS[folder] = Subject(Content.find(folder))
    return _SUBJECTS[folder]


def _dialects(config: pytest.Config) -> list[str]:
    left_out = config.getoption("registrytool_no_postgresql", default=False)
    return ["sqlite"] if left_out else ["sqlite", "postgresql"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each version, revision, step and database."""
    subject = _subject(metafunc.config)
    wanted = set(metafunc.fixturenames)
    if "registrytool_version" in wanted:
        versions = [v for v in _versions(subject) if _is_own(subject, _schema_file(subject, v))]
        metafunc.parametrize("registrytool_version", versions, ids=str)
    if "registrytool_revision" in wanted:
        revisions = [r for r in subject.history.revisions.values() if _is_own(subject, r.path)]
        metafunc.parametrize("registrytool_revision", [r.id for r in revisions], ids=[_name(r) for r in revisions])
    if "registrytool_step" in wanted:
        steps = [e.revision for e in subject.history.edges() if _is_own(subject, e.revision.path)]
        metafunc.parametrize("registrytool_step", [r.id for r in steps], ids=[_name(r) for r in steps])
    if "registrytool_dialect" in wanted:
        metafunc.parametrize("registrytool_dialect", _dialects(metafunc.config))


def _versions(subject: Subject) -> Iterator[ComponentVersion]:
    for component in COMPONENTS:
        for implementation, numbers in subject.catalog.versions[component].items():
            for number in numbers:
                yield ComponentVersion(component, implementation, number)


def _schema_file(subject: Subject, version: ComponentVersion) -> Path:
    suffix = f"{version.version}.yaml" if version.component in CONFIGURATIONS else f"{module_name(version.version)}.py"
    return subject.content.schema_file(version.component, version.implementation, suffix)


def _is_own(subject: Subject, path: Path) -> bool:
    """Whether a file is of the content under test, and not of what lies below it."""
    return path.is_relative_to(subject.content.root)


def _name(revision: Revision) -> str:
    return str(revision.target) if revision.target is not None else f"{revision.component} root"


@pytest.fixture(scope="session")
def registrytool_subject(pytestconfig: pytest.Config) -> Subject:
    """Return the content under test."""
    return _subject(pytestconfig)


def test_history_has_one_head_for_each_implementation(registrytool_subject: Subject) -> None:
    revisions = registrytool_subject.history.revisions
    followed = {r.down for r in revisions.values()}
    heads: dict[tuple[str, str], list[str]] = {}
    for revision in revisions.values():
        # A switch leads to a version from the side, and is the head of nothing.
        if revision.target is not None and not revision.is_switch and revision.id not in followed:
            key = (revision.component, revision.target.implementation)
            heads.setdefault(key, []).append(str(revision.path))
    assert {key: paths for key, paths in heads.items() if len(paths) > 1} == {}


def test_every_schema_file_has_its_revision(
    registrytool_subject: Subject, registrytool_version: ComponentVersion
) -> None:
    assert registrytool_subject.history.of(registrytool_version) is not None


def test_every_revision_has_its_schema_file(registrytool_subject: Subject, registrytool_revision: str) -> None:
    target = registrytool_subject.history.revisions[registrytool_revision].target
    if target is not None:
        registrytool_subject.catalog.require(target)


def test_identifiers_follow_the_rule(registrytool_subject: Subject, registrytool_revision: str) -> None:
    revision = registrytool_subject.history.revisions[registrytool_revision]
    target = revision.target
    expected = (
        revision_id(revision.component)
        if target is None
        else revision_id(target.component, target.implementation, target.version)
    )
    assert revision.id == expected, revision.path


def test_nothing_is_left_to_be_filled_in(registrytool_subject: Subject) -> None:
    from registrytool.check.rules import unfinished_revision

    assert [f"{f.path}:{f.line}: {f.message}" for f in unfinished_revision.check(registrytool_subject)] == []


def test_a_fresh_registry_equals_its_snapshot(
    registrytool_subject: Subject, registrytool_laboratory: Laboratory, registrytool_dialect: str
) -> None:
    _require(registrytool_laboratory, registrytool_dialect)
    catalog = registrytool_subject.catalog
    state = catalog.newest_state()
    with registrytool_laboratory.registry(catalog, state, registrytool_dialect, rows=True) as database:
        with database.read() as connection:
            inspection = inspect(connection, database.namespace, catalog, where="the test")
        assert [str(d) for d in inspection.differences] == []
        assert inspection.recorded.state == state


def test_step_up_and_down_with_rows_gives_the_snapshots(
    registrytool_subject: Subject,
    registrytool_laboratory: Laboratory,
    registrytool_step: str,
    registrytool_dialect: str,
) -> None:
    for trial in _trials(registrytool_laboratory, registrytool_subject, registrytool_step, registrytool_dialect):
        assert trial.problem is None
        assert trial.up is not None
        for passage in (trial.up, trial.back):
            if passage is not None:
                assert (passage.error, passage.refused) == (None, None)
                assert [str(d) for d in passage.differences] == []
                assert passage.dangling == []


def test_step_down_from_a_fresh_registry_gives_the_snapshot(
    registrytool_subject: Subject,
    registrytool_laboratory: Laboratory,
    registrytool_step: str,
    registrytool_dialect: str,
) -> None:
    for trial in _trials(registrytool_laboratory, registrytool_subject, registrytool_step, registrytool_dialect):
        if trial.down is not None and trial.down.refused is None:
            assert trial.down.error is None
            assert [str(d) for d in trial.down.differences] == []
            assert trial.down.dangling == []


def test_step_gives_the_rows_of_its_test_data(
    registrytool_subject: Subject,
    registrytool_laboratory: Laboratory,
    registrytool_step: str,
    registrytool_dialect: str,
) -> None:
    for trial in _trials(registrytool_laboratory, registrytool_subject, registrytool_step, registrytool_dialect):
        assert [f"{case.name}: {wrong}" for case, wrong in trial.wrong] == []


def _require(laboratory: Laboratory, dialect: str) -> None:
    if dialect not in laboratory.dialects:
        pytest.fail(
            f"{laboratory.missing} To leave these claims out on purpose, use --registrytool-no-postgresql.",
            pytrace=False,
        )


def _trials(laboratory: Laboratory, subject: Subject, revision: str, dialect: str) -> list[Trial]:
    _require(laboratory, dialect)
    from registrytool.check.trial import all_trials

    found = [t for t in all_trials(laboratory, subject) if t.edge.revision.id == revision and t.dialect == dialect]
    assert found, "there is no state from which the step can be run"
    return found
