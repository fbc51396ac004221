"""Rules about released files: digests in schemas.lock."""

from __future__ import annotations

import pytest

from registrytool.check.lock import lockable, read_lock, release
from tests.unit.check.broken import UNIVERSES, V1_TO_V2, V2_TO_V3, Broken

LOCK = "schemas/schemas.lock"


@pytest.fixture
def released(toy: Broken) -> Broken:
    """Content of which everything is released."""
    release(toy.content)
    return toy


def test_released_files_that_nobody_touched_give_nothing(released: Broken) -> None:
    assert released.check().findings == ()


def test_all_schema_files_universes_and_scripts_are_released(released: Broken) -> None:
    assert len(read_lock(released.content).files) == len(lockable(released.content)) == 6


def test_a_file_that_is_not_released_may_change(toy: Broken) -> None:
    toy.remove(V2_TO_V3)
    toy.remove(f"{UNIVERSES}/3.yaml")
    release(toy.content)
    toy.write(f"{UNIVERSES}/3.yaml", (toy.root / UNIVERSES / "2.yaml").read_text().replace("version: 2", "version: 3"))
    toy.write(V2_TO_V3, (toy.root / V1_TO_V2).read_text().replace('"2"', '"3"').replace("5f9883672111", "x"))
    assert all(f.code.startswith("RT1") for f in toy.check().findings)


def test_line_ends_of_other_systems_are_no_edit(released: Broken) -> None:
    path = released.root / V2_TO_V3
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert released.check().findings == ()


def test_an_edited_revision_is_found(released: Broken) -> None:
    released.edit(V2_TO_V3, "The table scan is new.", "The table scan is new!")
    assert released.found()[:2] == ("RT201", V2_TO_V3)


def test_a_removed_file_is_found(released: Broken) -> None:
    released.remove(V2_TO_V3)
    released.remove(f"{UNIVERSES}/3.yaml")
    findings = released.check().findings
    assert [(f.code, f.path, f.object) for f in findings] == [
        ("RT202", LOCK, V2_TO_V3),
        ("RT202", LOCK, f"{UNIVERSES}/3.yaml"),
    ]
    assert [(released.root / LOCK).read_text().splitlines()[f.line - 1].split()[-1] for f in findings] == [
        f.object for f in findings
    ]


def test_an_edited_universe_is_found(released: Broken) -> None:
    released.edit(f"{UNIVERSES}/3.yaml", "observer, type: string, length: 64", "observer, type: string, length: 65")
    assert released.found()[:2] == ("RT203", f"{UNIVERSES}/3.yaml")
    assert released.only().message.endswith("what it defines.")


def test_an_edited_documentation_string_of_a_universe_is_found_and_named(released: Broken) -> None:
    released.edit(f"{UNIVERSES}/3.yaml", "A photographic plate.", "A glass plate.")
    assert released.found()[:2] == ("RT203", f"{UNIVERSES}/3.yaml")
    assert released.only().message.endswith("documentation or comments only.")


@pytest.mark.parametrize("line", ["nonsense", "0123 - schemas/x.yaml"])
def test_a_line_of_the_lock_that_says_nothing_is_found(line: str, released: Broken) -> None:
    released.append(LOCK, f"{line}\n")
    assert released.found() == ("RT204", LOCK, line)


def test_a_file_that_is_twice_in_the_lock_is_found(released: Broken) -> None:
    line = (released.root / LOCK).read_text().splitlines()[-1]
    released.append(LOCK, f"{line}\n")
    assert released.found() == ("RT204", LOCK, line)


def test_a_lock_that_was_rewritten_is_found(released: Broken, project: Broken) -> None:
    base = Broken(project.root.parent / "base")
    (released.root / "schemas").rename(released.root / "kept")
    released.write(LOCK, (released.root / "kept/schemas.lock").read_text())
    (released.root / "schemas").rename(base.root.parent / "old")
    (released.root / "kept").rename(released.root / "schemas")
    (base.root / "alembic").mkdir(parents=True)
    (base.root.parent / "old").rename(base.root / "schemas")

    released.edit(V2_TO_V3, "The table scan is new.", "The table scan is new!")
    lines = (released.root / LOCK).read_text().splitlines(keepends=True)
    released.write(LOCK, "".join(line for line in lines if V2_TO_V3 not in line))
    assert [f.code for f in released.check(base.content).findings] == ["RT205"]

    release(released.content)
    assert released.found(base.content)[:2] == ("RT205", LOCK)
    assert released.only(base.content).object == V2_TO_V3


def test_a_release_adds_and_never_changes(released: Broken) -> None:
    before = (released.root / LOCK).read_text()
    released.edit(V2_TO_V3, "The table scan is new.", "The table scan is new!")
    assert release(released.content) == []
    assert (released.root / LOCK).read_text() == before
    released.write(f"{UNIVERSES}/4.yaml", "version: 4\n")
    assert release(released.content) == [f"{UNIVERSES}/4.yaml"]
    after = (released.root / LOCK).read_text()
    assert set(before.splitlines()) < set(after.splitlines())
