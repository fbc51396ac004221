"""Contents to break: a copy of the small universe of another project, and one of the project itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.check.broken import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
THIRD_PARTY = ROOT / "tests" / "data" / "thirdparty"


def copy_content(source: Path, target: Path) -> Broken:
    for name in ("schemas", "alembic"):
        shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Broken(target)


@pytest.fixture
def toy(tmp_path: Path) -> Broken:
    """Content of another project, which lies over that of the package."""
    return copy_content(THIRD_PARTY, tmp_path / "toy")


@pytest.fixture
def project(tmp_path: Path) -> Broken:
    """The content of the project itself, which stands alone."""
    return copy_content(ROOT, tmp_path / "project")


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the date."""
    import datetime

    def set_day(text: str) -> None:
        monkeypatch.setattr("registrytool.check.waivers.today", lambda: datetime.date.fromisoformat(text))

    set_day("2026-11-23")
    return set_day
