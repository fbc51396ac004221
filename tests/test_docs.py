"""Claims about the documentation: its examples run, its reference is up to date, its links lead somewhere."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from registrytool.catalog import Catalog
from registrytool.check.server import VARIABLE
from registrytool.cli import app
from registrytool.history import History
from registrytool.models import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _program() -> ModuleType:
    path = ROOT / "scripts" / "write-reference"
    spec = spec_from_loader("write_reference", SourceFileLoader("write_reference", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAM: Any = _program()


def _needs_database(page: str) -> bool:
    blocks = re.findall(r"^```console\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return any(PROGRAM.DATABASE in block for block in blocks)


ALL_EXAMPLES = PROGRAM.example_pages()
SHARED_EXAMPLES = [page for page in ALL_EXAMPLES if _needs_database(page)]


def _assert_examples_are_true(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    written, faults = PROGRAM.run_examples(text)
    assert not faults, "\n".join(faults)
    difference = difflib.unified_diff(text.splitlines(), written.splitlines(), page, "as it should be", lineterm="")
    assert written == text, "run scripts/write-reference\n" + "\n".join(difference)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in ALL_EXAMPLES if page not in SHARED_EXAMPLES])
def test_examples_print_what_the_page_shows(page: str) -> None:
    _assert_examples_are_true(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", SHARED_EXAMPLES)
def test_examples_with_postgresql_print_what_the_page_shows(
    page: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, postgres.admin_url)
    _assert_examples_are_true(page)


def test_readme_and_tutorial_have_examples() -> None:
    assert {"README.md", "docs/tutorial.md"} <= set(ALL_EXAMPLES)


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write-reference", "--check", *PROGRAM.REFERENCE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_check_finds_an_example_that_is_not_true() -> None:
    page = "```console\n$ registrytool --version\nregistrytool 99\n```\n"
    written, faults = PROGRAM.run_examples(page)
    assert written != page
    assert not faults
    page = "```console\n$ registrytool history opaque\n...\nnot there\n```\n"
    written, faults = PROGRAM.run_examples(page)
    assert written == page
    assert len(faults) == 1


def test_reference_mentions_every_command_and_option() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for name, command in _commands(typer.main.get_command(app)):
        section = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        assert section is not None, name
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert f"| {parameter.metavar or parameter.name} |" in section[1]
            else:
                assert all(f"`{option}`" in section[1] for option in parameter.opts), (name, parameter.opts)


def _commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
    for child, found in getattr(command, "commands", {}).items():
        yield from _commands(found, f"{name} {child}".strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\[[^\]]+\]\(([^)]+)\)", prose):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_file(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in _anchors(found), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The pages of rules are tied to the rules, in tests/unit/check/test_run.py.
_PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "rules")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_readme_leads_to_every_page(page: Path) -> None:
    assert f"({page.relative_to(ROOT)})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_changelog_lists_every_version_and_step() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    catalog = Catalog.find()
    for component in COMPONENTS:
        for implementation, versions in catalog.versions[component].items():
            for version in versions:
                row = rf"^\| {component} \| {implementation}\b[^|]*\|.*\b{re.escape(version)}\b"
                assert re.search(row, text, re.MULTILINE), (component, implementation, version)
    for edge in History(catalog.content).edges():
        name = "universe" if edge.end.component == "dimensions-config" else edge.end.component
        start = edge.start.version if edge.start is not None else "none"
        row = rf"^\| {name}\b[^|]*\b{re.escape(start)}\b[^|]* to [^|]*\b{re.escape(edge.end.version)}\b"
        assert re.search(row, text, re.MULTILINE), edge
