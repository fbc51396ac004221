"""Dimension records that registrytool writes are those that the client writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.maintain.dependants import delete_records
from registrytool.maintain.record_reading import iter_records
from registrytool.maintain.record_transfer import diff_records, export_records, import_records
from registrytool.maintain.records import insert_records, update_records
from registrytool.maintain.session import change as edit
from registrytool.maintain.session import reading
from registrytool.repository import open_repository
from tests.client.conftest import password_of
from tests.support.registries import assert_clean, make, make_state
from tests.support.twins import record_rows, twin

if TYPE_CHECKING:
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository
    from tests.client.conftest import Client
    from tests.support.equivalence import MakeTwins
    from tests.support.places import Dialect, Place


def copy_records(source: Repository, target: Repository) -> None:
    with reading(source) as session:
        names = [e.name for e in session.universe if e.has_table]
        records = {name: list(iter_records(session, name)) for name in names}

    def work(session: Session) -> None:
        for name, rows in records.items():
            assert insert_records(session, name, rows).inserted == len(rows)

    edit(target, "copy the records", work)


@pytest.mark.parametrize("universe", [0, 2, 8])
def test_records_and_their_overlaps_are_those_that_the_client_wrote(
    client: Client, place: Place, universe: int, tmp_path: Path
) -> None:
    client.make(place, universe=universe)
    source = open_repository(str(place.folder), db=place.url)
    with reading(source) as session:
        state = session.state
    target = make_state(twin(place, tmp_path / "twin"), state)
    copy_records(source, target)
    expected, found = record_rows(source), record_rows(target)
    assert found == expected
    overlaps: list[Any] = [row for name, rows in found.items() if name.endswith("_skypix_overlap") for row in rows]
    assert len(overlaps) > 100


def test_export_files_go_from_one_to_the_other(client: Client, place: Place, tmp_path: Path) -> None:
    client.make(place)
    source = open_repository(str(place.folder), db=place.url)
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    export_records(source, ours)
    client.run("client_records.py", place.folder, "export", theirs, password=password_of(place))
    with reading(source) as session:
        state = session.state
    first = make_state(twin(place, tmp_path / "first"), state)
    import_records(first, theirs)
    assert record_rows(first) == record_rows(source)
    # The client imports into an empty repository of its own, since it would not find the password of the other.
    second = tmp_path / "second"
    client.run("client_records.py", second, "import", ours)
    assert list(diff_records(source, open_repository(str(second)))) == []


def test_files_of_the_oldest_universe_become_what_the_client_makes_of_them(
    client: Client, place: Place, tmp_path: Path
) -> None:
    file = Path(client.run("client_records.py", tmp_path / "theirs", "import-oldest").strip())
    repository = make(place)
    import_records(repository, file)
    differences = list(diff_records(repository, open_repository(str(tmp_path / "theirs"))))
    # The client cannot ask the camera's software when a day begins; registrytool knows it of this camera.
    assert {d.element for d in differences} == {"day_obs"}
    assert all(d.second == {"timespan": None} for d in differences)


def test_changes_are_those_that_the_client_makes(client: Client, place: Place, tmp_path: Path) -> None:
    client.make(place)
    other = tmp_path / "theirs"
    client.run("client_records.py", other, "import", exported(place, tmp_path / "start.yaml"))
    repository = open_repository(str(place.folder), db=place.url)
    with reading(repository) as session:
        region = next(r["region"] for r in iter_records(session, "tract") if r["region"] is not None)
        chosen = next(iter_records(session, "visit", session.table("visit").c.region.is_not(None)))
    key = {n: chosen[n] for n in ("instrument", "id")}
    change = json.dumps({**key, "target_name": "other", "region": region.hex()})
    client.run("client_records.py", other, "change-visit", change)

    def work(session: Session) -> None:
        update_records(session, "visit", [{**key, "target_name": "other", "region": region}])

    edit(repository, "change a visit", work)
    assert list(diff_records(repository, open_repository(str(other)))) == []
    assert overlaps(repository) == overlaps(open_repository(str(other)))
    # The client cannot delete records; it opens what is left, and writes to it.
    edit(repository, "delete", lambda s: delete_records(s, "visit", key, cascade=True))
    client.content(place.folder, password_of(place), then_write=True)
    with reading(repository) as session:
        assert list(iter_records(session, "visit", key)) == []
    assert_clean(repository)


def exported(place: Place, file: Path) -> Path:
    export_records(open_repository(str(place.folder), db=place.url), file)
    return file


def overlaps(repository: Repository) -> dict[str, Any]:
    return {name: rows for name, rows in record_rows(repository).items() if "_skypix_overlap" in name}


RECORD = """
def change(element, where, **values):
    for r in butler.query_dimension_records(element, where=where, explain=False):
        registry.syncDimensionData(element, {**{n: getattr(r, n) for n in r.fields.names}, **values}, update=True)
"""


def test_commands_do_what_the_client_does(twins: MakeTwins, tmp_path: Path) -> None:
    two = twins()
    found = "butler.query_dimension_records('tract', where=\"skymap='rings_v1' AND tract=0\")"
    region = two.client(f"answer = {found}[0].region.encode().hex()")
    purpose = "it's “ü” 100 %"
    two.we("record", "insert", "{repo}", "detector", "instrument=HSC", "id=99", "full_name=new", f"purpose={purpose}")
    two.we("record", "insert", "{repo}", "tract", "skymap=rings_v1", "id=9", f"region={region}")
    span = "2030-01-01T00:00:00/tai--2030-01-02T00:00:00/tai"
    two.we("record", "insert", "{repo}", "day_obs", "instrument=HSC", "id=20300101", f"timespan={span}")
    some = "instrument='HSC' AND exposure.seq_num IN (1, 11)"
    two.we("record", "update", "{repo}", "exposure", "--where", some, "--set", f"target_name={purpose}", "--yes")
    one = ("skymap=rings_v1", "id=1")
    two.we("record", "update", "{repo}", "tract", *one, "--set", f"region={region}", "--yes")
    file = tmp_path / "detector.csv"
    file.write_text(f"instrument,id,full_name,purpose\nHSC,98,other,{purpose}\nHSC,99,again,\n", encoding="utf-8")
    two.we("record", "import", "{repo}", file, "--existing", "replace")
    two.client(f"""{RECORD}
from lsst.sphgeom import Region
region = Region.decode(bytes.fromhex({region!r}))
registry.insertDimensionData("tract", dict(skymap="rings_v1", id=9, region=region))
span = Timespan(time_at(1_893_456_000 * 10**9), time_at(1_893_542_400 * 10**9))
registry.insertDimensionData("day_obs", dict(instrument="HSC", id=20300101, timespan=span))
change("exposure", {some!r}, target_name={purpose!r})
change("tract", "skymap='rings_v1' AND tract=1", region=region)
registry.insertDimensionData("detector", dict(instrument="HSC", id=98, full_name="other", purpose={purpose!r}))
registry.insertDimensionData("detector", dict(instrument="HSC", id=99, full_name="again"), replace=True)
""")
    two.assert_changed()
    two.assert_same()


def test_differences_are_what_the_client_changed(twins: MakeTwins, tmp_path: Path) -> None:
    two = twins()
    two.client(f"""{RECORD}
change("exposure", "instrument='HSC' AND exposure=17010102", target_name=None, dark_time=2.5)
registry.insertDimensionData("detector", dict(instrument="HSC", id=98, full_name="other"))
""")
    done = two.check("--format", "json", "record", "diff", "{repo}", two.theirs.folder)
    found = {d["element"]: d for d in json.loads(done.stdout)["differences"]}
    assert (done.exit_code, set(found)) == (4, {"exposure", "detector"})
    assert found["exposure"]["key"] == {"instrument": "HSC", "id": 17010102}
    assert found["exposure"]["second"] == {"target_name": None, "dark_time": 2.5}
    assert (found["detector"]["first"], found["detector"]["second"]["full_name"]) == (None, "other")
    # What the client makes of our file, in a repository that has nothing, is what it was.
    file = tmp_path / "export.yaml"
    two.we("record", "export", "{repo}", file)
    empty = twins("--empty")
    empty.client(f"butler.import_(filename={str(file)!r})")
    done = two.check("--format", "json", "record", "diff", "{repo}", empty.theirs.folder)
    assert (done.exit_code, json.loads(done.stdout)["differences"]) == (0, [])


def test_after_a_deletion_the_client_sees_what_was_never_there(dialect: Dialect, twins: MakeTwins) -> None:
    two = twins(*({"sqlite": ("--name-key", "--datasets-version", "1.0.0")}.get(dialect, ())))
    two.client_in_ours("""
from lsst.sphgeom import Circle, UnitVector3d, Angle, LonLat
sky = Circle(UnitVector3d(LonLat.fromDegrees(150.2, 2.1)), Angle.fromDegrees(0.3))
new = "Gone's “ü”"
add = registry.insertDimensionData
add("instrument", dict(name=new, class_name="c", detector_max=9, visit_system=0))
add("physical_filter", dict(instrument=new, name="f", band="g"))
add("detector", *(dict(instrument=new, id=i, full_name=f"d{i}") for i in range(3)))
add("group", dict(instrument=new, name="a"))
add("day_obs", dict(instrument=new, id=20300101))
exposure = dict(instrument=new, physical_filter="f", day_obs=20300101, group="a")
add("exposure", *(dict(exposure, id=i, obs_id=str(i)) for i in range(3)))
add("visit_system", dict(instrument=new, id=0, name="one-to-one"))
add("visit", dict(instrument=new, id=1, physical_filter="f", name="v", day_obs=20300101, region=sky))
add("visit_definition", dict(instrument=new, exposure=1, visit=1))
add("visit_system_membership", dict(instrument=new, visit=1, visit_system=0))
add("visit_detector_region", dict(instrument=new, visit=1, detector=1, region=sky))
add("skymap", dict(name="gone", hash=b"x", tract_max=1, patch_nx_max=1, patch_ny_max=1))
add("tract", dict(skymap="gone", id=0, region=sky))
add("patch", dict(skymap="gone", tract=0, id=0, cell_x=0, cell_y=0, region=sky))
for run, name, ids in (
    ("HSC/raw/all", "raw", [dict(instrument=new, exposure=e, detector=1) for e in range(3)]),
    ("u/ann/run/1", "calexp", [dict(instrument=new, visit=1, detector=1)]),
    ("calib/gen-A", "flat", [dict(instrument=new, detector=1, physical_filter="f")]),
    ("coadds/ü/“deep”", "objectTable_tract", [dict(skymap="gone", tract=0)]),
):
    registry.insertDatasets(name, ids, run=run)
butler.put({"a": 1}, "visitSummary", dict(instrument=new, visit=1), run="u/ann/run/1")
registry.associate("u/ann/best", refs("calexp", "u/ann/run/1", "instrument=i AND visit=1", i=new))
registry.certify("HSC/calib", refs("flat", "calib/gen-A", "instrument=i", i=new), Timespan(None, None))
""")
    gone = ("name=Gone's “ü”", "--yes")
    assert two.we_fail("record", "delete", "{repo}", "instrument", *gone) == (
        "Error: Cannot delete 1 record of instrument: others refer to them (1 of day_obs, 3 of detector, 1 of group, "
        "1 of physical_filter, 1 of visit_system, 3 of exposure, 1 of visit, 1 of visit_definition, 1 of "
        "visit_detector_region, 1 of visit_system_membership, 6 of dataset). Delete those first, or all together with "
        "--cascade.\n"
    )
    two.we("record", "delete", "{repo}", "instrument", *gone, "--cascade")
    two.we("record", "delete", "{repo}", "skymap", "name=gone", "--cascade", "--yes")
    two.we("dataset", "trash", "empty", "{repo}", "--yes")
    two.client("butler._datastore.emptyTrash()")
    two.assert_same()
    assert list(two.ours.folder.rglob("*Gone*.yaml")) == []
