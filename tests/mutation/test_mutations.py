"""Correct content, broken in one way after the other: the gate reports each, by the right rule and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.check import check_content
from registrytool.check.laboratory import Laboratory
from tests.mutation import contents
from tests.mutation.contents import ARCHIVE, OBSERVER
from tests.mutation.hidden import HIDDEN, SQLITE_TRACES, TRACES, no_downgrade_approved
from tests.mutation.ways import BASES, DANGEROUS, DYNAMIC, STATIC, Mutation, after_archive, after_reshape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mutation.contents import Tree
    from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def belows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("below")
    plain, fewer = contents.make_below(folder / "plain"), contents.make_below(folder / "fewer")
    contents.without_moved(fewer)
    return {"toy": plain, "notes": plain, "managers": fewer}


@pytest.fixture(scope="session")
def laboratories(postgres: PostgresServer) -> Iterator[dict[bool, Laboratory]]:
    """Give databases to try steps in, without and with PostgreSQL: most breaks begin with the same registries."""
    with Laboratory(postgresql=False) as one, Laboratory(postgres.admin_url, require_postgresql=True) as both:
        yield {False: one, True: both}


def check(
    tree: Tree, laboratories: dict[bool, Laboratory], *, postgresql: bool, unreleased: bool = False
) -> dict[str, list[str]]:
    report = check_content(
        tree.content,
        laboratory=laboratories[postgresql],
        require_postgresql=postgresql,
        databases=("sqlite", "postgresql") if postgresql else ("sqlite",),
        unreleased=unreleased,
    )
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.code, []).append(f"{finding.path}:{finding.line}: {finding.message}")
    return found


@pytest.mark.parametrize("base", BASES)
def test_correct_content_has_no_findings(
    base: str, belows: dict[str, Path], tmp_path: Path, laboratories: dict[bool, Laboratory]
) -> None:
    tree = BASES[base](tmp_path / "content", belows[base])
    tree.lock()
    assert check(tree, laboratories, postgresql=True) == {}


@pytest.mark.parametrize("mutation", [*STATIC, *DYNAMIC, *DANGEROUS, *HIDDEN], ids=lambda m: m.name)
def test_broken_content_is_found_by_the_right_rule_and_no_other(
    mutation: Mutation, belows: dict[str, Path], tmp_path: Path, laboratories: dict[bool, Laboratory]
) -> None:
    tree = BASES[mutation.base](tmp_path / "content", belows[mutation.base])
    tree.lock()
    before = tree.files()
    mutation.apply(tree)
    after = tree.files()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if not mutation.released:
        tree.unlock(changed)
    # Steps that are as they were when nothing was found need not be run again; but then no waiver is called unused.
    unreleased = not any("waivers" in name for name in changed)
    found = check(tree, laboratories, postgresql=mutation.postgresql, unreleased=unreleased)
    assert list(found) == [mutation.code], found


@pytest.mark.parametrize("base", ["managers", "toy"])
def test_what_no_snapshot_describes_is_found(
    base: str, belows: dict[str, Path], tmp_path: Path, laboratories: dict[bool, Laboratory]
) -> None:
    postgresql = base == "managers"
    tree = BASES[base](tmp_path / "content", belows[base])
    tree.lock()
    script, traces = (ARCHIVE, TRACES) if postgresql else (OBSERVER, SQLITE_TRACES)
    add, dialect = (after_archive, "postgresql") if postgresql else (after_reshape, "sqlite")
    for sql in reversed(traces):
        Mutation("", base, "", add(sql, dialect), postgresql=postgresql).apply(tree)
    tree.unlock([script])
    found = check(tree, laboratories, postgresql=postgresql, unreleased=True)
    assert list(found) == ["RT302"]
    told = {message.partition(": After the step to ")[2].partition(": ")[2] for message in found["RT302"]}
    database = "PostgreSQL" if postgresql else "SQLite"
    assert told >= {f"{trace} ({database})." for trace in traces.values() if trace}


def test_a_missing_downgrade_can_be_approved(
    belows: dict[str, Path], tmp_path: Path, laboratories: dict[bool, Laboratory]
) -> None:
    tree = BASES["toy"](tmp_path / "content", belows["toy"])
    no_downgrade_approved(tree)
    assert check(tree, laboratories, postgresql=False) == {}
