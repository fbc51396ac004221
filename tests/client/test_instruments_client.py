"""The newest client opens a repository with all instruments, and finds and stores things of each of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lsst.sphgeom import LonLat

from registrytool.create import CreateOptions, create_repository
from registrytool.instruments.library import bundled_definitions, load_definition, universe_file
from registrytool.instruments.register import register_instruments
from registrytool.instruments.skymap import register_skymap
from registrytool.instruments.visits import VisitOptions, define_visits
from registrytool.maintain.overlaps import overlap_pixels
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.records import insert_records
from registrytool.maintain.session import Session, change, reading
from registrytool.repository import open_repository
from tests.client.conftest import password_of
from tests.support.areas import shared_area
from tests.support.public_regions import HSC_POINTINGS
from tests.support.registries import make
from tests.unit.instruments.test_skymap_geometry import CI_HSC, decoded

if TYPE_CHECKING:
    from lsst.sphgeom import ConvexPolygon

    from registrytool.instruments.definition import InstrumentDefinition
    from registrytool.repository import Repository
    from tests.client.conftest import Client
    from tests.support.places import Place

RESOURCES = "resource://lsst.daf.butler/tests/registry_data"


def ask(client: Client, place: Place, program: str) -> Any:
    found = json.loads(client.run("client_do.py", place.folder, program, password=password_of(place)))
    assert "answer" in found, found
    return found["answer"]


def definitions(namespace: str = "daf_butler") -> list[InstrumentDefinition]:
    found = [load_definition(name) for name in bundled_definitions()]
    return [d for d in found if d.namespace == namespace]


def expose(repository: Repository, instruments: list[InstrumentDefinition]) -> None:
    """Take one exposure with each filter of the band r, and one with the first filter."""

    def work(session: Session) -> None:
        for instrument in instruments:
            name = instrument.name
            insert_records(session, "day_obs", [{"instrument": name, "id": 20250102}])
            insert_records(session, "group", [{"instrument": name, "name": "g"}])
            filters = [instrument.filters[0], *(f for f in instrument.filters if f.band == "r")]
            rows = [
                {
                    "instrument": name,
                    "id": i,
                    "obs_id": f"{name} {i}",
                    "day_obs": 20250102,
                    "group": "g",
                    "physical_filter": f.physical_filter,
                }
                for i, f in enumerate(filters, start=1)
            ]
            insert_records(session, "exposure", rows)

    change(repository, "expose", work)


STORE = """
from lsst.daf.butler import DatasetType
observed = "exposure" if "exposure" in butler.dimensions.dimensions.names else "physical_filter"
kind = DatasetType("note", ["instrument", "detector", observed], "StructuredDataDict", universe=butler.dimensions)
registry.registerDatasetType(kind)
answer = {}
for name in sorted(r.name for r in registry.queryDimensionRecords("instrument")):
    run = f"{name}/notes"
    registry.registerRun(run)
    numbers = [r.id for r in registry.queryDimensionRecords("detector", instrument=name)]
    detectors = sorted({min(numbers), max(numbers)})
    values = sorted(d[observed] for d in registry.queryDataIds([observed], instrument=name))
    for detector in detectors:
        data_id = {"instrument": name, "detector": detector, observed: values[-1]}
        butler.put({"of": name, "detector": detector}, "note", data_id, run=run)
    reader = Butler.from_config(butler._config, collections=run, instrument=name)
    answer[name] = all(
        reader.get("note", detector=detector, **{observed: values[-1]}) == {"of": name, "detector": detector}
        and reader.exists("note", detector=detector, **{observed: values[-1]})
        for detector in detectors
    )
"""


def test_the_client_works_with_all_instruments_of_one_repository(client: Client, place: Place) -> None:
    repository = make(place, "newest")
    instruments = definitions()
    register_instruments(repository, instruments)
    expose(repository, instruments)
    seen = ask(
        client,
        place,
        """
answer = {"records": {}, "r": sorted({(d["instrument"], d["exposure"]) for d in registry.queryDataIds(
    ["exposure", "band"], where="band = 'r'")}), "joined": len(set(registry.queryDataIds(
    ["exposure", "detector"], where="band = 'r' AND instrument = 'HSC'")))}
for element in ("instrument", "physical_filter", "detector"):
    answer["records"][element] = sorted((r.toDict() for r in registry.queryDimensionRecords(element)), key=str)
""",
    )
    for element in ("instrument", "physical_filter", "detector"):
        with reading(repository) as session:
            ours = sorted(load_records(session, element), key=str)
        assert [dict(sorted(r.items())) for r in seen["records"][element]] == [dict(sorted(r.items())) for r in ours]
    expected = {d.name: sum(f.band == "r" for f in d.filters) for d in instruments}
    found = [name for name, _ in seen["r"]]
    for name, number in expected.items():
        # The first filter can be of that band too.
        first = next(d for d in instruments if d.name == name).filters[0].band == "r"
        assert found.count(name) == number + first
    assert len(set(found)) >= 7
    assert seen["joined"] == 112 * expected["HSC"]
    assert ask(client, place, STORE) == {d.name: True for d in instruments}


def test_the_client_works_with_an_instrument_of_another_universe(client: Client, place: Place) -> None:
    create_repository(place.folder, CreateOptions(place.url, place.namespace, ("newest",), universe_file("pfs")))
    repository = open_repository(str(place.folder), db=place.url)
    register_instruments(repository, definitions("pfs"))
    assert ask(client, place, STORE) == {"PFS": True}
    program = (
        "answer = sorted((r.full_name, r.arm, r.spectrograph) for r in registry.queryDimensionRecords('detector'))"
    )
    assert ["m1", "m", 1] in ask(client, place, program)


IMPORT = """
import lsst.resources, tempfile, os
text = lsst.resources.ResourcePath("{resource}").read().decode()
{edit}
with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
    file.write(text)
butler.import_(filename=file.name, without_datastore=True)
os.unlink(file.name)
answer = True
"""

#: The public exports of real repositories, and the instruments in them.
EXPORTS = {"hsc-rc2-subset-v0.yaml": "HSC", "ci_hsc-subset.yaml": "HSC", "lsstcam-subset.yaml": "LSSTCam"}


@pytest.mark.parametrize("name", list(EXPORTS))
def test_records_are_those_of_the_public_exports(client: Client, place: Place, name: str) -> None:
    repository = make(place, "newest")
    # Only the records: datasets would need files.
    edit = 'text = text.split("- type: collection")[0]'
    ask(client, place, IMPORT.format(resource=f"{RESOURCES}/{name}", edit=edit))
    with reading(repository) as session:
        theirs = {e: load_records(session, e) for e in ("instrument", "physical_filter", "detector")}
    definition = load_definition(EXPORTS[name])
    ours = {
        "instrument": [definition.record()],
        "physical_filter": [f.record() for f in definition.filters],
        "detector": [d.record() for d in definition.detectors],
    }
    for element, records in theirs.items():
        assert records
        # The oldest export comes from a universe without visit systems of instruments.
        known = [{k: v for k, v in record.items() if v is not None} for record in records]
        for record in known:
            assert any(record.items() <= mine.items() for mine in ours[element])
    (plan,) = register_instruments(repository, [definition], update=True)
    assert [c.field for c in plan.changes] == (["visit_system"] if "v0" in name else [])
    assert plan.unchanged == sum(map(len, theirs.values())) - len(plan.changes)


def take_exposures(repository: Repository, visits: list[dict[str, Any]]) -> None:
    """Put in the exposures of visits of the public export, which does not have them.

    Two of them are known to point 0.00764 degrees beside the centre of the region of their visit, which lacks two
    detectors at its edge; so do the others.
    """

    def work(session: Session) -> None:
        for visit in visits:
            centre = LonLat(decoded(visit["region"].hex()).getCentroid())
            row = {n: visit[n] for n in ("instrument", "day_obs", "physical_filter", "id", "seq_num", "exposure_time")}
            row |= {"obs_id": visit["name"], "group": str(visit["id"]), "sky_angle": 270.0}
            row["tracking_ra"] = centre.getLon().asDegrees() + 0.00764
            row["tracking_dec"] = centre.getLat().asDegrees() - 0.00018
            insert_records(session, "group", [{"instrument": "HSC", "name": row["group"]}])
            insert_records(session, "exposure", [row])
            pointing = HSC_POINTINGS.get(visit["id"])
            if pointing is not None:
                assert (row["tracking_ra"], row["tracking_dec"]) == pytest.approx(pointing[:2], abs=1e-3)

    change(repository, "take exposures", work)


def test_regions_of_defined_visits_cover_those_of_the_public_export(client: Client, place: Place) -> None:
    repository = make(place, "newest")
    edit = 'text = text.split("- type: collection")[0]'
    ask(client, place, IMPORT.format(resource=f"{RESOURCES}/ci_hsc-subset.yaml", edit=edit))

    def regions() -> dict[tuple[str, ...], ConvexPolygon]:
        with reading(repository) as session:
            rows = [r for e in ("visit", "visit_detector_region") for r in load_records(session, e)]
        return {(str(r.get("visit", r.get("id"))), str(r.get("detector"))): decoded(r["region"].hex()) for r in rows}

    theirs = regions()
    definition = load_definition("HSC")
    register_instruments(repository, [definition], update=True)
    with reading(repository) as session:
        visits = load_records(session, "visit")
    take_exposures(repository, visits)
    report = define_visits(repository, definition, VisitOptions(update=True))
    assert (report.updated, report.regions, report.conflicts) == (11, 11 * 112, ())
    ours = regions()
    assert len(theirs) == 11 + 33
    for key, region in theirs.items():
        assert ours[key].contains(region.getCentroid()), key
        assert ours[key].encode() != region.encode()
        # What is asked for is 0.9.
        assert shared_area(ours[key], region) > 0.995, key


def test_the_client_sees_a_sky_map_and_its_own_export_of_it_is_the_same(client: Client, place: Place) -> None:
    repository = make(place, "newest")
    register_skymap(repository, CI_HSC)
    program = """
import base64
answer = {
    "hash": [base64.b64encode(r.hash).decode() for r in registry.queryDimensionRecords("skymap")],
    "tracts": len(list(registry.queryDimensionRecords("tract"))),
    "patches": sorted(r.id for r in registry.queryDimensionRecords("patch")),
    "type": [str(t.dimensions) + " " + t.storageClass_name for t in registry.queryDatasetTypes("skyMap")],
    "run": list(registry.queryCollections("skymaps", collectionTypes={CollectionType.RUN})),
    "there": sorted(d["patch"] for d in registry.queryDataIds(["patch", "htm7"], where="htm7 = {0}")),
}
"""
    with reading(repository) as session:
        region = load_records(session, "patch", {"id": 17})[0]["region"]
        pixel = overlap_pixels(region, "htm", 7)[0]
    seen = ask(client, place, program.replace("{0}", str(pixel)))
    assert seen["hash"] == ["Kt7swQ9e5zUif7fo1Onj3ezH+Ts="]
    assert (seen["tracts"], seen["patches"]) == (1, list(range(256)))
    assert 17 in seen["there"]
    assert (seen["type"], seen["run"]) == (["{skymap} SkyMap"], ["skymaps"])
