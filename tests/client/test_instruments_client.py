"""The newest client opens a repository with all instruments, and finds and stores things of each of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.create import CreateOptions, create_repository
from registrytool.instruments.definition import bundled_definitions, load_definition, universe_file
from registrytool.instruments.register import register_instruments
from registrytool.instruments.skymap import register_skymap
from registrytool.maintain.overlaps import overlap_pixels
from registrytool.maintain.records import insert_records, load_records
from registrytool.maintain.session import Session, change, reading
from registrytool.repository import open_repository
from tests.client.conftest import password_of
from tests.support.registries import make
from tests.unit.instruments.test_skymap_geometry import CI_HSC

if TYPE_CHECKING:
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
dimensions = ["instrument", "detector", "physical_filter"]
kind = DatasetType("note", dimensions, "StructuredDataDict", universe=butler.dimensions)
registry.registerDatasetType(kind)
registry.registerRun("u/test/notes")
answer = {}
for record in registry.queryDimensionRecords("instrument"):
    name = record.name
    detector = min(r.id for r in registry.queryDimensionRecords("detector", instrument=name))
    chosen = sorted(r.name for r in registry.queryDimensionRecords("physical_filter", instrument=name))[0]
    butler.put({"of": name}, "note", instrument=name, detector=detector, physical_filter=chosen, run="u/test/notes")
    answer[name] = butler.get(
        "note", instrument=name, detector=detector, physical_filter=chosen, collections="u/test/notes"
    )["of"]
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
    assert ask(client, place, STORE) == {d.name: d.name for d in instruments}


def test_the_client_works_with_an_instrument_of_another_universe(client: Client, place: Place) -> None:
    create_repository(place.folder, CreateOptions(place.url, place.namespace, ("newest",), universe_file("pfs")))
    repository = open_repository(str(place.folder), db=place.url)
    register_instruments(repository, definitions("pfs"))
    assert ask(client, place, STORE) == {"PFS": "PFS"}
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


def test_the_client_sees_a_sky_map_and_its_own_export_of_it_is_the_same(client: Client, place: Place) -> None:
    repository = make(place, "newest")
    register_skymap(repository, CI_HSC)
    program = """
import base64
answer = {
    "hash": [base64.b64encode(r.hash).decode() for r in registry.queryDimensionRecords("skymap")],
    "tracts": len(list(registry.queryDimensionRecords("tract"))),
    "patches": sorted(r.id for r in registry.queryDimensionRecords("patch")),
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
