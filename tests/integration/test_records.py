"""Dimension records, their overlaps with the sky, and what hangs on them, on both databases."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError, RegistryToolError
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.dependants import delete_records, preview_delete
from registrytool.maintain.overlaps import overlap_pixels
from registrytool.maintain.record_query import record_condition
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.record_text import parse_region
from registrytool.maintain.record_transfer import diff_records, export_records, import_records
from registrytool.maintain.record_values import Shape
from registrytool.maintain.records import insert_records, update_records
from registrytool.maintain.session import change, reading
from registrytool.maintain.timespans import ALWAYS, EMPTY, Timespan
from tests.support.registries import assert_clean, make
from tests.support.twins import record_rows, twin

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.maintain.session import Session
    from registrytool.repository import Repository
    from tests.support.places import Place

ODD = 'ö\'d "q" %s :x; DROP'
CIRCLE, OTHER = parse_region("CIRCLE 10 20 0.5"), parse_region("CIRCLE 200 -20 0.7")


def fill(repository: Repository) -> None:
    """Put in an instrument with a visit that has a region."""

    def work(session: Session) -> None:
        insert_records(session, "instrument", [{"name": ODD, "visit_max": 9, "class_name": "a.b"}])
        insert_records(session, "physical_filter", [{"instrument": ODD, "physical_filter": "F r", "band": "r"}])
        insert_records(session, "day_obs", [{"instrument": ODD, "id": 20250101, "timespan": Timespan(5, 7)}])
        insert_records(session, "group", [{"instrument": ODD, "name": "g"}])
        insert_records(session, "detector", [{"instrument": ODD, "id": n, "full_name": f"d{n}"} for n in (1, 2)])
        common = {"instrument": ODD, "physical_filter": "F r", "day_obs": 20250101}
        exposures = [
            {**common, "id": 1, "obs_id": "o%1", "group": "g", "timespan": ALWAYS, "can_see_sky": True},
            {**common, "id": 2, "obs_id": "\\o2", "group": "g", "timespan": EMPTY, "tracking_ra": 0.1 + 0.2},
            {**common, "id": 3, "obs_id": "o3", "group": "g", "timespan": None, "target_name": ""},
        ]
        insert_records(session, "exposure", exposures)
        insert_records(session, "visit", [{**common, "id": 1, "name": "v1", "region": CIRCLE}])
        insert_records(session, "visit_definition", [{"instrument": ODD, "exposure": 1, "visit": 1}])
        region = {"instrument": ODD, "detector": 1, "visit": 1, "region": CIRCLE}
        insert_records(session, "visit_detector_region", [region])
        insert_records(session, "skymap", [{"name": "s", "hash": b"\1\2", "tract_max": 5}])
        insert_records(session, "tract", [{"skymap": "s", "id": 1, "region": None}])

    change(repository, "fill", work)


def pixels(session: Session, element: str, **key: Any) -> list[int]:
    table = session.table(f"{element}_skypix_overlap")
    query = sa.select(table.c.skypix_index).where(*(table.c[n] == v for n, v in key.items()))
    return sorted(session.connection.scalars(query))


def refusal(repository: Repository, element: str, *rows: dict[str, Any], **options: Any) -> str:
    with pytest.raises(RegistryToolError) as caught:
        change(repository, "insert", lambda s: insert_records(s, element, rows, **options))
    return caught.value.message


def test_regions_bring_one_row_for_each_pixel_and_take_them_along(place: Place) -> None:
    repository = make(place)
    fill(repository)
    with reading(repository) as session:
        assert pixels(session, "visit", instrument=ODD, visit=1) == overlap_pixels(CIRCLE)
        summary = session.table("visit_skypix_overlap_summary")
        assert [tuple(r) for r in session.rows(sa.select(summary))] == [("htm", 7, ODD)]
        assert pixels(session, "tract", skymap="s") == []
    key = {"instrument": ODD, "visit": 1}
    done = change(repository, "update", lambda s: update_records(s, "visit", [{**key, "region": OTHER}]))
    assert (done.replaced, done.overlaps) == (1, len(overlap_pixels(OTHER)))
    with reading(repository) as session:
        assert pixels(session, "visit", **key) == overlap_pixels(OTHER)
        assert load_records(session, "visit")[0]["region"] == OTHER
    change(repository, "update", lambda s: update_records(s, "visit", [{**key, "region": None}]))
    change(repository, "delete", lambda s: delete_records(s, "visit", {"visit": 1}, cascade=True))
    with reading(repository) as session:
        assert pixels(session, "visit_detector_region", **key) == []
    assert_clean(repository)


def test_values_come_back_as_they_went_in(place: Place, odd_namespace: str) -> None:
    repository = make(place)
    fill(repository)
    with reading(repository) as session:
        first, second, third = load_records(session, "exposure", {"instrument": ODD})
        assert (first["timespan"], first["can_see_sky"], first["obs_id"]) == (ALWAYS, True, "o%1")
        assert (second["timespan"], second["tracking_ra"]) == (EMPTY, 0.1 + 0.2)
        assert (third["timespan"], third["target_name"]) == (None, "")
        assert load_records(session, "skymap")[0]["hash"] == b"\1\2"
        assert load_records(
            session, "exposure", record_condition(session, "exposure", "band = 'r' AND exposure > 2")
        ) == [third]


def test_what_exists_is_refused_skipped_or_replaced(place: Place) -> None:
    repository = make(place)
    fill(repository)
    row = {"instrument": ODD, "id": 1, "full_name": "d1", "raft": "R"}
    new = {"instrument": ODD, "id": 3, "full_name": "d3"}
    assert refusal(repository, "detector", row, new) == (
        f"Cannot write records of detector: 1 of them exists (instrument={ODD!r}, id=1)."
    )
    skipped = change(repository, "skip", lambda s: insert_records(s, "detector", [row, new], on_conflict="skip"))
    assert (skipped.inserted, skipped.skipped) == (1, 1)
    replaced = change(repository, "replace", lambda s: insert_records(s, "detector", [row, new], on_conflict="replace"))
    assert (replaced.inserted, replaced.replaced, replaced.skipped) == (0, 1, 1)
    with reading(repository) as session:
        assert [r["raft"] for r in load_records(session, "detector")] == ["R", None, None]


def test_bad_records_are_refused_with_a_sentence(place: Place) -> None:
    repository = make(place)
    fill(repository)
    before = record_rows(repository)
    detector = {"instrument": ODD, "id": 7, "full_name": "x"}
    assert refusal(repository, "nothing", {}) == "Universe daf_butler 8 has no dimension element nothing."
    assert refusal(repository, "band", {}) == (
        "The records of band have no table of their own: they follow from those of other elements."
    )
    assert refusal(repository, "detector", detector | {"size": 1}) == (
        "Cannot write records of detector: detector has no field 'size'."
    )
    assert refusal(repository, "detector", detector | {"id": "7"}) == (
        "Cannot write records of detector: detector.id cannot be '7'."
    )
    assert refusal(repository, "detector", detector | {"raft": "r" * 33}) == (
        f"Cannot write records of detector: detector.raft cannot be '{'r' * 33}'."
    )
    assert refusal(repository, "detector", {"instrument": ODD}) == (
        f"Cannot write records of detector: the detector with instrument={ODD!r} has no id."
    )
    assert refusal(repository, "detector", detector | {"instrument": "Nobody"}) == (
        "Cannot write records of detector: they refer to instrument with name='Nobody', which does not exist."
    )
    assert refusal(repository, "detector", detector | {"full_name": "d2"}) == (
        f"Cannot write records of detector: instrument={ODD!r}, full_name='d2' belongs to the one with "
        f"instrument={ODD!r}, id=2 already."
    )
    assert refusal(repository, "detector", detector, detector | {"raft": "a"}) == (
        f"Cannot write records of detector: two rows that differ are for instrument={ODD!r}, id=7."
    )
    assert refusal(repository, "tract", {"skymap": "s", "id": 2, "region": b"nonsense"}) == (
        "Cannot find the pixels that a region overlaps: 8 bytes are not the encoding of a region by lsst-sphgeom."
    )
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "update", lambda s: update_records(s, "detector", [{"instrument": ODD, "id": 9}]))
    assert caught.value.message == f"Cannot update records of detector: there is none with instrument={ODD!r}, id=9."
    assert record_rows(repository) == before


def test_regions_need_sphgeom_and_other_records_do_not(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make(place)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "lsst" or name.startswith("lsst."):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    change(repository, "insert", lambda s: insert_records(s, "skymap", [{"name": "s", "hash": b"x"}]))
    with pytest.raises(ConfigurationError) as caught:
        change(repository, "insert", lambda s: insert_records(s, "tract", [{"skymap": "s", "id": 1, "region": CIRCLE}]))
    assert str(caught.value) == (
        "Cannot write records of tract with regions: that needs the package lsst-sphgeom, which is not installed. "
        "Install it with 'pip install registrytool[sky]'."
    )


def test_delete_shows_dependants_and_cascades_on_demand_only(place: Place) -> None:
    repository = make(place)
    fill(repository)

    def store(session: Session) -> None:
        kind = ensure_dataset_type(session, "raw", ("instrument", "detector", "exposure"), "Exposure")
        run = ensure_collection(session, "r", CollectionType.RUN)
        insert_datasets(session, kind, run, [{"instrument": ODD, "detector": d, "exposure": 1} for d in (1, 2)])

    change(repository, "store", store)
    before = record_rows(repository)
    with reading(repository) as session:
        plan = preview_delete(session, "exposure", {"id": 1})
    assert (plan.records, dict(plan.dependants)) == (1, {"visit_definition": 1, "dataset": 2})
    assert plan.dataset_types == {"raw": 2}
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "delete", lambda s: delete_records(s, "exposure", {"id": 1}))
    assert caught.value.message == (
        "Cannot delete 1 record of exposure: others refer to them (1 of visit_definition, 2 of dataset)."
    )
    assert record_rows(repository) == before
    change(repository, "delete", lambda s: delete_records(s, "instrument", {"name": ODD}, cascade=True))
    after = record_rows(repository)
    assert {name: len(rows) for name, rows in after.items() if rows} == {
        "skymap": 1, "tract": 1, "tract_skypix_overlap_summary": 1, "patch_skypix_overlap_summary": 1,
    }  # fmt: skip
    with reading(repository) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(session.table("dataset"))) == 0
    assert_clean(repository)


@pytest.mark.parametrize("at", ["newest", "w_2020_39"])
def test_the_region_of_a_detector_takes_its_pixels_along(at: str, place: Place) -> None:
    repository = make(place, at)
    name = "ö'd %s"
    overlaps = "visit_detector_region_htm7_overlap" if at == "w_2020_39" else "visit_detector_region_skypix_overlap"
    rows: dict[str, list[dict[str, Any]]] = {
        "instrument": [{"name": name}],
        "physical_filter": [{"instrument": name, "name": "f", "band": "r"}],
        "day_obs": [{"instrument": name, "id": 20250101}],
        "visit_system": [{"instrument": name, "id": 0, "name": "one-to-one"}],
        "detector": [{"instrument": name, "id": n, "full_name": f"d{n}"} for n in (1, 2)],
        "visit": [
            {"instrument": name, "id": 1, "physical_filter": "f", "name": "v", "day_obs": 20250101, "visit_system": 0}
        ],
        "visit_detector_region": [
            {"instrument": name, "detector": n, "visit": 1, "region": region} for n, region in ((1, CIRCLE), (2, OTHER))
        ],
    }

    def work(session: Session) -> None:
        for element, records in rows.items():
            if element in session.universe:
                known = Shape.of(session.universe, element).fields
                insert_records(session, element, [{k: v for k, v in r.items() if k in known} for r in records])

    change(repository, "fill", work)
    change(repository, "delete", lambda s: delete_records(s, "visit_detector_region", {"detector": 1}))
    with reading(repository) as session:
        table = session.table(overlaps)
        found = sorted(session.rows(sa.select(table.c.detector, table.c.visit)))
    assert [tuple(row) for row in found] == [(2, 1)] * len(overlap_pixels(OTHER))
    region = rows["visit_detector_region"][0]
    change(repository, "insert again", lambda s: insert_records(s, "visit_detector_region", [region]))
    assert_clean(repository)


def test_files_carry_all_records_into_another_registry(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    fill(repository)
    file = tmp_path / "all.yaml"
    export_records(repository, file)
    other = make(twin(place, tmp_path / "twin"))
    planned = import_records(other, file, dry_run=True)
    assert [d.second for d in diff_records(repository, other, ["skymap"])] == [None]
    done = import_records(other, file)
    assert [(r.element, r.inserted) for r in done.elements] == [(r.element, r.inserted) for r in planned.elements]
    assert record_rows(other) == record_rows(repository)
    assert list(diff_records(repository, other)) == []
    for suffix in ("csv", "parquet"):
        for element in ("exposure", "visit", "skymap"):
            part = tmp_path / f"{element}.{suffix}"
            export_records(repository, part, [element])
            (again,) = import_records(other, part, on_conflict="replace").elements
            assert (again.inserted, again.replaced) == (0, 0)
            assert again.skipped > 0


def test_wrong_files_are_refused_with_a_sentence_and_change_nothing(place: Place, tmp_path: Path) -> None:
    repository = make(place)
    fill(repository)
    before = record_rows(repository)

    def wrong(name: str, text: str, **options: Any) -> str:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RegistryToolError) as caught:
            import_records(repository, file, **options)
        return caught.value.message.replace(str(tmp_path), "DIR")

    assert wrong("a.txt", "") == "The name of DIR/a.txt does not say what kind of file it is."
    assert wrong("a.yaml", "a: 1") == (
        "Cannot read DIR/a.yaml: it is not an export file of a Butler (KeyError: 'data')."
    )
    assert wrong("detector.csv", "instrument,id\nHSC,x\n") == ("In line 2 of DIR/detector.csv, id cannot be 'x'.")
    assert wrong("detector.csv", "instrument,id\nHSC\n") == (
        "In line 2 of DIR/detector.csv there are not as many values as in the header."
    )
    assert wrong("detector.csv", "instrument,ident\nHSC,1\n") == (
        "Cannot read line 2 of DIR/detector.csv: detector has no field 'ident'."
    )
    assert wrong("x.csv", "name\nHSC\n") == "Universe daf_butler 8 has no dimension element x."
    assert wrong("other.yaml", "universe_namespace: pfs\ndata: []\n") == (
        "The records come from a universe pfs, and the registry has a universe daf_butler."
    )
    # The objects that a file names are not made.
    evil = "data:\n- type: dimension\n  element: skymap\n  records:\n  - !!python/object/apply:os.system ['true']\n"
    assert wrong("evil.yaml", evil).startswith("Cannot read DIR/evil.yaml: it is not an export file of a Butler (")
    assert record_rows(repository) == before
