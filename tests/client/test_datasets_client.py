"""Claims about datasets and certifications: what registrytool does is what the client does, row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.datastore import store_records
from registrytool.maintain.session import Session, change
from tests.support.maintain_states import bias

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.equivalence import MakeTwins, Twins

each_key = pytest.mark.parametrize("options", [(), ("--name-key", "--datasets-version", "1.0.0")], ids=["new", "old"])

COADDS = "coadds/ü/“deep”"
ODD = 'u/o\'neill "%s" :x ü'


def found_by_us(two: Twins, *words: str) -> list[str]:
    """Return the identifiers that a search finds."""
    done = two.run("--format", "json", "dataset", "find", str(two.ours.folder), *words)
    assert done.exit_code in (0, 4), done.stderr
    answer = json.loads(done.stdout)
    assert answer["count"] == len(answer["datasets"])
    return sorted(d["id"] for d in answer["datasets"])


#: Dataset type, collections, whether the first of each data ID is meant, and the condition.
SEARCHES = (
    ("calexp", ["u/ann/run/1"], False, ""),
    ("calexp", ["u/ann/chain"], True, ""),
    ("calexp", ["u/ann/best", "u/ann/chain"], True, "detector=0 AND instrument='LSSTCam'"),
    ("calexp", ["u/ann/best", "u/ann/run/2"], False, ""),
    ("calexp", ["u/ann/chain"], False, "instrument='HSC' AND visit.exposure_time > 14 AND band IN ('g','r')"),
    ("raw", ["LSSTCam/raw/all"], True, "instrument='LSSTCam' AND exposure.observation_type='science'"),
    (
        "raw",
        ["LSSTCam/raw/all"],
        True,
        "instrument='LSSTCam' AND (NOT (detector IN (1..9:2)) OR exposure.seq_num IN (1))",
    ),
    ("raw", ["LSSTCam/raw/all"], True, "instrument='LSSTCam' AND exposure.target_name = NULL"),
    (
        "raw",
        ["LSSTCam/raw/all"],
        True,
        "instrument='LSSTCam' AND exposure.timespan OVERLAPS (T'2024-01-01', T'2024-03-01')",
    ),
    ("raw", ["LSSTCam/raw/all"], True, "instrument='LSSTCam' AND exposure.timespan.begin > T'2024-04-27 13:54:00'"),
    (
        "raw",
        ["HSC/raw/all"],
        True,
        "instrument='HSC' AND exposure.exposure_time * 2.0 - 1.0 >= exposure.dark_time / 4.0",
    ),
    ("flat", ["calib/gen-A", "calib/gen-B"], False, "instrument='HSC' AND physical_filter='HSC-G'"),
    ("bias", ["calib/defaults"], False, "instrument='HSC'"),
    ("ref_cat", ["skymaps"], True, "htm7 > 200000"),
    # Dates are UTC and days TAI, which are 37 s apart.
    *(
        (
            "raw",
            ["LSSTCam/raw/all"],
            True,
            f"instrument='LSSTCam' AND exposure.timespan OVERLAPS (T'2000-01-01', {end})",
        )
        for end in ("T'2024-01-09 13:53:20'", "T'2024:009:13:53:20'", "T'60318.579398'", "T'unix/1704808400.'")
    ),
    (
        "raw",
        ["HSC/raw/all"],
        True,
        "instrument='HSC' AND exposure.target_name IN ('COSMOS', NULL) AND detector IN (+0)",
    ),
    ("calexp", ["u/ann/best", "u/ann/chain"], False, "calexp.run = 'u/ann/run/2' AND ingest_date > T'1980-01-01'"),
    (
        "bias",
        ["HSC/calib", "LSSTCam/calib"],
        False,
        "bias.collection = 'HSC/calib' AND timespan OVERLAPS T'2024-01-01'",
    ),
    ("bias", ["HSC/calib", "calib/gen-A"], False, "bias.timespan.begin < T'1980-01-01' AND bias.timespan != NULL"),
    ("bias", ["calib/gen-A"], False, "dataset_id != UUID('01a20557-a443-7fa9-aec6-4c866a7a42bf') AND GLOB(run, '*A')"),
    ("camera", ["calib/gen-A"], False, "GLOB(name, 'H*')"),
    ("deepCoadd", [COADDS], True, "skymap='discrete' AND tract=0 AND patch < 3 OR band='g'"),
)


@pytest.mark.slow
@each_key
def test_what_is_found_is_what_the_client_finds(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    wanted = two.client(f"""
# A dataset that is certified twice is found twice by the client.
answer = [
    sorted({{str(r.id) for r in butler.query_datasets(n, c, find_first=f, where=w, explain=False, limit=None)}})
    for n, c, f, w in {SEARCHES!r}
]
""")
    for (name, collections, first, where), ids in zip(SEARCHES, wanted, strict=True):
        words = [
            "-c",
            ",".join(collections),
            *(["--find-first"] if first else []),
            *(["--where", where] if where else []),
        ]
        found = found_by_us(two, name, *words)
        assert found == ids, words
        assert found, words


#: Dataset type, collections, whether the first of each data ID is meant, the condition, the order, and how many.
SORTED = (
    ("calexp", ["u/ann/run/1"], False, "", ["-visit", "detector", "instrument"], None),
    ("calexp", ["u/ann/chain"], True, "", ["visit.exposure_time", "-visit", "detector", "instrument"], 7),
    ("calexp", ["u/ann/best", "u/ann/chain"], True, "instrument='HSC'", ["-detector", "-visit"], 4),
    ("calexp", ["u/ann/run/2"], False, "instrument='HSC'", ["band", "visit.timespan.begin", "-detector"], 3),
    # Of exposures without times, the client says that they begin in 1970 on PostgreSQL, and nothing on SQLite.
    (
        "raw",
        ["LSSTCam/raw/all"],
        True,
        "instrument='LSSTCam' AND exposure.timespan.begin > T'2000-01-01'",
        ["-exposure.timespan.begin", "exposure", "detector"],
        5,
    ),
    ("raw", ["HSC/raw/all"], False, "instrument='HSC' AND detector > 0", ["-detector", "exposure"], 1000),
)


def test_order_and_limits_are_those_of_the_client(twins: MakeTwins) -> None:
    two = twins()
    wanted = two.client(f"""
answer = [
    [
        str(r.id)
        for r in butler.query_datasets(
            n, c, find_first=f, where=w, order_by=[*o], limit=number, explain=False, with_dimension_records=False
        )
    ]
    for n, c, f, w, o, number in {SORTED!r}
]
""")
    for (name, collections, first, where, order, number), ids in zip(SORTED, wanted, strict=True):
        words = [name, "-c", ",".join(collections), "--order-by", ",".join(order)]
        words += [*(["-f"] if first else []), *(["--where", where] if where else [])]
        words += ["--limit", str(number)] if number else []
        done = two.run("--format", "json", "dataset", "find", str(two.ours.folder), *words)
        found = [d["id"] for d in json.loads(done.stdout)["datasets"]]

        assert found == ids != [], words
        assert number is None or len(found) <= number


def test_components_have_no_datasets_of_their_own_as_for_the_client(twins: MakeTwins) -> None:
    two = twins()
    two.client_prepares("""
from lsst.daf.butler import DatasetType
exposure = DatasetType("exp", ("instrument", "visit", "detector"), "ExposureF", universe=butler.dimensions)
registry.registerDatasetType(exposure)
registry.registerRun("exp run")
registry.insertDatasets("exp", [r.dataId for r in refs("calexp", "u/ann/run/1")], run="exp run")
""")
    assert two.client_fails('butler.query_datasets("exp.wcs", "exp run")') == "MissingDatasetTypeError"
    assert two.client_fails('butler.query_datasets("exp.nonsense", "exp run")') == "MissingDatasetTypeError"

    said = two.we_fail("dataset", "find", "{repo}", "exp.wcs", "-c", "exp run")

    assert said == (
        f"Error: 'exp.wcs' is no dataset type of the registry of {two.ours.folder}, but the component wcs of one. "
        "Components are read from datasets of type exp: name that.\n"
    )
    assert two.we_fail("dataset", "find", "{repo}", "nothing.wcs").startswith("Error: There is no dataset type 'noth")
    # A pattern that fits components alone fits nothing, for both.
    assert two.check("dataset", "find", "{repo}", "exp.*", "-c", "exp run").exit_code == 4


def test_a_storage_class_that_is_overridden_finds_the_same_datasets(twins: MakeTwins) -> None:
    two = twins()
    one, other = two.client_in_ours("""
overridden = butler.get_dataset_type("calexp").overrideStorageClass("ArrowTable")
found = [butler.query_datasets(t, "u/ann/run/1", limit=None) for t in ("calexp", overridden)]
answer = [sorted(str(r.id) for r in refs) for refs in found]
""")

    assert found_by_us(two, "calexp", "-c", "u/ann/run/1") == one == other != []
    shown = json.loads(two.check("--format", "json", "dataset", "show", "{repo}", one[0]).stdout)
    assert (shown["dataset_type"], shown["storage_class"]) == ("calexp", "StructuredDataDict")


@each_key
def test_datasets_are_inserted_as_the_client_does(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    file = two.ours.folder.parent / "a file.yaml"
    file.write_text("a: 1", encoding="utf-8")
    uri = file.as_uri()

    def insert(repository: Repository) -> None:
        def work(session: Session) -> None:
            run = ensure_collection(session, ODD, CollectionType.RUN)
            types = load_dataset_types(session)
            insert_datasets(session, types["bias"], run, bias(0, 2, instrument="HSC"))
            insert_datasets(session, types["task_config"], run, [{}])
            (new,) = insert_datasets(session, types["camera"], run, [{"instrument": "HSC"}], ids="data_id_run")
            record = {
                "dataset_id": new,
                "path": uri,
                "formatter": "lsst.daf.butler.formatters.yaml.YamlFormatter",
                "storage_class": "StructuredDataDict",
                "file_size": -1,
            }
            store_records(session, [record])

        change(repository, "insert", work)

    two.act(insert)
    two.client(f"""
run = {ODD!r}
from lsst.daf.butler import FileDataset, DatasetIdGenEnum, DataCoordinate
registry.registerRun(run)
registry.insertDatasets("bias", [dict(instrument="HSC", detector=d) for d in (0, 2)], run=run)
registry.insertDatasets("task_config", [{{}}], run=run)
ref = DatasetRef(
    registry.getDatasetType("camera"), DataCoordinate.standardize(instrument="HSC", universe=butler.dimensions), run,
    id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN,
)
butler.ingest(
    FileDataset(
        {uri!r}, [ref], formatter="lsst.daf.butler.formatters.yaml.YamlFormatter"
    ),
    transfer="direct", record_validation_info=False,
)
""")
    two.assert_changed()
    two.assert_same()


@each_key
def test_datasets_are_removed_as_the_client_does(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    chosen = "refs('visitSummary', 'u/ann/run/1', \"instrument='HSC'\") + refs('bias', 'calib/gen-A')"
    ids = two.client(f"answer = [str(r.id) for r in {chosen}]")
    file = two.ours.folder / "ids"
    file.write_text("# what goes\n" + "\n".join(ids), encoding="utf-8")
    two.we("dataset", "remove", "{repo}", "--ids", file, "--yes", "--empty-trash")
    # What is in the trash of datasets that were removed long ago goes, too.
    two.client(
        f"butler.pruneDatasets({chosen}, purge=True, unstore=True, disassociate=True)\nbutler._datastore.emptyTrash()"
    )
    two.assert_changed()
    two.assert_same(read=True)
    file.unlink()
    stored = {
        place: sorted(str(p.relative_to(place.folder)) for p in place.folder.rglob("*.yaml"))
        for place in (two.ours, two.theirs)
    }
    assert stored[two.ours] == stored[two.theirs]
    outcome = two.we("--format", "json", "dataset", "orphans", "{repo}", "--files")
    assert json.loads(outcome.stdout)["clean"]


def test_datasets_are_pruned_as_the_client_does(twins: MakeTwins) -> None:
    two = twins()
    two.we("dataset", "prune", "{repo}", "-c", "u/ann/best", "calexp", "--disassociate", "u/ann/best", "--yes")
    two.we("dataset", "prune", "{repo}", "skyMap", "--unstore", "--empty-trash", "--yes")
    two.client("""
butler.pruneDatasets(refs("calexp", "u/ann/best"), disassociate=True, tags=["u/ann/best"], unstore=False)
butler.pruneDatasets(refs("skyMap", "skymaps"), disassociate=False, unstore=True)
""")
    two.assert_changed()
    two.assert_same()


def test_copies_are_datasets_of_their_own(twins: MakeTwins) -> None:
    two = twins()
    two.we("dataset", "copy", "{repo}", ODD, "bias", "raw", "-c", "calib/gen-A,HSC/raw/all", "--files", "none")
    two.client(f"""
registry.registerRun({ODD!r})
for name, run in (("bias", "calib/gen-A"), ("raw", "HSC/raw/all")):
    registry.insertDatasets(name, [r.dataId for r in refs(name, run)], run={ODD!r})
""")
    two.assert_changed()
    two.assert_same()


@pytest.mark.parametrize("first", ["original", "copy"])
def test_a_shared_file_lives_as_long_as_a_dataset_uses_it(first: str, twins: MakeTwins) -> None:
    two = twins()
    two.we("dataset", "copy", "{repo}", "copies", "bias", "-c", "calib/gen-A")
    runs = {"original": "calib/gen-A", "copy": "copies"}
    gone, other = runs[first], runs["copy" if first == "original" else "original"]
    # The client takes one of the two away, with its file; then we take the other one.
    program = f"""
butler.pruneDatasets(refs("bias", {gone!r}), purge=True, unstore=True, disassociate=True)
answer = [butler.get(r)["type"] for r in refs("bias", {other!r})]
"""
    assert two._do(two.ours, program) == ["bias"] * 3
    before = list(two.ours.folder.rglob("bias*.yaml"))
    two.we("dataset", "remove", "{repo}", "bias", "-c", other, "--yes", "--empty-trash")
    assert len(before) - len(list(two.ours.folder.rglob("bias*.yaml"))) == 3
    two.we("dataset", "orphans", "{repo}", "--files")


def test_what_was_moved_is_what_it_was(twins: MakeTwins) -> None:
    two = twins()
    program = """
found = refs("visitSummary", ["u/ann/run/1", "new run", "u/ann/best"])
answer = [[str(r.id), str(r.dataId), r.run, butler.get(r)["type"]] for r in found]
answer = [answer, [str(r.id) for r in refs("visitSummary", "u/ann/best")]]
"""
    before = two._do(two.ours, program.replace(', "new run"', ""))
    two.we("dataset", "move", "{repo}", "new run", "visitSummary", "-c", "u/ann/run/1", "--yes")
    after = two._do(two.ours, program)
    assert {row[2] for row in after[0]} == {"new run"}
    assert sorted([i, d, t] for i, d, _, t in after[0]) == sorted([i, d, t] for i, d, _, t in before[0])
    assert after[1] == before[1] != []
    two.we("dataset", "move", "{repo}", "u/ann/run/1", "-c", "new run", "--yes")
    # What is left is the run itself with its summaries, which nobody ever makes smaller.
    two.client("""
registry.registerRun("new run")
data_ids = [r.dataId for r in refs("visitSummary", "u/ann/run/1")]
registry.removeDatasets(registry.insertDatasets("visitSummary", data_ids, run="new run"))
""")
    two.assert_changed()
    two.assert_same()


def test_the_whole_trash_is_emptied_as_the_client_does(twins: MakeTwins) -> None:
    two = twins()
    two.we("dataset", "trash", "empty", "{repo}", "--yes")
    two.client("butler._datastore.emptyTrash()")
    two.assert_changed()
    two.assert_same()
