"""Definitions of instruments: what a file gives, and what is said of a wrong one."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from registrytool.errors import ConfigurationError, DefinitionError, UnknownFilterError
from registrytool.instruments.definition import FocalPlane
from registrytool.instruments.library import bundled_definitions, load_definition

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
format_version: 1
name: Toy
class_name: lsst.obs.toy.Toy
visit_max: 1000
exposure_max: 1000
detector_max: 10
visit_systems: [one-to-one, by-seq-start-end]
default_visit_system: by-seq-start-end
day_obs:
  - {offset_s: 0}
  - {from: 20200101, offset_s: 43200}
raw:
  dataset_type: raw
  dimensions: [instrument, detector, exposure]
  storage_class: Exposure
  formatter: lsst.obs.toy.RawFormatter
runs:
  raw: Toy/raw/all
filters:
  - {physical_filter: empty, band: white, aliases: [open]}
  - {physical_filter: r2, band: r, aliases: [red, "109"], wavelength_nm: [550, 700.5], doc: A filter.}
detectors:
  - {id: 1, full_name: R_1, name_in_raft: "1", raft: R, purpose: SCIENCE}
  - {id: 0, full_name: R_0}
"""


def write(folder: Path, text: str, name: str = "toy.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load_definition(write(folder, text))
    return caught.value.faults


def test_a_definition_is_what_the_file_says(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GOOD))
    assert found.record() == {
        "name": "Toy",
        "visit_max": 1000,
        "visit_system": 2,
        "exposure_max": 1000,
        "detector_max": 10,
        "class_name": "lsst.obs.toy.Toy",
    }
    assert [f.key for f in found.filters] == [("Toy", "empty"), ("Toy", "r2")]
    assert found.filters[1].wavelength_nm == (550.0, 700.5)
    assert [d.id for d in found.detectors] == [0, 1]
    assert found.detectors[0].record() == {
        "instrument": "Toy",
        "id": 0,
        "full_name": "R_0",
        "name_in_raft": None,
        "raft": None,
        "purpose": None,
    }
    assert found.runs == {"raw": "Toy/raw/all"}
    assert found.warnings == ()


def test_filters_are_found_by_name_and_by_alias(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GOOD))
    assert (found.band("red"), found.band("109"), found.band("empty")) == ("r", "r", "white")
    with pytest.raises(UnknownFilterError) as caught:
        found.find_filter("violet")
    assert str(caught.value) == (
        "The instrument Toy has no filter 'violet'. Known: empty, r2; add it to the definition, or as an alias of one "
        "of these."
    )


def test_a_day_of_observation_begins_as_of_its_time(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GOOD))
    assert (found.day_obs_offset_s(20191231), found.day_obs_offset_s(20200101)) == (0, 43200)


def test_a_shared_alias_is_a_warning_and_the_first_filter_counts(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GOOD.replace("aliases: [red,", "aliases: [open,")))
    assert found.warnings == ("the filters empty and r2 share the alias open; empty comes first",)
    assert found.band("open") == "white"


def test_detectors_beyond_their_limit_are_a_warning(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GOOD.replace("detector_max: 10", "detector_max: 1")))
    assert found.warnings == ("the numbers of the detectors 1 are not within 0 and detector_max",)


def test_all_faults_of_a_file_are_named_together(tmp_path: Path) -> None:
    text = (
        GOOD.replace("visit_max: 1000", "visit_max: many")
        .replace("full_name: R_0", "full_name: R_1")
        .replace("id: 0,", "id: 1,")
        .replace("physical_filter: r2", "physical_filter: empty")
        .replace("doc: A filter.", "lambda: 5")
        .replace("[550, 700.5]", "[700, 550]")
        .replace("one-to-one,", "in-pairs,")
    )
    assert faults(tmp_path, text) == [
        "line 21, filters[1].lambda: is not a field; there can be physical_filter, band, aliases, wavelength_nm, doc",
        "line 21, filters[1].wavelength_nm: must be two positive numbers, the shorter wavelength first",
        "line 21, filters[1].physical_filter: empty is the name of filters[0] too; a name belongs to one filter",
        "line 24, detectors[1].id: 1 is the number of detectors[0] too; a number belongs to one detector",
        "line 24, detectors[1].full_name: R_1 is the name of detectors[0] too; a name belongs to one detector",
        "line 7, visit_systems: in-pairs is not one; there are one-to-one, by-group-metadata, by-seq-start-end",
        "line 4, visit_max: is the text many, and must be a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the file is empty"),
        ("a: [", "line 2: this is not YAML (did not find expected node content)"),
        ("- 1", "line 1, the file: is a list, and must be a mapping of fields"),
        (
            GOOD.replace("full_name: R_0", "full_name: 0_53"),
            "line 24, detectors[1].full_name: is the number 0_53, and must be a text; write it in quotes",
        ),
        (
            GOOD.replace("format_version: 1", "format_version: 7"),
            "line 1, format_version: is 7, and this version of registrytool reads 1",
        ),
        (GOOD.replace("name: Toy\n", "naem: Toy\n", 1), "line 2, naem: is not a field; did you mean name?"),
        (GOOD.replace("exposure_max: 1000\n", ""), "line 1, exposure_max: is missing, and must be a whole number"),
        (
            GOOD.replace("purpose: SCIENCE", "corners_mm: [[0, 0], [1, 0], [1, 1]]"),
            "line 23, detectors[0].corners_mm: must be four pairs of numbers, in order around the detector",
        ),
        (
            GOOD.replace("purpose: SCIENCE", "corners_mm: [[0, 0], [1, 0], [1, 1], [0, 1]]"),
            "line 1, focal_plane: is missing, and must say how the corners of the detectors are projected",
        ),
        (
            GOOD.replace("name: Toy", f"name: {'x' * 33}", 1),
            "line 2, name: has 33 characters, and a registry holds 32 at most",
        ),
    ],
)
def test_a_fault_names_its_line_and_what_is_right(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in faults(tmp_path, text)


def test_the_error_is_one_sentence_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("name: Toy\n", "", 1))
    with pytest.raises(DefinitionError) as caught:
        load_definition(path)
    assert str(caught.value) == f"{path} has 1 fault: line 1, name: is missing, and must be a text."


def test_an_unknown_instrument_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_definition("NoSuchCam")
    assert str(caught.value) == (
        "There is no file NoSuchCam, and no instrument of that name comes with registrytool. "
        f"Known instruments: {', '.join(bundled_definitions())}."
    )


@pytest.mark.parametrize("name", bundled_definitions())
def test_each_bundled_definition_is_valid_and_named_as_its_file(name: str) -> None:
    found = load_definition(name)
    assert found.name == name
    assert found.filters
    assert found.detectors


def test_the_same_filter_name_means_what_each_instrument_says(tmp_path: Path) -> None:
    bands = ("r", "white", "N921")
    paths = [
        write(
            tmp_path, GOOD.replace("name: Toy", f"name: Toy{i}", 1).replace("band: r,", f"band: {band},"), f"{i}.yaml"
        )
        for i, band in enumerate(bands)
    ]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        found = {i: load_definition(paths[i]) for i in order}
        assert [found[i].band("r2") for i in range(3)] == list(bands)
        assert len({f.key for d in found.values() for f in d.filters}) == 6


def test_definitions_loaded_in_threads_do_not_meet(tmp_path: Path) -> None:
    paths = [write(tmp_path, GOOD.replace("band: r,", f"band: band{i},"), f"{i}.yaml") for i in range(8)]
    found: dict[int, str] = {}

    def load(i: int) -> None:
        for _ in range(5):
            found[i] = load_definition(paths[i]).band("red")

    threads = [threading.Thread(target=load, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: f"band{i}" for i in range(8)}


def test_a_definition_that_was_edited_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    before = load_definition(path)
    write(tmp_path, GOOD.replace("band: r,", "band: i,"))
    assert (before.band("r2"), load_definition(path).band("r2")) == ("r", "i")


def test_the_axis_points_where_the_telescope_does() -> None:
    x, y, z = FocalPlane(10.0).on_sky((0.0, 0.0), 30.0, -20.0, 77.0)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(30.0)
    assert math.degrees(math.asin(z)) == pytest.approx(-20.0)


@pytest.mark.parametrize(("angle", "east", "north"), [(0.0, 0.0, 1.0), (90.0, 1.0, 0.0), (180.0, 0.0, -1.0)])
def test_the_angle_turns_the_y_axis_from_north_over_east(angle: float, east: float, north: float) -> None:
    x, y, z = FocalPlane(36.0).on_sky((0.0, 100.0), 0.0, 0.0, angle)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(east, abs=1e-9)
    assert math.degrees(math.asin(z)) == pytest.approx(north, abs=1e-9)


def test_x_points_west_or_with_a_flip_east() -> None:
    _, west, _ = FocalPlane(36.0).on_sky((100.0, 0.0), 0.0, 0.0, 0.0)
    _, east, _ = FocalPlane(36.0, flip_x=True).on_sky((100.0, 0.0), 0.0, 0.0, 0.0)
    assert west == pytest.approx(-math.sin(math.radians(1.0)))
    assert east == pytest.approx(math.sin(math.radians(1.0)))
