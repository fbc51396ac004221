"""``registrytool raw``, ``visit``, ``photodiode`` and ``record``: what they print and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import sqlite_rows
from tests.support import raws

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Limits, Registry
    from tests.support.places import Run


@pytest.fixture
def cameras(sqlite_registry: Registry, run: Run) -> Path:
    """Return a repository with HSC."""
    assert run("instrument", "register", sqlite_registry.folder, "HSC").exit_code == 0
    return sqlite_registry.folder


def test_raw_ingest_says_what_it_did_and_what_is_left_out(cameras: Path, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "raws"
    for detector in (49, 50):
        raws.hsc(folder / f"{detector}.fits", 903342, detector)
    wrong = raws.hsc(folder / "q.fits", 903344, 50, FILTER01="Q")
    words = ("-q", "raw", "ingest", cameras, folder, "--transfer", "copy")
    left_out = f"{wrong}: The instrument HSC has no filter 'Q'.\n"
    numbers = "2 datasets and 1 exposure new, 0 exposures changed, 0 datasets skipped, 1 file left out.\n"
    assert run(*words, "--dry-run") == (4, f"Nothing was changed. It would be: {numbers}", left_out)
    assert sqlite_rows(cameras / "gen3.sqlite3", "SELECT count(*) FROM exposure") == [(0,)]
    done = run(*words, "--define-visits")
    assert done == (4, f"{numbers}HSC: 1 visit defined, 0 there already.\n", left_out)
    again = run(*words)
    assert (again.exit_code, len(again.stderr.splitlines())) == (4, 3)
    skipped = run("--format", "json", *words, "--existing", "skip", "--define-visits")
    answer = json.loads(skipped.stdout)
    assert answer == {
        "format_version": 1, "registry": str(cameras), "dry_run": False, "datasets": 0, "exposures": 0, "updated": 0,
        "skipped": 2, "recovered": 0, "bad": [{"file": str(wrong), "reason": "The instrument HSC has no filter 'Q'."}],
        "visits": [
            {
                "instrument": "HSC", "visits": 0, "updated": 0, "existing": 1, "regions": 0, "not_on_sky": 0,
                "conflicts": [],
            }
        ],
    }  # fmt: skip
    wrong.unlink()
    assert run(*words, "--existing", "skip").exit_code == 0
    stopped = run(*words, "--fail-fast")
    assert (stopped.exit_code, stopped.stdout) == (3, "")
    assert stopped.stderr == (
        f"Error: Cannot ingest {folder}/49.fits: it is ingested already (exposure 903342, detector 49 of HSC).\n"
    )


def test_raw_ingest_goes_on_past_what_cannot_be_read(cameras: Path, run: Run, limits: Limits, tmp_path: Path) -> None:
    folder = tmp_path / "raws"
    raws.hsc(folder / "a.fits", 2, 50)
    locked = raws.hsc(folder / "b.fits", 2, 51)
    locked.chmod(0)
    closed = folder / "closed"
    closed.mkdir(mode=0)
    with limits.permissions_bind():
        done = run("-q", "raw", "ingest", cameras, folder, "--transfer", "copy")
    closed.chmod(0o700)
    assert done.stdout.startswith("1 dataset and 1 exposure new, ")
    assert sorted(done.stderr.splitlines()) == [
        f"{locked}: It cannot be read: Permission denied.",
        f"{closed}: It cannot be read: Permission denied.",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "Error: There is no file or folder nowhere.\n"),
        (
            (".", "--pattern", "("),
            "Error: '(' is not a regular expression: missing ), unterminated subpattern at position 0.\n",
        ),
        (
            ("ftp://host/x.fits",),
            "Error: Cannot reach ftp://host/x.fits: No URI support for scheme: 'ftp' in ftp://host/x.fits.\n",
        ),
    ],
)
def test_raw_ingest_refuses_what_it_cannot_find(cameras: Path, run: Run, words: tuple[str, ...], message: str) -> None:
    assert run("raw", "ingest", cameras, *words) == (2, "", message)


def test_visits_are_defined_as_often_as_one_likes(cameras: Path, run: Run, tmp_path: Path) -> None:
    raws.hsc(tmp_path / "a.fits", 2, 50)
    run("-q", "raw", "ingest", cameras, tmp_path / "a.fits", "--transfer", "copy")
    numbers = "1 visit new, 0 changed, 0 there already; 112 regions of detectors; 0 exposures not on the sky.\n"
    define = ("visit", "define", cameras, "HSC")
    assert run(*define, "--dry-run").stdout == f"Nothing was changed. It would be: {numbers}"
    assert run(*define) == (0, numbers, "")
    answer = json.loads(run("--format", "json", *define).stdout)
    assert (answer["visits"], answer["existing"], answer["conflicts"]) == (0, 1, [])
    refused = run(*define, "--system", "by-moon")
    assert refused.exit_code == 2
    assert "by-moon" in refused.stderr


def test_readings_of_photodiodes_find_their_exposure(cameras: Path, run: Run, tmp_path: Path) -> None:
    raws.hsc(tmp_path / "a.fits", 2, 50)
    run("-q", "raw", "ingest", cameras, tmp_path / "a.fits", "--transfer", "copy")
    (good := tmp_path / "Photodiode_Readings_20130617_000002.txt").write_text("0.0 1.5e-9\n")
    (bad := tmp_path / "Photodiode_Readings_20130617_000003.txt").write_text("0.0 1.5e-9\n")
    words = ("photodiode", "ingest", cameras, "HSC", good, bad)
    left_out = f"{bad}: There is no exposure of HSC with number 3 of 20130617.\n"
    numbers = "1 dataset new, 0 skipped, 1 file left out.\n"
    assert run(*words, "--dry-run") == (4, f"Nothing was changed. It would be: {numbers}", left_out)
    assert run(*words) == (4, numbers, left_out)
    answer = json.loads(run("--format", "json", *words[:-1]).stdout)
    assert (answer["datasets"], answer["skipped"], answer["unmatched"]) == (0, 1, [])


def test_records_are_changed_after_they_are_shown(cameras: Path, run: Run) -> None:
    insert = ("record", "insert", cameras, "day_obs", "instrument=HSC", "id=20250101")
    assert run(*insert).exit_code == 0
    refused = run(*insert[:-1], "id=20250101", "timespan=2025-01-01T00:00:00Z--2025-01-02T00:00:00Z")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "20250101" in refused.stderr
    listed = json.loads(run("--format", "json", "record", "list", cameras, "day_obs").stdout)
    assert [r["id"] for r in listed["records"]] == [20250101]
    filters = ("record", "delete", cameras, "physical_filter", "instrument=HSC", "name=HSC-R")
    dry = run(*filters, "--dry-run")
    assert dry.exit_code == 0
    count = "SELECT count(*) FROM physical_filter WHERE name = 'HSC-R'"
    assert sqlite_rows(cameras / "gen3.sqlite3", count) == [(1,)]
    assert run(*filters, "--yes").exit_code == 0
    assert sqlite_rows(cameras / "gen3.sqlite3", count) == [(0,)]
    nothing = run("record", "update", cameras, "exposure", "--yes")
    assert nothing == (2, "", "Error: Nothing says what shall be changed. Use --set FIELD=VALUE.\n")
