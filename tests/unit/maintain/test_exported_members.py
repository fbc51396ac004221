"""Claims about what `registrytool.maintain` offers to notebooks and scripts."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import registrytool.maintain

SOURCE = Path(registrytool.maintain.__file__)


def imported_for_types() -> dict[str, str]:
    """Return the names that are imported for those who check types, and the module of each."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {a.name: str(n.module) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}


def test_the_names_for_types_are_those_that_can_be_imported() -> None:
    assert imported_for_types() == registrytool.maintain._MODULES
    assert registrytool.maintain.__all__ == sorted(imported_for_types())
    assert dir(registrytool.maintain) == registrytool.maintain.__all__


@pytest.mark.parametrize(("name", "module"), sorted(imported_for_types().items()))
def test_each_name_is_documented_and_comes_from_its_module(name: str, module: str) -> None:
    value = getattr(registrytool.maintain, name)
    assert value is getattr(import_module(f"registrytool.maintain.{module}"), name)
    assert value.__module__ == f"registrytool.maintain.{module}"
    assert value.__doc__


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'registrytool.maintain' has no attribute 'nonsense'$"):
        _ = registrytool.maintain.nonsense


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, registrytool.maintain; "
        "print(*{m.partition('.')[0] for m in sys.modules} & {'sqlalchemy', 'yaml', 'typer', 'rich'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
