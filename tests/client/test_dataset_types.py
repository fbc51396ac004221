"""Commands for dataset types, names and the ObsCore table: what the client makes of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.client_fill import OBSCORE_CONFIG
from tests.support.equivalence import meaning, row_differences, tables_of

if TYPE_CHECKING:
    from tests.support.equivalence import MakeTwins, Rows, Twins

ODD = 'u/o\'neill "%s" :x ü'

both_keys = pytest.mark.parametrize("options", [(), ("--name-key",)], ids=["number", "name"])


@pytest.mark.slow
@both_keys
def test_dataset_types_are_registered_and_removed_as_by_the_client(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    for words, program in (
        (
            ("register", "{repo}", "newOne", "StructuredDataDict", "visit", "band", "--is-calibration"),
            (
                "registry.registerDatasetType(DatasetType('newOne', ['visit', 'band'], 'StructuredDataDict', "
                "universe=butler.dimensions, isCalibration=True))"
            ),
        ),
        (
            ("register", "{repo}", "other", "Wcs", "htm9", "patch"),
            "registry.registerDatasetType(DatasetType('other', ['htm9', 'patch'], 'Wcs', universe=butler.dimensions))",
        ),
        (("remove", "{repo}", "newOne", "--yes"), "registry.removeDatasetType('newOne')"),
    ):
        two.we("dataset-type", *words)
        two.client(program)
        two.assert_same()
    two.assert_changed()
    # What the client refuses is refused.
    said = two.we_fail("dataset-type", "remove", "{repo}", "raw", "--yes")
    assert said.startswith("Error: The dataset type 'raw' has 90 datasets in 3 runs.")
    assert two.client_fails("registry.removeDatasetType('raw')") == "OrphanedRecordError"
    two.we_fail("dataset-type", "register", "{repo}", "raw", "Wcs", "exposure", "detector")
    again = "DatasetType('raw', ['exposure', 'detector'], 'Wcs', universe=butler.dimensions)"
    assert two.client_fails(f"registry.registerDatasetType({again})") == "ConflictingDefinitionError"


@both_keys
def test_a_renamed_dataset_type_is_the_same_for_the_client(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    before = "answer = [r.dataId.mapping for r in refs({!r}, ...)]"
    wanted = two.client(before.format("calexp"))
    two.we("dataset-type", "rename", "{repo}", "calexp", "renamed")
    assert two.client_in_ours(before.format("renamed")) == wanted
    # Nothing but the one word is different.
    assert renamed(two, "calexp", "renamed", "dataset_type", "name") == []


def test_another_storage_class_is_that_for_the_client(twins: MakeTwins) -> None:
    two = twins()
    done = two.we("dataset-type", "set-storage-class", "{repo}", "task_config", "StructuredDataList")
    assert done.stdout == "The dataset type 'task_config' was given the storage class StructuredDataList.\n"
    program = "answer = registry.getDatasetType('task_config').storageClass_name"
    assert (two.client(program), two.client_in_ours(program)) == ("StructuredDataDict", "StructuredDataList")


@both_keys
@pytest.mark.parametrize("name", ["u/ann/run/1", "u/ann/best", "LSSTCam/calib", "u/ann/chain"])
def test_a_renamed_collection_is_the_same_for_the_client(name: str, options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    see = "answer = sorted(map(str, registry.queryCollections('u/ann/chain/outer', flattenChains=True)))"
    wanted = [ODD if found == name else found for found in two.client(see)]
    two.we("collection", "rename", "{repo}", name, ODD)
    assert two.client_in_ours(see) == sorted(wanted)
    found, before = meaning(tables_of(two.ours), read_ids(two)), meaning(tables_of(two.theirs), read_ids(two))
    assert row_differences(replaced(found, ODD, ODD), replaced(before, name, ODD)) == []


def read_ids(two: Twins) -> set[object]:
    return {row[0] for row in tables_of(two.theirs)["dataset"].of(["id"])}


def replaced(rows: Rows, name: str, new_name: str) -> Rows:
    """Return rows with another name of a collection; in those of datasets, it stands behind the dataset type."""
    result: Rows = {}
    for table, counted in rows.items():
        result[table] = Counter()
        for row, number in counted.items():
            values = []
            for column, value in eval(row, {"UUID": str, "datetime": None, "NumericRange": None}):  # noqa: S307 (ours)
                text = value.replace(f" in {name} ", f" in {new_name} ") if isinstance(value, str) else value
                values.append((column, new_name if value == name else text))
            result[table][repr(values)] += number
    return result


def renamed(two: Twins, name: str, new_name: str, table: str, column: str) -> list[str]:
    """Return what is different beside one value of one table."""
    found, before = tables_of(two.ours), tables_of(two.theirs)
    rows = before[table].rows
    position = before[table].columns.index(column)
    for i, row in enumerate(rows):
        if row[position] == name:
            rows[i] = (*row[:position], new_name, *row[position + 1 :])
    return [t for t in before if Counter(map(repr, before[t].rows)) != Counter(map(repr, found[t].rows))]


def test_an_obscore_table_can_be_made_later_and_is_filled_by_the_client(twins: MakeTwins) -> None:
    two = twins()
    config = two.ours.folder / "obscore.yaml"
    config.write_text(yaml.safe_dump(OBSCORE_CONFIG), encoding="utf-8")
    two.we("obscore", "enable", "{repo}", str(config), "--no-backup", "--yes")
    done = two.check("obscore", "check", "{repo}", "--format", "json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["rows"], found["wanted"]) == (4, 0, 174)
    assert found["missing"] == {"calexp": 84, "raw": 90}
    # One that is stored from now on gets its row from the client.
    two.client_in_ours(
        "registry.registerRun('u/ann/new')\n"
        "ref = refs('raw', 'HSC/raw/all')[0]\n"
        "butler.put({'a': 1}, 'raw', ref.dataId, run='u/ann/new')"
    )
    found = json.loads(two.check("obscore", "check", "{repo}", "--format", "json").stdout)
    assert (found["rows"], found["wanted"], found["missing"]) == (1, 175, {"calexp": 84, "raw": 90})


def test_the_obscore_table_of_a_client_is_found_right(twins: MakeTwins) -> None:
    two = twins("--obscore")
    done = two.check("obscore", "check", "{repo}", "--format", "json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["clean"], found["rows"], found["wanted"]) == (0, True, 174, 174)
    two.we_fail("obscore", "enable", "{repo}", "nothing.yaml", "--yes")
    # A run that is not asked for any more has rows too much.
    two.we("collection", "rename", "{repo}", "u/ann/run/2", "elsewhere")
    found = json.loads(two.check("obscore", "check", "{repo}", "--format", "json").stdout)
    assert (found["missing"], found["surplus"]) == ({}, {"calexp": 12})
