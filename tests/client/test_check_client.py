"""What the installed client makes, compared with the catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registrytool.catalog import Catalog
from registrytool.check.client import ClientReport, check_client, find_python, universe_differences
from registrytool.config import Content
from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[2]


def content_copy(folder: Path) -> Path:
    """Copy the content, so that it can be changed."""
    for name in ("schemas", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def outcomes(report: ClientReport) -> dict[str, str]:
    return {r.configuration: r.outcome for r in report.registries}


@pytest.fixture
def made_once(
    client_python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Catalog], ClientReport]:
    """Return a function that judges one registry of the client by any content."""
    from registrytool.check import client as module

    run = module._run

    def run_for_default(python: Path, folder: Path, url: str | None) -> Any:
        first, made = run(python, folder, url)
        return first, made[:1]

    program = tmp_path_factory.mktemp("program") / "client_program.py"
    text = module._PROGRAM.read_text()
    program.write_text(text.replace("wanted = configurations()", "wanted = configurations()[:1]"))
    monkeypatch.setattr(module, "_PROGRAM", program)
    monkeypatch.setattr(module, "_run", run_for_default)
    return lambda catalog: check_client(client_python, catalog)


@pytest.mark.client
@pytest.mark.slow
def test_everything_that_the_newest_client_makes_is_known(client_python: Path, postgres: PostgresServer) -> None:
    url = postgres.new_database()
    report = check_client(client_python, Catalog.find(), postgresql_url=url)
    postgres.drop_database(url)
    assert [r for r in report.registries if r.outcome != "known"] == []
    assert report.clean
    assert report.notes == ()
    found = {(r.configuration, r.dialect) for r in report.registries}
    universes = {f"universe daf_butler_universe{n}" for n in range(9)}
    others = {"default", "collections NameKeyCollectionManager", "obscore"}
    others.add("datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0")
    assert found >= {(name, dialect) for name in universes | others for dialect in ("sqlite", "postgresql")}
    default = report.registries[0]
    assert default.releases
    assert default.message.startswith("Known: as ")
    assert report.to_dict()["clean"] is True


@pytest.mark.client
def test_a_version_without_snapshot_is_new(made_once: Callable[[Catalog], ClientReport], tmp_path: Path) -> None:
    content = content_copy(tmp_path)
    next(content.glob("schemas/datastores/*/v0_2_1.py")).unlink()
    (content / "alembic/versions/datastores/v0_2_0_to_v0_2_1_trash_by_dataset.py").unlink()
    report = made_once(Catalog(Content(content)))
    (found,) = report.registries
    assert not report.clean
    assert found.outcome == "new"
    name = "MonolithicDatastoreRegistryBridgeManager"
    assert found.changes == (f"datastores {name} 0.2.1 has no snapshot; the nearest is datastores {name} 0.2.0",)
    assert {d.table for d in found.differences} == {"dataset_location_trash"}


@pytest.mark.client
def test_a_class_without_implementation_is_new(made_once: Callable[[Catalog], ClientReport], tmp_path: Path) -> None:
    content = content_copy(tmp_path)
    path = content / "schemas/implementations.yaml"
    path.write_text(path.read_text().replace("synthIntKey.SynthIntKey", "other.Other"))
    (found,) = made_once(Catalog(Content(content))).registries
    assert found.outcome == "new"
    assert found.changes[0].startswith("collections SynthIntKeyCollectionManager 2.0.0 has no snapshot")


@pytest.mark.client
def test_a_universe_without_snapshot_is_new(made_once: Callable[[Catalog], ClientReport], tmp_path: Path) -> None:
    content = content_copy(tmp_path)
    (content / "schemas/dimensions-config/daf_butler/8.yaml").unlink()
    (content / "alembic/versions/dimensions-config/v7_to_v8_solar_system.py").unlink()
    (found,) = made_once(Catalog(Content(content))).registries
    assert found.outcome == "new"
    assert found.changes[0] == "the universe daf_butler 8 has no snapshot and no migration"
    assert "elements/ssp_hypothesis_table is new (than in 7)" in found.changes
    assert {d.name for d in found.differences if d.kind == "table"} == {
        "ssp_hypothesis_table",
        "ssp_hypothesis_bundle",
        "ssp_balanced_index",
    }


@pytest.mark.client
def test_a_version_without_revision_is_new(made_once: Callable[[Catalog], ClientReport], tmp_path: Path) -> None:
    content = content_copy(tmp_path)
    (content / "alembic/versions/dimensions-config/v7_to_v8_solar_system.py").unlink()
    (found,) = made_once(Catalog(Content(content))).registries
    assert found.outcome == "new"
    assert found.changes == ("dimensions-config daf_butler 8 has a snapshot, but no revision leads to it",)


@pytest.mark.client
def test_the_same_version_with_another_structure_is_changed(
    made_once: Callable[[Catalog], ClientReport], tmp_path: Path
) -> None:
    content = content_copy(tmp_path)
    path = next(content.glob("schemas/opaque/*/v0_2_0.py"))
    path.write_text(path.read_text().replace('registry.index("path")', 'registry.index("path", "checksum")'))
    (found,) = made_once(Catalog(Content(content))).registries
    assert found.outcome == "changed"
    assert {(d.table, d.kind) for d in found.differences} == {("file_datastore_records", "index")}


@pytest.mark.client
def test_the_same_universe_with_another_content_is_changed(
    made_once: Callable[[Catalog], ClientReport], tmp_path: Path
) -> None:
    content = content_copy(tmp_path)
    path = content / "schemas/dimensions-config/daf_butler/8.yaml"
    config = yaml.safe_load(path.read_text())
    config["elements"]["visit"]["populated_by"] = "visit"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    report = made_once(Catalog(Content(content)))
    (found,) = report.registries
    assert found.outcome == "changed"
    assert found.changes == (
        "the universe daf_butler 8 is not as released",
        "elements/visit/populated_by is gone",
    )
    assert not report.clean


def test_python_is_found_by_the_first_line_of_a_program(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_bytes(b"\x7fELF")
    python.chmod(0o755)
    program = tmp_path / "butler"
    program.write_text(f"#!{python}\nimport sys\n")
    program.chmod(0o755)
    assert find_python(program) == python
    assert find_python(python) == python


def test_python_is_found_by_the_second_line_when_the_path_is_long(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    python = folder / "python"
    python.write_bytes(b"\x7fELF")
    python.chmod(0o755)
    program = folder / "butler"
    program.write_text(f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n")
    program.chmod(0o755)
    assert find_python(program) == python


def test_a_program_that_is_not_python_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "butler"
    program.write_text("#!/bin/bash\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"is not run with Python but with /bin/bash\."):
        find_python(program)
    with pytest.raises(ConfigurationError, match="There is no executable"):
        find_python(tmp_path / "nothing")


def test_an_environment_without_client_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no usable Butler client .* No module named 'lsst"):
        check_client(shutil.which("python3") or "python3", Catalog.find())


def test_universe_differences_say_what_is_new_gone_and_other() -> None:
    before = {"version": 1, "elements": {"a": {"doc": "x", "metadata": [{"name": "m", "type": "int"}]}, "b": {}}}
    after = {"version": 2, "elements": {"a": {"doc": "y", "metadata": [{"name": "m", "type": "float"}]}, "c": {}}}
    assert universe_differences(before, after) == [
        "elements/a/metadata/m/type is 'float' instead of 'int'",
        "elements/b is gone",
        "elements/c is new",
    ]
