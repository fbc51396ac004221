"""A butler.yaml keeps what is not to be changed in it, however it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from registrytool.butler_yaml import follow_plan, require_writable, set_manager
from registrytool.errors import ConfigurationError
from registrytool.models import Plan
from tests.support.content_states import CATALOG, NAME_KEY

OLD, NEW = "lsst.old.Manager", "lsst.new.Manager"
TEXT = """# a repository
registry:
  managers:
    # about datasets
    datasets: {value}{comment}
    opaque: lsst.opaque.Manager  # stays
"""


@pytest.mark.parametrize("value", [OLD, f"'{OLD}'", f'"{OLD}"'])
@pytest.mark.parametrize("comment", ["", "  # why 'this' one: see #7"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_all_but_the_class_stays(value: str, comment: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "butler.yaml"
    path.write_bytes(TEXT.format(value=value, comment=comment).replace("\n", end).encode())
    assert set_manager(path, "datasets", NEW)
    assert path.read_bytes() == TEXT.format(value=NEW, comment=comment).replace("\n", end).encode()


def test_a_new_entry_ends_as_the_others_do(tmp_path: Path) -> None:
    path = tmp_path / "butler.yaml"
    before = TEXT.format(value=OLD, comment="").replace("\n", "\r\n").encode()
    path.write_bytes(before)
    set_manager(path, "obscore", NEW)
    assert path.read_bytes() == before + f"    obscore: {NEW}\r\n".encode()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, path = tmp_path / "real.yaml", tmp_path / "butler.yaml"
    real.write_text(TEXT.format(value=OLD, comment=""))
    path.symlink_to("real.yaml")
    set_manager(path, "datasets", NEW)
    assert path.is_symlink()
    assert real.read_text() == TEXT.format(value=NEW, comment="")


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(self), None, str(target))

    path = tmp_path / "butler.yaml"
    path.write_text(TEXT.format(value=OLD, comment=""))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ConfigurationError) as error:
        set_manager(path, "datasets", NEW)
    assert str(error.value) == (
        f"{path} cannot be written: Operation not permitted. Please set registry.managers.datasets to {NEW} yourself."
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_registry_that_is_named_by_its_url_says_what_the_files_must_name() -> None:
    start = CATALOG.newest_state()
    plan = Plan(start, start.replace(NAME_KEY), ())
    (warning,) = follow_plan(None, plan, CATALOG)
    assert warning == (
        "the butler.yaml of each repository with this registry must be changed by hand: it must name "
        "lsst.daf.butler.registry.collections.nameKey.NameKeyCollectionManager as registry.managers.collections"
    )
    assert follow_plan(None, Plan(start, start, ()), CATALOG) == []


def test_a_file_that_a_plan_cannot_change_is_found_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, _data: bytes) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    start = CATALOG.newest_state()
    plan = Plan(start, start.replace(NAME_KEY), ())
    path = tmp_path / "butler.yaml"
    path.write_text("registry:\n  managers:\n    collections: lsst.old.Manager\n")
    before = path.read_bytes()
    require_writable(path, plan, CATALOG)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before

    monkeypatch.setattr(Path, "write_bytes", refuse)
    require_writable(path, Plan(start, start, ()), CATALOG)  # nothing is to be changed
    with pytest.raises(ConfigurationError) as error:
        require_writable(path, plan, CATALOG)
    assert str(error.value) == (
        f"The migration changes butler.yaml as well, and {path} cannot be written: Permission denied. "
        "Make it writable; or name the registry by its URL, and change the file by hand afterwards."
    )
    # What happens to the file in the meantime is told when the migration is done.
    assert follow_plan(path, plan, CATALOG) == [
        (
            f"butler.yaml must be changed by hand: {path} cannot be written: Permission denied. It must name "
            "lsst.daf.butler.registry.collections.nameKey.NameKeyCollectionManager as registry.managers.collections"
        )
    ]
