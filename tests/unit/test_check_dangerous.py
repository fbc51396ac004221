"""Which statements count as dangerous, for tables of which size; squawk gives a second opinion."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from registrytool.check.laboratory import Laboratory
from registrytool.check.model import Subject
from registrytool.check.rows import TableContent
from registrytool.check.rules import all_rules
from registrytool.check.sizes import size_class
from registrytool.check.tried import Emitted, Passage, Trial
from tests.support.content_states import CATALOG, STEPS, start_of

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.history import Edge

#: A step that does not need a closed repository.
EDGE = next(e for e in STEPS if e.end.component == "dimensions-config" and e.end.version == "8")
TABLES = ("dataset", "dataset_tags_00000001", "exposure", "dataset_type", 'odd "name')


def found(*emitted: Emitted, edge: Edge = EDGE, dialect: str = "postgresql") -> list[str]:
    """Return the codes of the rules RT4xx that find something in statements."""
    start = {name: TableContent((), []) for name in TABLES}
    trial = Trial(edge, dialect, start_of(edge), up=Passage(emitted=list(emitted), start=start))
    subject = Subject(CATALOG.content, laboratory=Laboratory(postgresql=False), tried=(trial,))
    rules = [rule for _, rule in all_rules() if rule.CODE.startswith("RT4")]
    return sorted({f.code for rule in rules for f in rule.check(subject)})


# statement, our rule, what squawk calls it
DANGEROUS = [
    ("CREATE INDEX i ON registry.dataset (run_id)", "RT402", "require-concurrent-index-creation"),
    ("CREATE UNIQUE INDEX i ON registry.dataset (run_id)", "RT402", "require-concurrent-index-creation"),
    (
        "ALTER TABLE registry.dataset ADD CONSTRAINT c FOREIGN KEY (run_id) REFERENCES registry.run (id)",
        "RT403",
        "adding-foreign-key-constraint",
    ),
    ("ALTER TABLE registry.dataset ADD CONSTRAINT c CHECK (run_id > 0)", "RT403", "constraint-missing-not-valid"),
    ("ALTER TABLE exposure ADD CHECK (id > 0)", "RT403", "constraint-missing-not-valid"),
    ("ALTER TABLE registry.dataset ADD CONSTRAINT c UNIQUE (run_id)", "RT404", "disallowed-unique-constraint"),
    ("ALTER TABLE registry.dataset ALTER COLUMN run_id SET NOT NULL", "RT405", "adding-not-nullable-field"),
    ('ALTER TABLE "registry"."exposure" ALTER "id" SET NOT NULL', "RT405", "adding-not-nullable-field"),
    ("ALTER TABLE registry.exposure DROP COLUMN id", "RT409", "ban-drop-column"),
    ("ALTER TABLE dataset_type DROP COLUMN id", "RT409", "ban-drop-column"),
    ("ALTER TABLE registry.exposure RENAME COLUMN id TO number", "RT409", "renaming-column"),
    ("DROP TABLE registry.dataset_type", "RT409", "ban-drop-table"),
]
HARMLESS = [
    "CREATE INDEX CONCURRENTLY i ON registry.dataset (run_id)",
    "ALTER TABLE registry.dataset ADD CONSTRAINT c FOREIGN KEY (run_id) REFERENCES registry.run (id) NOT VALID",
    "ALTER TABLE registry.dataset ADD CONSTRAINT c CHECK (run_id > 0) NOT VALID",
    "ALTER TABLE registry.dataset VALIDATE CONSTRAINT c",
    "ALTER TABLE registry.dataset ADD CONSTRAINT c UNIQUE USING INDEX i",
    "ALTER TABLE registry.dataset ADD COLUMN note text",
    "ALTER TABLE registry.dataset RENAME CONSTRAINT a TO b",
    "ALTER TABLE registry.dataset ALTER COLUMN run_id DROP NOT NULL",
]
SMALL = [
    "CREATE INDEX i ON registry.dataset_type (name)",
    "ALTER TABLE registry.dataset_type ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE registry.dataset_type ADD CONSTRAINT c UNIQUE (name)",
    "CREATE TABLE registry.scan (id bigint PRIMARY KEY)",
    "CREATE INDEX i ON registry.scan (id)",
    "UPDATE registry.dataset_type SET name = 'a'",
    'ALTER TABLE "odd ""name" ALTER COLUMN a SET NOT NULL',
]


@pytest.mark.parametrize(("sql", "code", "squawk"), DANGEROUS)
def test_a_dangerous_statement_is_found_by_one_rule(sql: str, code: str, squawk: str) -> None:
    assert found(Emitted(sql)) == [code]


@pytest.mark.parametrize("sql", HARMLESS + SMALL)
def test_a_harmless_statement_is_not_found(sql: str) -> None:
    assert found(Emitted(sql)) == []


@pytest.mark.parametrize(("sql", "code", "squawk"), DANGEROUS)
def test_squawk_thinks_the_same_of_dangerous_statements(sql: str, code: str, squawk: str, tmp_path: Path) -> None:
    assert squawk in opinions(sql, tmp_path)


@pytest.mark.parametrize("sql", HARMLESS)
def test_squawk_thinks_the_same_of_harmless_statements(sql: str, tmp_path: Path) -> None:
    assert opinions(sql, tmp_path).isdisjoint({squawk for *_, squawk in DANGEROUS})


def opinions(sql: str, folder: Path) -> set[str]:
    """Return the names of the rules of squawk that find something."""
    program = shutil.which("squawk", path=sysconfig.get_path("scripts"))
    assert program is not None, "squawk is missing: pip install squawk-cli"
    file = folder / "step.sql"
    file.write_text(f"{sql};\n")
    done = subprocess.run([program, "--reporter", "gcc", str(file)], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?:warning|error): ([a-z-]+) ", done.stdout))


def test_a_rewrite_is_found_for_big_and_middle_tables_only() -> None:
    assert found(Emitted("CLUSTER dataset", rewritten=frozenset({"dataset"}))) == ["RT401"]
    assert found(Emitted("CLUSTER exposure", rewritten=frozenset({"exposure"}))) == ["RT401"]
    assert found(Emitted("CLUSTER dataset_type", rewritten=frozenset({"dataset_type"}))) == []


def test_a_change_of_type_is_found_only_if_it_rewrites() -> None:
    sql = "ALTER TABLE dataset ALTER COLUMN run_id TYPE text"
    assert found(Emitted(sql, rewritten=frozenset({"dataset"}))) == ["RT406"]
    assert found(Emitted(sql)) == []


def test_a_not_null_that_a_check_has_proved_is_not_found() -> None:
    sql = "ALTER TABLE dataset ALTER COLUMN run_id SET NOT NULL"
    assert found(Emitted(sql, proved=frozenset({("dataset", "run_id")}))) == []
    assert found(Emitted(sql, proved=frozenset({("dataset", "id")}))) == ["RT405"]


def test_a_strong_lock_without_a_timeout_is_found() -> None:
    strong, weak = (frozenset({("dataset_type", mode)}) for mode in ("AccessExclusiveLock", "RowExclusiveLock"))
    assert found(Emitted("ALTER TABLE dataset_type ADD a int", locks=strong, timeout=False)) == ["RT407"]
    assert found(Emitted("ALTER TABLE dataset_type ADD a int", locks=strong)) == []
    assert found(Emitted("INSERT INTO dataset_type VALUES (1)", locks=weak, timeout=False)) == []


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_an_unbounded_change_of_a_big_table_is_found_on_both_databases(dialect: str) -> None:
    assert found(Emitted("UPDATE dataset SET run_id = 1"), dialect=dialect) == ["RT408"]
    assert found(Emitted("DELETE FROM dataset_tags_00000001 WHERE run_id = 1"), dialect=dialect) == ["RT408"]
    bounded = "UPDATE dataset SET run_id = 1 WHERE id IN (SELECT id FROM dataset LIMIT 1000)"
    assert found(Emitted(bounded), dialect=dialect) == []
    assert found(Emitted("UPDATE exposure SET id = 1"), dialect=dialect) == []


def test_a_step_that_closes_the_repository_is_not_judged() -> None:
    closed = dataclasses.replace(EDGE, revision=dataclasses.replace(EDGE.revision, closed="why"))
    assert [found(Emitted(sql), edge=closed) for sql, *_ in DANGEROUS] == [[]] * len(DANGEROUS)


def test_the_contract_phase_may_drop() -> None:
    contract = dataclasses.replace(EDGE, revision=dataclasses.replace(EDGE.revision, phase="contract"))
    assert found(Emitted("ALTER TABLE exposure DROP COLUMN id"), edge=contract) == []
    assert found(Emitted("CREATE INDEX i ON dataset (run_id)"), edge=contract) == ["RT402"]


@pytest.mark.parametrize(
    ("table", "size"),
    [
        ("dataset", "big"),
        ("dataset_tags_00000012", "big"),
        ("visit_detector_region_skypix_overlap", "big"),
        ("file_datastore_records", "big"),
        ("exposure", "middle"),
        ("visit_detector_region", "middle"),
        ("visit_system", "small"),
        ("dataset_type", "small"),
    ],
)
def test_tables_have_sizes(table: str, size: str) -> None:
    assert size_class(table, CATALOG.content) == size
