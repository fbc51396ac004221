"""Claims about the files that are written for a new version."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registrytool.catalog import Catalog
from registrytool.check.rules.unfinished_revision import unfinished
from registrytool.config import Content
from registrytool.errors import ConfigurationError
from registrytool.history import History
from registrytool.models import ComponentVersion
from registrytool.naming import revision_id
from registrytool.scaffold.request import new_revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from registrytool.scaffold.request import Scaffold
    from tests.support.places import Run

ROOT = Path(__file__).parents[2]
UNIVERSE_9 = ComponentVersion("dimensions-config", "daf_butler", "9")


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Give a copy of the content."""
    for name in ("schemas", "alembic"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Content(tmp_path)


def write_universe(content: Content, change: Callable[[dict[str, Any]], object], *, version: int = 9) -> Path:
    config = yaml.safe_load((content.schemas / "dimensions-config/daf_butler/8.yaml").read_text())
    config["version"] = version
    change(config)
    path = content.root / "universe.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def exposure(config: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = config["elements"]["exposure"]["metadata"]
    return found


def add_wind(config: dict[str, Any]) -> None:
    exposure(config).append({"name": "wind_speed", "type": "float"})


def new_universe(content: Content, change: Callable[[dict[str, Any]], object], **more: Any) -> tuple[Scaffold, str]:
    made = new_revision(content, "dimensions-config", "9", universe=write_universe(content, change), **more)
    revision = History(content).of(UNIVERSE_9)
    assert revision is not None
    return made, revision.path.read_text()


def test_a_new_column_needs_nothing_to_be_filled_in(content: Content) -> None:
    made, script = new_universe(content, add_wind, message="Say how windy it was")
    assert made.unfinished == ()
    assert made.operations == (
        "exposure: add column wind_speed, FLOAT; on PostgreSQL: add column wind_speed, double precision",
    )
    names = [p.relative_to(content.root).as_posix() for p in made.files]
    stem = "alembic/versions/dimensions-config/v8_to_v9_say_how_windy_it_was"
    assert names == ["schemas/dimensions-config/daf_butler/9.yaml", f"{stem}.py", f"{stem}.rows.yaml"]
    assert made.revision == revision_id("dimensions-config", "daf_butler", "9")
    revision = History(content).of(UNIVERSE_9)
    assert revision is not None
    assert revision.down == revision_id("dimensions-config", "daf_butler", "8")
    assert revision.loses == "exposure.wind_speed"
    assert "step.refuse_loss(" in script.partition("def downgrade")[2]
    assert [unfinished(p) for p in made.files] == [[], [], []]
    assert Catalog(content).newest("dimensions-config", "daf_butler") == UNIVERSE_9


def test_a_column_with_another_name_may_be_the_same(content: Content) -> None:
    def rename(config: dict[str, Any]) -> None:
        next(c for c in exposure(config) if c["name"] == "can_see_sky")["name"] = "sees_sky"

    made, script = new_universe(content, rename)
    assert len(made.unfinished) == 2
    assert 'step.reshape(renames={"exposure": {"can_see_sky": "sees_sky"}})' in script
    assert next(what for _, what in unfinished(made.files[1])).startswith("exposure.can_see_sky goes")


def test_a_required_dimension_must_be_filled(content: Content) -> None:
    made, script = new_universe(
        content, lambda c: c["elements"]["exposure"]["implies"].append("visit_system"), message="Add"
    )
    assert made.unfinished[0].startswith("what exposure.visit_system is for rows that are there")
    assert '"visit_system": sa.null()' in script
    assert "FILL_IN" in made.files[-1].read_text()


def test_shorter_text_is_refused_where_it_is_longer(content: Content) -> None:
    def shorten(config: dict[str, Any]) -> None:
        next(c for c in exposure(config) if c["name"] == "science_program")["length"] = 20

    made, script = new_universe(content, shorten)
    assert made.unfinished == ()
    assert "sa.func.length(exposure.c.science_program) > 20" in script.partition("def downgrade")[0]


def test_another_type_must_be_converted_both_ways(content: Content) -> None:
    def retype(config: dict[str, Any]) -> None:
        next(c for c in exposure(config) if c["name"] == "seq_num")["type"] = "float"

    made, script = new_universe(content, retype)
    assert made.unfinished == (
        "how exposure.seq_num, BIGINT, becomes FLOAT",
        "going back: how exposure.seq_num, FLOAT, becomes BIGINT",
    )
    assert 'changes = {"exposure": ("seq_num",)}' in script


def test_what_goes_is_declared_and_comes_back_empty(content: Content) -> None:
    def drop(config: dict[str, Any]) -> None:
        config["elements"]["exposure"]["metadata"] = [c for c in exposure(config) if c["name"] != "dark_time"]

    _, script = new_universe(content, drop)
    assert 'drops = {"exposure": ("dark_time",)}' in script
    assert "loses" not in script


def test_a_new_dimension_is_dropped_only_when_it_is_empty(content: Content) -> None:
    def add(config: dict[str, Any]) -> None:
        config["elements"]["observer"] = {"keys": [{"name": "name", "type": "string", "length": 32}]}

    made, script = new_universe(content, add)
    assert "new table observer" in made.operations
    assert 'loses = "the records of observer"' in script
    assert 'observer = step.old("observer")' in script.partition("def downgrade")[2]


def test_the_changelog_gets_one_entry(content: Content) -> None:
    path = content.root / "CHANGELOG.md"
    path.write_text("# Changelog\n\n## 1.0\n\n- Old.\n")
    new_universe(content, add_wind, message="Say how windy it was")
    entry = "- dimensions-config daf_butler 9: Say how windy it was.\n"
    assert path.read_text() == f"# Changelog\n\n## Unreleased\n\n{entry}\n## 1.0\n\n- Old.\n"


def test_a_first_universe_of_a_namespace_begins_a_branch(content: Content) -> None:
    universe = write_universe(content, lambda c: c.update(namespace="toy"), version=1)
    made = new_revision(content, "dimensions-config", "1", universe=universe)
    assert made.start is None
    revision = History(content).of(ComponentVersion("dimensions-config", "toy", "1"))
    assert revision is not None
    assert revision.origin
    assert revision.path.name == "toy_v1.py"
    assert revision.down == revision_id("dimensions-config")


def test_a_third_party_universe_goes_on_in_its_own_folder(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/data/thirdparty", tmp_path / "toy")
    content = Content.find(tmp_path / "toy")
    newest = Catalog(content).newest("dimensions-config", "toy")
    config = Catalog(content).universe_config(newest)
    number = int(newest.version) + 1
    config["version"] = number
    config["elements"]["plate"]["metadata"].append({"name": "brand", "type": "string", "length": 16})
    universe = tmp_path / "next.yaml"
    universe.write_text(yaml.safe_dump(config, sort_keys=False))
    made = new_revision(content, "dimensions-config", str(number), universe=universe, message="Name the brand")
    assert made.unfinished == ()
    assert made.files[1].name == f"toy_v{newest.version}_to_v{number}_name_the_brand.py"
    assert all(p.is_relative_to(content.root) for p in made.files)


@pytest.mark.parametrize(
    ("component", "version", "implementation"),
    [
        ("attributes", "1.1.0", "DefaultButlerAttributeManager"),
        ("collections", "2.1.0", "SynthIntKeyCollectionManager"),
        ("datasets", "2.1.0", "ByDimensionsDatasetRecordStorageManagerUUID"),
        ("datastores", "0.3.0", "MonolithicDatastoreRegistryBridgeManager"),
        ("dimensions", "6.1.0", "StaticDimensionRecordStorageManager"),
        ("opaque", "0.3.0", "ByNameOpaqueTableStorageManager"),
        ("obscore", "0.1.0", "ObsCoreLiveTableManager"),
    ],
)
def test_a_schema_file_builds_on_the_one_before_and_comes_first(
    content: Content, component: str, version: str, implementation: str
) -> None:
    made = new_revision(content, component, version, message="Change it")
    schema, script = made.files
    assert [what for _, what in unfinished(schema)] == ["what is new in the tables"]
    assert unfinished(script)
    # It can be loaded, and defines what the version before does.
    assert Catalog(content).newest(component, implementation).version == version
    Catalog(content).metadata(Catalog(content).newest_state(), "postgresql")
    with pytest.raises(ConfigurationError, match="has something to fill in, which comes first"):
        new_revision(content, component, version)
    schema.write_text(schema.read_text().replace('FILL_IN = "what is new in the tables"\n', ""))
    again = new_revision(content, component, version)
    assert again.files == (script,)
    assert unfinished(script) == []
    assert '"""Change it.\n' in script.read_text() or '"""Change it."""' in script.read_text()


def test_a_finished_schema_file_gives_the_operations(content: Content) -> None:
    made = new_revision(content, "datastores", "0.3.0", message="Count bytes")
    schema, script = made.files
    text = schema.read_text().replace('FILL_IN = "what is new in the tables"\n', "")
    text = text.replace("    # Here goes", '    registry.table("bytes", registry.autoincrement("id"))\n    # Here goes')
    schema.write_text(text)
    again = new_revision(content, "datastores", "0.3.0")
    assert again.operations == (
        "new table bytes",
        "add sequence bytes_seq_id, bigint, start 1, increment 1 (PostgreSQL only)",
    )
    assert "refuse_loss" in script.read_text()
    with pytest.raises(ConfigurationError, match=r"0\.3\.0 exists already: alembic/versions/datastores/v0_2_1_to_"):
        new_revision(content, "datastores", "0.3.0")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("dimension", "9"), "There are no versions of dimension to be made."),
        (("datasets", "9"), "'9' is not a version of datasets, which are written like 2.1.0."),
        (("datasets", "1.5.0"), "2.0.0, the newest version there is."),
        (("datasets", "2.0.0"), "exists already"),
        (("dimensions-config", "09"), "'09' is not a version"),
        (("dimensions-config", "9"), "A new version of dimensions-config needs its universe."),
    ],
)
def test_refuses_in_one_sentence(content: Content, arguments: tuple[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        new_revision(content, *arguments)
    assert sentence in refused.value.message
    assert refused.value.message.count(". ") == 0


def test_refuses_a_universe_of_another_number(content: Content) -> None:
    universe = write_universe(content, add_wind, version=10)
    with pytest.raises(ConfigurationError, match="The universe file is version 10, not 9"):
        new_revision(content, "dimensions-config", "9", universe=universe)
    with pytest.raises(ConfigurationError, match="The universe after 8 is 9, not 10"):
        new_revision(content, "dimensions-config", "10", universe=universe)


def test_refuses_a_file_that_is_no_universe(content: Content, tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"
    path.write_text("version: 9\n")
    with pytest.raises(ConfigurationError, match=r"no\.yaml is not a dimension universe"):
        new_revision(content, "dimensions-config", "9", universe=path)
    path.write_text("a: [\n")
    with pytest.raises(ConfigurationError, match=r"no\.yaml is not YAML"):
        new_revision(content, "dimensions-config", "9", universe=path)
    with pytest.raises(ConfigurationError, match="Cannot read"):
        new_revision(content, "dimensions-config", "9", universe=tmp_path / "missing.yaml")


def test_refuses_a_universe_that_gives_no_tables(content: Content) -> None:
    universe = write_universe(content, lambda c: exposure(c).extend(exposure(c)[:1]))
    with pytest.raises(ConfigurationError, match=r"daf_butler 9 gives no tables: .*exposure_time"):
        new_revision(content, "dimensions-config", "9", universe=universe)


def test_refuses_names_that_are_not_by_rule(content: Content) -> None:
    universe = write_universe(content, lambda c: c.update(namespace="my toy"))
    with pytest.raises(ConfigurationError, match="'my toy' cannot be the name of an implementation or a namespace"):
        new_revision(content, "dimensions-config", "9", universe=universe)
    with pytest.raises(ConfigurationError, match="is not one line with words"):
        new_revision(content, "datasets", "2.1.0", message="…")


def test_refuses_to_begin_where_a_step_begins_already(content: Content) -> None:
    universe = write_universe(content, add_wind)
    with pytest.raises(ConfigurationError, match="A step begins at dimensions-config daf_butler 7 already"):
        new_revision(content, "dimensions-config", "9", start="7", universe=universe)


def test_a_refusal_writes_nothing(content: Content) -> None:
    before = sorted(p for p in content.root.rglob("*") if "__pycache__" not in p.parts)
    with pytest.raises(ConfigurationError):
        new_revision(content, "datasets", "1.5.0")
    assert sorted(p for p in content.root.rglob("*") if "__pycache__" not in p.parts) == before


def test_command_says_what_it_wrote(content: Content, run: Run) -> None:
    universe = write_universe(content, add_wind)
    done = run(
        "revision", "new", "dimensions-config", "9", "--universe", universe, "--content", content.root, "-m", "Add wind"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        "dimensions-config daf_butler 9 from 8, revision 22cde71e7a4b:",
        "  wrote schemas/dimensions-config/daf_butler/9.yaml",
    ]
    again = run("revision", "new", "dimensions-config", "9", "--universe", universe, "--content", content.root)
    assert again.exit_code == 2
    assert again.stderr.startswith("Error: dimensions-config daf_butler 9 exists already: ")
