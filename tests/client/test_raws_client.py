"""Raw files that registrytool ingests, the client finds, with their files, and among those of other cameras."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.placement import Transfer
from registrytool.instruments.visits import define_visits
from tests.client.conftest import password_of
from tests.support import raws
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from tests.client.conftest import Client
    from tests.support.places import Place


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("universe", [8, 3])
def test_client_finds_raws_of_several_cameras_with_their_files(
    client: Client, place: Place, universe: int, tmp_path: Path
) -> None:
    repository = make(
        place, f"dimensions-config=daf_butler/{universe}", "collections=SynthIntKeyCollectionManager/2.0.0"
    )
    raws.register(repository, *raws.cameras())
    files = [
        raws.hsc(tmp_path / "in" / "hsc_2_0.fits", 2, 0),
        raws.hsc(tmp_path / "in" / "hsc_2_50.fits", 2, 50),
        raws.hsc(tmp_path / "in" / "hsc_4_50.fits", 4, 50, FILTER01="W-S-I+"),
        raws.megaprime(tmp_path / "in" / "mega prime #1.fits", FILTER="r.MP9601"),
        raws.decam(tmp_path / "in" / "decam.fits"),
    ]
    given = {digest(f) for f in files}
    options = IngestOptions(definitions=raws.cameras(), transfer=Transfer.MOVE)
    report = ingest_raws(repository, [str(f) for f in files], options)
    assert report.bad == ()
    assert (report.datasets, report.exposures) == (6, 4)
    assert not any(f.exists() for f in files)
    for definition in raws.cameras():
        define_visits(repository, definition)
    seen: dict[str, Any] = json.loads(client.run("client_raws.py", place.folder, password=password_of(place)))
    assert [d["id"] for d in seen["datasets"]] == [d["expected_id"] for d in seen["datasets"]]
    assert {d["digest"] for d in seen["datasets"]} == given
    assert [list(d["data_id"].values()) for d in seen["datasets"]] == [
        ["DECam", 1, 229388], ["DECam", 25, 229388], ["HSC", 0, 2], ["HSC", 50, 2], ["HSC", 50, 4],
        ["MegaPrime", 23, 1038843],
    ]  # fmt: skip
    assert seen["bands"] == {"r": ["HSC 2", "MegaPrime 1038843"], "i": ["HSC 4"], "z": ["DECam 229388"]}
    assert seen["visits"] == {"DECam 229388": [229388], "HSC 2": [2], "HSC 4": [4], "MegaPrime 1038843": [1038843]}
    assert seen["overlaps"].keys() == {"HSC 2", "HSC 4"}
    assert min(seen["overlaps"].values()) > 1
    assert_clean(repository)


def test_client_finds_raws_that_stay_where_they_are(client: Client, place: Place, tmp_path: Path) -> None:
    repository = make(place)
    raws.register(repository, *raws.cameras())
    direct = raws.hsc(tmp_path / "öther place %20#x" / "a b.fits", 2, 0)
    inside = raws.hsc(place.folder / "own" / "ü 2.fits", 2, 1)
    linked = raws.hsc(tmp_path / "in" / "c.fits", 2, 50)
    for file, way in ((direct, Transfer.DIRECT), (inside, Transfer.AUTO), (linked, Transfer.RELSYMLINK)):
        assert ingest_raws(repository, [str(file)], IngestOptions(transfer=way)).datasets == 1
    seen = json.loads(client.run("client_raws.py", place.folder, password=password_of(place)))
    assert [d["digest"] for d in seen["datasets"]] == [digest(f) for f in (direct, inside, linked)]
    assert [Path(d["path"]) for d in seen["datasets"][:2]] == [direct, inside]
