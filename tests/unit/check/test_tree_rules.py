"""Rules about the tree of revisions and schema files: each finds exactly what is wrong, where it is."""

from __future__ import annotations

import pytest

from registrytool.naming import revision_id
from tests.unit.check.broken import UNIVERSES, V1, V1_TO_V2, V2_TO_V3, VERSIONS, Broken

V2_ID, V3_ID = "844b8b716e27", "18114554a6fa"

COLLECTIONS = "SynthIntKeyCollectionManager"
STEP = '''
"""Let collections be archived."""

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.1.0"

revision = "7c5c3087376d"
down_revision = "8c57494cabcc"
branch_labels = None
depends_on = None


def upgrade(step):
    step.reshape()


def downgrade(step):
    step.reshape()
'''


@pytest.fixture
def manager(toy: Broken) -> Broken:
    """Third-party content with a version of a manager."""
    toy.write(
        f"schemas/collections/{COLLECTIONS}/v2_1_0.py",
        f"""\
        import sqlalchemy as sa

        REFERENCES = {{
            "collection": ("collection_id", sa.BigInteger(), "collection", "collection_id"),
            "run": ("run_id", sa.BigInteger(), "run", "collection_id"),
        }}


        def tables(registry):
            registry.version("collections", "{COLLECTIONS}", "2.0.0").tables(registry)
        """,
    )
    toy.write("alembic/versions/collections/synth_int_v2_0_0_to_v2_1_0_archived.py", STEP)
    return toy


MANAGER_STEP = "alembic/versions/collections/synth_int_v2_0_0_to_v2_1_0_archived.py"
MANAGER_SCHEMA = f"schemas/collections/{COLLECTIONS}/v2_1_0.py"


def next_universe(toy: Broken, number: int, after: str, *, name: str | None = None) -> str:
    """Add a universe with its revision; return the path of the revision."""
    universe = (toy.root / UNIVERSES / "3.yaml").read_text().replace("version: 3", f"version: {number}")
    toy.write(f"{UNIVERSES}/{number}.yaml", universe)
    script = (toy.root / V2_TO_V3).read_text()
    script = script.replace('"toy", "3"', f'"toy", "{number}"')
    script = script.replace(V3_ID, revision_id("dimensions-config", "toy", str(number))).replace(V2_ID, after)
    path = f"{VERSIONS}/{name or f'toy_v3_to_v{number}_more.py'}"
    toy.write(path, script)
    return path


def test_correct_content_gives_nothing(toy: Broken) -> None:
    assert toy.check().findings == ()


def test_correct_content_with_a_manager_gives_nothing(manager: Broken) -> None:
    assert manager.check().findings == ()


def test_the_content_of_the_project_gives_nothing(project: Broken) -> None:
    report = project.check()
    assert report.findings == ()
    assert report.notes == ()


def test_a_further_version_gives_nothing(toy: Broken) -> None:
    next_universe(toy, 4, V3_ID)
    assert toy.check().findings == ()


def test_a_universe_without_its_revision_is_found(toy: Broken) -> None:
    next_universe(toy, 4, V3_ID)
    toy.remove(f"{VERSIONS}/toy_v3_to_v4_more.py")
    assert toy.found()[:2] == ("RT101", f"{UNIVERSES}/4.yaml")
    assert toy.only().object == "dimensions-config toy 4"


def test_a_missing_revision_in_the_middle_is_found_once(toy: Broken) -> None:
    toy.remove(V1_TO_V2)
    assert toy.found()[:2] == ("RT101", f"{UNIVERSES}/2.yaml")
    assert (
        toy.only().message == "No revision leads to dimensions-config toy 2; it would have the identifier 844b8b716e27."
    )


def test_a_schema_file_without_its_revision_is_found(manager: Broken) -> None:
    manager.remove(MANAGER_STEP)
    assert manager.found()[:2] == ("RT101", MANAGER_SCHEMA)


def test_a_revision_without_its_universe_is_found(toy: Broken) -> None:
    toy.remove(f"{UNIVERSES}/3.yaml")
    assert toy.found() == (
        "RT102",
        V2_TO_V3,
        'component, implementation, version = "dimensions-config", "toy", "3"',
    )


def test_a_revision_without_its_schema_file_is_found(manager: Broken) -> None:
    manager.remove(MANAGER_SCHEMA)
    assert manager.found()[:2] == ("RT102", MANAGER_STEP)


def test_a_wrong_identifier_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, V3_ID, "0123456789ab")
    assert toy.found() == ("RT103", V2_TO_V3, 'revision = "0123456789ab"')
    assert V3_ID in toy.only().message


def test_an_identifier_of_two_revisions_is_found_once(toy: Broken) -> None:
    toy.write(f"{VERSIONS}/toy_v2_to_v3_again.py", (toy.root / V2_TO_V3).read_text())
    assert toy.found() == ("RT103", V2_TO_V3, f'revision = "{V3_ID}"')
    assert toy.only().message.endswith(f"as {VERSIONS}/toy_v2_to_v3_again.py.")


def test_an_identifier_of_another_version_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, V3_ID, V2_ID)
    assert toy.found() == ("RT103", V2_TO_V3, f'revision = "{V2_ID}"')


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ('"dimensions-config", "toy", "4"', "lead to dimensions-config toy 4"),
        ('"dimensions-config", "toi", "3"', "lead to dimensions-config toi 3"),
        ('"dimensions-config", "toy", None', "do not say where it leads to"),
        ('"opaque", "toy", "3"', "is of opaque but lies in the folder dimensions-config"),
    ],
)
def test_constants_that_contradict_the_identifier_are_found(constants: str, said: str, toy: Broken) -> None:
    toy.edit(V2_TO_V3, '"dimensions-config", "toy", "3"', constants)
    assert toy.found() == ("RT104", V2_TO_V3, f"component, implementation, version = {constants}")
    assert said in toy.only().message


def test_a_revision_that_follows_one_of_another_component_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, V2_ID, "4e2d7a28475b")
    assert toy.found() == ("RT104", V2_TO_V3, 'down_revision = "4e2d7a28475b"')


def test_a_file_name_of_other_versions_is_found(toy: Broken) -> None:
    toy.rename(V2_TO_V3, "toy_v2_to_v4_scans.py")
    path = f"{VERSIONS}/toy_v2_to_v4_scans.py"
    assert toy.found()[:2] == ("RT104", path)
    assert toy.only().message == "The file name says version 4, but the revision leads to 3."


def test_a_file_name_of_another_beginning_is_found(toy: Broken) -> None:
    toy.rename(V2_TO_V3, "toy_v1_to_v3_scans.py")
    assert toy.found() == ("RT104", f"{VERSIONS}/toy_v1_to_v3_scans.py", 'down_revision = "844b8b716e27"')


def test_a_file_name_without_versions_is_found(toy: Broken) -> None:
    toy.rename(V2_TO_V3, "scans.py")
    assert toy.found()[:2] == ("RT104", f"{VERSIONS}/scans.py")


def test_a_revision_in_the_folder_of_another_component_is_found(toy: Broken) -> None:
    (toy.root / "alembic/versions/opaque").mkdir()
    (toy.root / V2_TO_V3).rename(toy.root / "alembic/versions/opaque/toy_v2_to_v3_scans.py")
    assert toy.found()[:2] == ("RT104", "alembic/versions/opaque/toy_v2_to_v3_scans.py")


def test_registries_cannot_begin_in_the_middle(toy: Broken) -> None:
    toy.append(V2_TO_V3, "\n\norigin = True\n")
    assert toy.found() == ("RT104", V2_TO_V3, "origin = True")


def test_two_heads_are_found(toy: Broken) -> None:
    next_universe(toy, 4, V3_ID)
    path = next_universe(toy, 5, V3_ID, name="toy_v3_to_v5_other.py")
    assert toy.found() == ("RT105", path, f'down_revision = "{V3_ID}"')


def test_two_heads_of_a_manager_are_found(manager: Broken) -> None:
    schema = (manager.root / MANAGER_SCHEMA).read_text()
    manager.write(f"schemas/collections/{COLLECTIONS}/v2_2_0.py", schema)
    identifier = revision_id("collections", COLLECTIONS, "2.2.0")
    path = "alembic/versions/collections/synth_int_v2_0_0_to_v2_2_0_other.py"
    manager.write(path, STEP.replace("2.1.0", "2.2.0").replace("7c5c3087376d", identifier))
    assert manager.found() == ("RT105", path, 'down_revision = "8c57494cabcc"')
    assert manager.only().message == f"collections {COLLECTIONS} has several heads: 2.1.0 and 2.2.0."


@pytest.mark.parametrize("down", [V2_ID, V3_ID])
def test_a_circle_is_found(down: str, toy: Broken) -> None:
    toy.edit(V1_TO_V2, 'down_revision = "5f9883672111"', f'down_revision = "{down}"')
    assert toy.found() == ("RT106", V1_TO_V2, f'down_revision = "{down}"')


def test_a_revision_that_follows_nothing_known_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, V2_ID, "0123456789ab")
    assert toy.found() == ("RT107", V2_TO_V3, 'down_revision = "0123456789ab"')


@pytest.mark.parametrize(("down", "message"), [
    ('"5f9883672111"', "The step leads from 1 to 3 and leaves out 2."),
    (f'("{V2_ID}", "5f9883672111")', "The revision follows several"),
    ("None", "The revision follows nothing, not even the root of its tree."),
])  # fmt: skip
def test_a_revision_that_follows_the_wrong_one_is_found(down: str, message: str, toy: Broken) -> None:
    toy.edit(V2_TO_V3, f'"{V2_ID}"', down)
    assert toy.found() == ("RT107", V2_TO_V3, f"down_revision = {down}")
    assert toy.only().message.startswith(message)


def test_a_version_left_out_is_found(toy: Broken) -> None:
    path = next_universe(toy, 5, V3_ID)
    assert toy.found() == ("RT107", path, f'down_revision = "{V3_ID}"')
    assert toy.only().message == "The step leads from 3 to 5 and leaves out 4."


def test_version_and_revision_missing_together_are_a_gap(toy: Broken) -> None:
    toy.remove(V1_TO_V2)
    toy.remove(f"{UNIVERSES}/2.yaml")
    toy.remove(V1_TO_V2.replace(".py", ".rows.yaml"))
    assert toy.found() == ("RT107", V2_TO_V3, f'down_revision = "{V2_ID}"')


def test_a_missing_label_is_found(toy: Broken) -> None:
    toy.edit(V1, '("dimensions-config-toy",)', "None")
    assert toy.found() == ("RT108", V1, "branch_labels = None")


def test_a_label_too_many_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "branch_labels = None", 'branch_labels = ("newest",)')
    assert toy.found() == ("RT108", V2_TO_V3, 'branch_labels = ("newest",)')


def test_depends_on_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "depends_on = None", 'depends_on = ("4e2d7a28475b",)')
    assert toy.found() == ("RT109", V2_TO_V3, 'depends_on = ("4e2d7a28475b",)')


def test_needs_that_are_defined_give_nothing(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "loses =", 'needs = {"datasets": "2.0.0"}\nloses =')
    assert toy.check().findings == ()


@pytest.mark.parametrize(
    "needs", ['{"datasets": "7.0.0"}', '{"dataset": "2.0.0"}', '{"dimensions-config": "2"}', '["datasets"]']
)
def test_needs_that_nothing_satisfies_are_found(needs: str, toy: Broken) -> None:
    toy.edit(V2_TO_V3, "loses =", f"needs = {needs}\nloses =")
    assert toy.found() == ("RT110", V2_TO_V3, f"needs = {needs}")


def test_a_script_with_a_syntax_error_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:", "def upgrade(step: Step) -> None")
    assert toy.found() == ("RT111", V2_TO_V3, "def upgrade(step: Step) -> None")


def test_a_script_that_fails_is_found_where_it_fails(toy: Broken) -> None:
    toy.edit(V2_TO_V3, 'loses = "the scans"', "loses = 1 / 0")
    assert toy.found() == ("RT111", V2_TO_V3, "loses = 1 / 0")


def test_a_script_without_constants_is_found(toy: Broken) -> None:
    toy.write(f"{VERSIONS}/toy_v3_to_v4_empty.py", "'''Nothing.'''\n")
    assert toy.found()[:2] == ("RT111", f"{VERSIONS}/toy_v3_to_v4_empty.py")


def test_a_step_without_upgrade_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def upgrade(", "def forward(")
    assert toy.found() == ("RT111", V2_TO_V3, f'revision = "{V3_ID}"')


def test_a_schema_file_that_fails_is_found_where_it_fails(manager: Broken) -> None:
    manager.append(MANAGER_SCHEMA, "\n\nraise RuntimeError('no')\n")
    assert manager.found() == ("RT111", MANAGER_SCHEMA, "raise RuntimeError('no')")


def test_a_schema_file_without_tables_is_found(manager: Broken) -> None:
    manager.edit(MANAGER_SCHEMA, "def tables(", "def table(")
    assert manager.found()[:2] == ("RT111", MANAGER_SCHEMA)


def test_a_missing_downgrade_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    assert toy.found() == ("RT112", V2_TO_V3, f'revision = "{V3_ID}"')


def test_a_missing_downgrade_with_a_reason_gives_nothing(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    toy.edit(V2_TO_V3, "loses =", 'irreversible = "nobody can unscan a plate"\nloses =')
    assert toy.check().findings == ()


def test_a_reason_that_says_nothing_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    toy.edit(V2_TO_V3, "loses =", 'irreversible = ""\nloses =')
    assert toy.found() == ("RT112", V2_TO_V3, 'irreversible = ""')


def test_a_downgrade_that_says_there_is_none_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "loses =", 'irreversible = "no"\nloses =')
    assert toy.found() == ("RT112", V2_TO_V3, 'irreversible = "no"')


READ = 'def upgrade(step: Step) -> None:\n    step.option("speed")\n'


def test_an_option_that_is_not_declared_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:\n", READ)
    assert toy.found() == ("RT113", V2_TO_V3, 'step.option("speed")')


def test_an_option_named_by_a_constant_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:\n", READ.replace('"speed"', "SPEED"))
    toy.edit(V2_TO_V3, "loses =", 'SPEED = "speed"\nloses =')
    assert toy.found() == ("RT113", V2_TO_V3, "step.option(SPEED)")


def test_a_declared_option_gives_nothing(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:\n", READ)
    toy.edit(V2_TO_V3, "loses =", 'options = {"speed": "How fast"}\nloses =')
    assert toy.check().findings == ()


def test_a_required_option_that_is_not_declared_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "loses =", 'required_options = ("speed",)\nloses =')
    assert toy.found() == ("RT113", V2_TO_V3, 'required_options = ("speed",)')


def test_an_option_that_nobody_reads_is_found(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "loses =", 'options = {"speed": "How fast"}\nloses =')
    assert toy.found() == ("RT114", V2_TO_V3, 'options = {"speed": "How fast"}')


def test_a_need_that_is_not_declared_is_found(toy: Broken) -> None:
    line = 'step.before.state["datasets"]'
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:\n", f"def upgrade(step: Step) -> None:\n    {line}\n")
    assert toy.found() == ("RT115", V2_TO_V3, line)


@pytest.mark.parametrize(
    "line", ["import astropy", "from registrytool.naming import shrink", "from importlib import util"]
)
def test_a_schema_file_that_imports_something_else_is_found(line: str, manager: Broken) -> None:
    manager.edit(MANAGER_SCHEMA, "def tables(registry):\n", f"def tables(registry):\n    {line}\n\n")
    assert manager.found()[::2] == ("RT116", line)


def test_a_schema_file_may_import_the_standard_library_and_names_for_type_checkers(manager: Broken) -> None:
    lines = "if TYPE_CHECKING:\n    from registrytool.catalog import Builder\n"
    lines = f"import json\nfrom typing import TYPE_CHECKING\n\n{lines}\nimport sqlalchemy as sa\n"
    manager.edit(MANAGER_SCHEMA, "import sqlalchemy as sa\n", lines)
    assert manager.check().findings == ()


def test_a_revision_that_loads_the_catalogue_is_found(toy: Broken) -> None:
    line = "from registrytool.catalog import Catalog"
    toy.edit(V2_TO_V3, "import sqlalchemy as sa\n", f"import sqlalchemy as sa\n{line}\n")
    assert toy.found() == ("RT117", V2_TO_V3, line)


def test_a_revision_that_asks_for_the_newest_version_is_found(toy: Broken) -> None:
    line = "step.catalog.newest_state()"
    toy.edit(V2_TO_V3, "def upgrade(step: Step) -> None:\n", f"def upgrade(step: Step) -> None:\n    {line}\n")
    assert toy.found() == ("RT117", V2_TO_V3, line)


def test_a_universe_with_an_unknown_dimension_is_found(toy: Broken) -> None:
    toy.edit(f"{UNIVERSES}/3.yaml", "requires: [plate]", "requires: [glass]")
    assert toy.found() == ("RT118", f"{UNIVERSES}/3.yaml", "elements:")
    assert "glass" in toy.only().message


@pytest.mark.parametrize("text", ["- 1\n", "version: [\n", "version: 3\nnamespace: toy\n"])
def test_a_file_that_is_no_universe_is_found(text: str, toy: Broken) -> None:
    toy.write(f"{UNIVERSES}/3.yaml", text)
    assert toy.found()[:2] == ("RT118", f"{UNIVERSES}/3.yaml")


def test_a_universe_of_another_namespace_is_found(toy: Broken) -> None:
    toy.edit(f"{UNIVERSES}/3.yaml", "namespace: toy", "namespace: toys")
    assert toy.found() == ("RT119", f"{UNIVERSES}/3.yaml", "namespace: toys")


def test_a_universe_of_another_number_is_found(toy: Broken) -> None:
    toy.edit(f"{UNIVERSES}/3.yaml", "version: 3", "version: 2")
    assert toy.found() == ("RT119", f"{UNIVERSES}/3.yaml", "version: 2")


def test_an_implementation_that_is_not_listed_is_found(project: Broken) -> None:
    stored = "lsst.daf.butler.registry.collections.nameKey.NameKeyCollectionManager"
    entry = f"  NameKeyCollectionManager:\n    stored: {stored}\n"
    project.edit("schemas/implementations.yaml", entry, "")
    assert project.found()[:2] == ("RT120", "schemas/collections/NameKeyCollectionManager/v0_1_0.py")


def test_a_component_that_does_not_exist_is_found(toy: Broken) -> None:
    (toy.root / "schemas/dimension-config").mkdir()
    assert toy.found()[:2] == ("RT120", "schemas/dimension-config")


def test_a_release_with_an_unknown_version_is_found(project: Broken) -> None:
    text = (project.root / "schemas/releases.yaml").read_text()
    at = text.rindex("datastores: 0.2.1")
    project.write("schemas/releases.yaml", text[:at] + text[at:].replace("datastores: 0.2.1", "datastores: 0.9.9", 1))
    assert project.found() == ("RT121", "schemas/releases.yaml", "datastores: 0.9.9")


def test_a_drift_of_an_unknown_version_is_found(project: Broken) -> None:
    project.edit("schemas/drift.yaml", "era: migrated to universe 5 by", "era: migrated to universe 55 by")
    assert project.found()[:2] == ("RT121", "schemas/drift.yaml")
    assert "universe 55" in project.found()[2]


@pytest.mark.parametrize("name", ["implementations.yaml", "releases.yaml", "drift.yaml"])
def test_a_list_that_cannot_be_read_is_found(name: str, project: Broken) -> None:
    project.write(f"schemas/{name}", "[1\n")
    assert project.found()[:2] == ("RT122", f"schemas/{name}")


def test_two_drifts_of_one_name_are_found(project: Broken) -> None:
    project.edit("schemas/drift.yaml", "- id: invalid-index", "- id: primary-key-null")
    assert project.found() == ("RT122", "schemas/drift.yaml", "- id: primary-key-null")


@pytest.mark.parametrize("name", ["4.yml", "four.yaml", "old/1.yaml"])
def test_a_file_that_nobody_reads_is_found(name: str, toy: Broken) -> None:
    toy.write(f"{UNIVERSES}/{name}", (toy.root / UNIVERSES / "3.yaml").read_text())
    assert toy.found()[:2] == ("RT123", f"{UNIVERSES}/{name}")


def test_a_version_of_the_package_that_is_defined_anew_is_found(toy: Broken) -> None:
    path = "schemas/dimensions-config/daf_butler/8.yaml"
    toy.write(path, (toy.content.layers[-1].root / path).read_text())
    assert toy.found()[:2] == ("RT124", path)


def test_broken_files_hide_no_others(toy: Broken) -> None:
    toy.edit(V1_TO_V2, "def upgrade(step: Step) -> None:", "def upgrade(step: Step) -> None")
    toy.edit(V2_TO_V3, "depends_on = None", 'depends_on = ("4e2d7a28475b",)')
    assert [(f.code, f.path) for f in toy.check().findings] == [("RT111", V1_TO_V2), ("RT109", V2_TO_V3)]
