"""``registrytool instrument``, ``skymap`` and ``doctor``: what they print and how they end."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from registrytool.instruments.library import bundled_definitions
from tests.unit.instruments.test_definition import GOOD, write
from tests.unit.instruments.test_skymap_geometry import GOOD as SKYMAP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Registry
    from tests.support.places import Run


def test_list_names_what_comes_with_registrytool(run: Run) -> None:
    done = run("--format", "json", "instrument", "list")
    assert done.exit_code == 0
    assert [i["name"] for i in json.loads(done.stdout)["instruments"]] == list(bundled_definitions())
    table = run("instrument", "list").stdout
    assert " PFS             lsst.obs.pfs.PrimeFocusSpectrograph   4         22" in table.splitlines()


def test_show_prints_a_definition(run: Run, tmp_path: Path) -> None:
    done = run("instrument", "show", write(tmp_path, GOOD))
    assert done == (
        0,
        """\
name: Toy
visit_max: 1000
visit_system: 2
exposure_max: 1000
detector_max: 10
class_name: lsst.obs.toy.Toy
universe: daf_butler

 filter   band    aliases    wavelength (nm)
 ───────────────────────────────────────────
 empty    white   open
 r2       r       red, 109   550-700.5


 detector   name   raft   in raft   purpose
 ──────────────────────────────────────────
 0          R_0
 1          R_1    R      1         SCIENCE

""",
        "",
    )
    found = json.loads(run("--format", "json", "instrument", "show", tmp_path / "toy.yaml").stdout)["instrument"]
    assert found["filters"][1]["aliases"] == ["red", "109"]


def test_validate_names_every_fault_and_warning(run: Run, tmp_path: Path) -> None:
    good, bad = write(tmp_path, GOOD.replace("[red,", "[open,")), write(tmp_path, GOOD.replace("id: 0,", ""), "b.yaml")
    done = run("instrument", "validate", good, bad)
    expected = (
        f"{good}: valid\n"
        "  warning: the filters empty and r2 share the alias open; empty comes first\n"
        f"{bad}: not valid\n"
        "  fault: line 24, detectors[1].id: is missing, and must be a whole number\n"
    )
    assert done == (4, expected, "")
    assert run("instrument", "validate", good).exit_code == 0


def test_register_update_diff_and_remove_say_what_they_do(run: Run, registry: Registry, tmp_path: Path) -> None:
    toy, repo = write(tmp_path, GOOD), registry.folder
    planned = run("instrument", "register", repo, toy, "--dry-run")
    line = "Toy: new: 1 of instrument, 2 of physical_filter, 2 of detector; 0 as they were\n"
    assert planned == (0, f"Nothing was changed. It would be:\n{line}", "")
    assert run("instrument", "register", repo, toy) == (0, line, "")
    assert run("instrument", "register", repo, toy) == (0, "Toy: 5 as they were\n", "")
    assert run("instrument", "diff", repo, toy) == (0, "Toy: no difference\n", "")
    write(tmp_path, GOOD.replace("band: r,", "band: i,"))
    refused = run("instrument", "register", repo, toy)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr == (
        f"Error: The registry of {repo} has another Toy: physical_filter r2: band is 'r' and should be 'i'. "
        "'registrytool instrument update' changes what differs.\n"
    )
    table = """
 element           key   field   registry   definition
 ─────────────────────────────────────────────────────
 physical_filter   r2    band    r          i

"""
    assert run("instrument", "diff", repo, toy) == (4, f"Toy: 1 difference\n{table}", "")
    assert run("instrument", "update", repo, toy) == (0, f"Toy: 1 change; 4 as they were\n{table}", "")
    shown = run("instrument", "remove", repo, "Toy", "--dry-run")
    gone = "  Toy\n  2 of detector\n  2 of physical_filter\n"
    assert shown == (0, f"Nothing was changed. It would be removed:\n{gone}", "")
    assert run("instrument", "remove", repo, "Toy", "--yes") == (0, f"Removed:\n{gone}", "")


@pytest.mark.parametrize("answer", ["y", "n"])
def test_what_goes_with_an_instrument_is_shown_before_the_question(
    answer: str, run: Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registrytool.cli._output.is_interactive", lambda: True)
    repo = registry.folder
    run("instrument", "register", repo, write(tmp_path, GOOD))
    run("record", "insert", repo, "day_obs", "instrument=Toy", "id=20250101")
    refused = run("instrument", "remove", repo, "Toy")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr.startswith("Error: Cannot remove the instrument Toy: other records refer to it (1 of day_obs")
    shown = run("instrument", "remove", repo, "Toy", "--dry-run")
    assert shown.stdout.startswith("Nothing was changed. With --cascade it would be removed:\n  Toy\n")
    done = run("instrument", "remove", repo, "Toy", "--cascade", stdin=f"{answer}\n")
    gone = "  Toy\n  2 of detector\n  2 of physical_filter\n  1 of day_obs that refer to it\n"
    question = f"Remove the instrument Toy from {repo}? [y/N]: "
    if answer == "y":
        assert done == (0, f"Removed:\n{gone}", f"{gone}{question}")
    else:
        assert done == (3, "", f"{gone}{question}Nothing was changed.\n")


def test_export_writes_a_definition(run: Run, registry: Registry, tmp_path: Path) -> None:
    run("instrument", "register", registry.folder, write(tmp_path, GOOD))
    expected = """\
format_version: 1
name: Toy
class_name: lsst.obs.toy.Toy
visit_max: 1000
exposure_max: 1000
detector_max: 10
visit_systems:
- by-seq-start-end
default_visit_system: by-seq-start-end

filters:
  - {physical_filter: empty, band: white}
  - {physical_filter: r2, band: r}

detectors:
  - {id: 0, full_name: R_0}
  - {id: 1, full_name: R_1, name_in_raft: '1', raft: R, purpose: SCIENCE}
"""
    assert run("instrument", "export", registry.folder, "Toy") == (0, expected, "")
    file = tmp_path / "out.yaml"
    assert run("instrument", "export", registry.folder, "Toy", "-o", file) == (0, "", f"Wrote {file}.\n")
    assert file.read_text(encoding="utf-8") == expected


def test_universe_prints_a_file_for_create(run: Run, tmp_path: Path) -> None:
    done = run("instrument", "universe", "PFS")
    assert done.exit_code == 0
    (tmp_path / "pfs.yaml").write_text(done.stdout, encoding="utf-8")
    created = run("create", tmp_path / "repo", "--universe", tmp_path / "pfs.yaml", "--at", "27.0")
    assert "  dimensions-config pfs 3\n" in created.stdout
    refused = run("instrument", "universe", "HSC")
    expected = (
        "Error: No universe daf_butler comes with registrytool apart from those of the releases. "
        "'registrytool create' without --universe makes the newest one.\n"
    )
    assert refused == (2, "", expected)


def test_doctor_ends_with_4_when_something_is_odd(run: Run, registry: Registry, tmp_path: Path) -> None:
    toy, repo = write(tmp_path, GOOD), registry.folder
    run("instrument", "register", repo, toy)
    assert run("doctor", repo, "--definition", toy) == (0, f"{repo}: nothing odd\n", "")
    write(tmp_path, GOOD.replace("band: r,", "band: i,"))
    done = run("doctor", repo, "--definition", toy)
    expected = (
        f"{repo}: 1 finding\n"
        "  warning, contradiction: Toy contradicts its definition: physical_filter r2: band is 'r' and should be 'i'. "
        "'registrytool instrument diff' shows all; 'registrytool instrument update' changes Toy.\n"
    )
    assert done == (4, expected, "")
    found = json.loads(run("--format", "json", "doctor", repo, "--definition", toy).stdout)["findings"]
    assert [(f["check"], f["instrument"]) for f in found] == [("contradiction", "Toy")]


def test_verify_warns_of_what_can_be_meant_and_fails_for_a_filter_without_band(run: Run, tmp_path: Path) -> None:
    repo = tmp_path / "old"
    # Before the next version of this component a band could be missing.
    assert run("create", repo, "--at", "dimensions=StaticDimensionRecordStorageManager/6.0.1").exit_code == 0
    run("instrument", "register", repo, "DECam")
    sound = run("verify", repo).stdout

    def execute(statement: str) -> None:
        with contextlib.closing(sqlite3.connect(repo / "gen3.sqlite3")) as connection, connection:
            connection.execute(statement)

    execute("INSERT INTO detector (instrument, id, full_name) VALUES ('DECam', 9999, 'far')")
    warning = (
        "  warning, number-out-of-range: The detector numbers 9999 of DECam are not within 0 and detector_max, which "
        "is 100. Identifiers that are packed from such numbers are ambiguous; raise the limit or correct the numbers."
    )
    assert run("verify", repo) == (0, f"{sound}Instruments: 0 errors, 1 warning.\n{warning}\n", "")
    execute("UPDATE physical_filter SET band = NULL WHERE name LIKE 'z %'")
    found = run("--format", "json", "verify", repo)
    answer = json.loads(found.stdout)
    assert (found.exit_code, answer["clean"], answer["differences"]) == (4, False, [])
    assert [(f["severity"], f["check"]) for f in answer["instruments"]] == [
        ("error", "filter-without-band"),
        ("warning", "number-out-of-range"),
        ("warning", "contradiction"),
    ]
    same = json.loads(run("--format", "json", "doctor", repo).stdout)["findings"]
    assert same == answer["instruments"]


def test_sky_maps_are_registered_listed_and_removed(run: Run, registry: Registry, tmp_path: Path) -> None:
    file, repo = write(tmp_path, SKYMAP, "small.yaml"), registry.folder
    planned = run("skymap", "register", repo, file, "--dry-run")
    digest = json.loads(run("--format", "json", "skymap", "register", repo, file).stdout)["skymaps"][0]["hash"]
    assert planned.stdout == f"small would be registered: 1 tracts, 9 patches, hash {digest}\n"
    assert planned.stderr == ""
    assert run("skymap", "register", repo, file).stdout == (
        f"small is there already: 1 tracts, 9 patches, hash {digest}\n"
    )
    assert f" small     1        9         {digest}" in run("skymap", "list", repo).stdout.splitlines()
    assert run("skymap", "remove", repo, "small", "--yes") == (
        0,
        "Removed:\n  small\n  1 of tract\n  9 of patch\n",
        "",
    )


@pytest.mark.parametrize("words", [("instrument", "register"), ("instrument", "update"), ("skymap", "register")])
def test_an_unknown_name_is_refused_before_anything_is_opened(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    run("create", tmp_path / "repo")
    done = run(*words, tmp_path / "repo", "nowhere")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: There is no file nowhere, and no ")
