"""Claims about the live ObsCore table: its rows are those that the client writes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

from registrytool.maintain.attributes import get_attribute
from registrytool.maintain.obscore_table import rebuild_obscore
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import Session, change, reading
from registrytool.state import write_attribute
from registrytool.verify import verify_registry
from tests.support.client_fill import OBSCORE_CONFIG
from tests.support.equivalence import meaning, repository_of, row_differences, tables_of
from tests.support.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.client.conftest import Client
    from tests.support.equivalence import MakeTwins, Twins
    from tests.support.postgres import PostgresServer

TABLE = "obscore_live"
CONFIG = "config:obscore.json"


def in_registry(place: Place, work: Callable[[Session], Any]) -> None:
    """Do something that no Butler does."""
    change(repository_of(place), "spoil a registry", work)


def rebuilt(two: Twins, *words: str) -> tuple[int, ...]:
    """Return how many rows a rebuild would add, change, remove and keep."""
    done = two.run("--format", "json", "obscore", "rebuild", str(two.ours.folder), "--dry-run", *words)
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["dry_run"], answer["table"]) == (True, TABLE)
    return tuple(answer[name] for name in ("inserted", "changed", "removed", "kept"))


def test_rebuilt_rows_are_those_of_the_client(twins: MakeTwins) -> None:
    two = twins("--obscore")
    number = len(tables_of(two.theirs)[TABLE].rows)
    assert number > 100
    # Every row is computed and compared, and none is different: leap seconds and odd regions are among them.
    assert rebuilt(two) == (0, 0, 0, number)

    def spoil(session: Session) -> None:
        table, dataset = session.table(TABLE), session.table("dataset")
        key = table.c.registry_dataset_id
        ids = sorted(session.connection.scalars(table.select().with_only_columns(key)))
        session.execute(table.delete().where(key.in_(ids[:40])))
        session.execute(table.update().where(key.in_(ids[40:50])).values(t_min=1.0, s_region=None))
        others = dataset.select().with_only_columns(dataset.c.id).where(dataset.c.id.not_in(ids)).limit(3)
        rows = [{"registry_dataset_id": i} for i in session.connection.scalars(others)]
        session.execute(table.insert(), rows)

    in_registry(two.ours, spoil)
    assert rebuilt(two, "--missing") == (40, 0, 3, 0)
    assert rebuilt(two) == (40, 10, 3, number - 50)
    done = two.we("obscore", "rebuild", "{repo}")
    assert done.stdout == f"40 rows added to {TABLE}, 10 changed, 3 removed, {number - 50} kept.\n"
    two.assert_same()


def test_rows_follow_datasets_as_with_the_client(twins: MakeTwins) -> None:
    two = twins("--obscore")
    new_ids = {(TABLE, "access_url")}
    # One run that the configuration means, and one that it does not.
    for run in ("u/ann/zz", "elsewhere"):
        two.we("dataset", "copy", "{repo}", run, "calexp", "-c", "u/ann/run/1", "--files", "none")
        two.client(
            f"registry.registerRun({run!r})\n"
            f"registry.insertDatasets('calexp', [r.dataId for r in refs('calexp', 'u/ann/run/1')], run={run!r})"
        )
    two.assert_changed()
    two.assert_same(ignore=new_ids)
    some = "instrument='HSC' AND detector=0"
    two.we("dataset", "remove", "{repo}", "calexp", "-c", "u/ann/zz", "--where", some, "--yes")
    two.client(
        f"butler.pruneDatasets(refs('calexp', 'u/ann/zz', {some!r}), disassociate=True, unstore=True, purge=True)"
    )
    two.assert_same(ignore=new_ids)
    rows = len(tables_of(two.ours)[TABLE].rows)
    two.we("dataset", "move", "{repo}", "nobody/means/it", "calexp", "-c", "u/ann/zz", "--yes")
    assert len(tables_of(two.ours)[TABLE].rows) < rows
    two.we("dataset", "move", "{repo}", "u/ann/zz", "calexp", "-c", "nobody/means/it", "--yes")
    two.we("collection", "remove", "{repo}", "nobody/means/it", "--yes")
    two.assert_same(ignore=new_ids)
    two.we("collection", "remove", "{repo}", "u/ann/zz", "--yes")
    two.client("butler.removeRuns(['u/ann/zz'])")
    two.assert_same(ignore=new_ids)
    assert rebuilt(two)[:3] == (0, 0, 0)


def test_rows_follow_tags_as_with_the_client(twins: MakeTwins) -> None:
    two = twins("--obscore")
    for place in (two.ours, two.theirs):
        with reading(repository_of(place)) as session:
            config = json.loads(get_attribute(session, CONFIG))
        config |= {"collection_type": "TAGGED", "collections": ["u/ann/best"]}

        def change_config(session: Session, text: str = json.dumps(config)) -> None:
            write_attribute(session.connection, session.namespace, CONFIG, text)
            session.execute(session.table(TABLE).delete())

        in_registry(place, change_config)
    two.we("collection", "associate", "{repo}", "u/ann/best", "--dataset-type", "raw", "-c", "HSC/raw/all")
    two.client(
        "def full(found): return [r.expanded(registry.expandDataId(r.dataId)) for r in found]\n"
        "registry.associate('u/ann/best', full(refs('raw', 'HSC/raw/all')))\n"
        # Those that were in it before, as well: the table was emptied.
        "registry.associate('u/ann/best', full(refs('calexp', 'u/ann/best')))"
    )
    assert tables_of(two.ours)[TABLE].rows
    two.assert_same()
    some = "instrument='HSC' AND detector=0"
    two.we("collection", "disassociate", "{repo}", "u/ann/best", "--dataset-type", "raw", "--where", some, "--yes")
    two.client(f"registry.disassociate('u/ann/best', refs('raw', 'u/ann/best', {some!r}))")
    two.assert_same()
    some = "instrument='HSC' AND detector=1"
    chosen = ("-c", "u/ann/best", "--disassociate", "u/ann/best")
    two.we("dataset", "prune", "{repo}", "raw", *chosen, "--where", some, "--yes")
    two.client(f"butler.pruneDatasets(refs('raw', 'u/ann/best', {some!r}), disassociate=True, tags=['u/ann/best'])")
    two.assert_same()
    assert rebuilt(two)[:3] == (0, 0, 0)


#: Two exposures of which no visit is defined, with raws.
NEW_EXPOSURES = """
old = registry.queryDimensionRecords("exposure", where="instrument='HSC' AND exposure.seq_num=1").__iter__().__next__()
old = {n: getattr(old, n) for n in old.fields.names} | {"physical_filter": "HSC-R", "seq_start": 5, "seq_end": 5}
old |= {"tracking_ra": 10.0, "tracking_dec": -5.0, "sky_angle": 30.0}
for number in (900001, 900002):
    registry.insertDimensionData("group", dict(instrument="HSC", name=f"g{number}"))
    own = {"id": number, "obs_id": f"o{number}", "group": f"g{number}", "seq_num": number, "target_name": "there"}
    registry.insertDimensionData("exposure", {**old, **own})
    ids = [dict(instrument="HSC", exposure=number, detector=d) for d in (0, 1)]
    registry.insertDatasets("raw", ids, run="HSC/raw/all")
"""
#: What its task for visits does with records that are made already.
DEFINE_VISITS = """
source = Butler.from_config({ours!r})
def take(element, where):
    records = source.registry.queryDimensionRecords(element, where=where)
    registry.insertDimensionData(element, *records, replace=True)
    return [(r.visit, r.detector, r.region) for r in records if element == "visit_detector_region"]
with butler.transaction():
    take("exposure", "instrument='HSC' AND exposure IN (900001..900002)")
    for element in ("visit", "visit_definition", "visit_system_membership", "visit_detector_region"):
        regions = take(element, "instrument='HSC' AND visit IN (900001..900002)")
    answer = registry.obsCoreTableManager.update_exposure_regions("HSC", regions)
"""


def test_rows_get_the_regions_of_visits_as_with_the_client(twins: MakeTwins) -> None:
    two = twins("--obscore")
    two.client_prepares(NEW_EXPOSURES)
    define = ("visit", "define", "{repo}", "HSC", "--system", "one-to-one", "--where", "exposure IN (900001..900002)")

    def compare() -> None:
        number = two.client(DEFINE_VISITS.format(ours=str(two.ours.folder)))
        assert number == 4
        two.assert_same(ignore={(TABLE, "access_url")})
        assert rebuilt(two)[:3] == (0, 0, 0)

    def regions() -> set[str]:
        rows = tables_of(two.ours)[TABLE].of(["s_region", "lsst_exposure"])
        return {str(region) for region, exposure in rows if exposure in (900001, 900002)}

    assert regions() == {"None"}
    two.we(*define)
    first = regions()
    assert len(first) == 2
    compare()
    # The client's task changes the regions of a visit that has become another one, and no other column.
    two.we("record", "update", "{repo}", "exposure", "id=900002", "--set", "tracking_ra=11", "--yes")
    two.we(*define, "--update")
    assert len(regions()) == 4
    compare()
    one = ("instrument=HSC", "visit=900002", "detector=1")
    region = "CIRCLE 11 -5 0.5"
    two.we("record", "update", "{repo}", "visit_detector_region", *one, "--set", f"region={region}", "--yes")
    # Of what is no polygon the client makes no columns; where some were, it leaves them.
    assert "None" in regions()
    assert rebuilt(two)[:3] == (0, 0, 0)


def test_rows_follow_the_records_that_they_show(twins: MakeTwins, tmp_path: Path) -> None:
    two = twins("--obscore")
    two.client_prepares(NEW_EXPOSURES)
    with reading(repository_of(two.ours)) as session:
        visit_id = load_records(session, "visit_definition", {"instrument": "HSC"})[0]["visit"]
    visit, region = f"visit={visit_id}", "region=POLYGON 9 -5 10 -5 10 -4"
    table = tmp_path / "exposure.csv"
    two.we(
        "record", "export", "{repo}", table, "exposure", "--where", "instrument='HSC' AND exposure IN (900001..900002)"
    )
    table.write_text(table.read_text(encoding="utf-8").replace("there", "elsewhere"), encoding="utf-8")
    camera = tmp_path / "camera.yaml"
    two.we("record", "update", "{repo}", "instrument", "name=HSC", "--set", "exposure_max=30000000", "--yes")
    camera.write_text(two.we("instrument", "export", "{repo}", "HSC").stdout.replace("band: r", "band: i"))
    record, hsc = ("record", "update", "{repo}"), "instrument=HSC"
    for words in (
        (*record, "exposure", hsc, "--set", "target_name=it's", "--yes"),
        (*record, "visit", hsc, f"id={visit_id}", "--set", "exposure_time=7.5", "--yes"),
        (*record, "physical_filter", hsc, "name=HSC-R2", "--set", "band=g", "--yes"),
        (*record, "visit_detector_region", hsc, visit, "--set", region, "--yes"),
        ("record", "import", "{repo}", table, "--existing", "replace"),
        ("instrument", "update", "{repo}", camera),
        ("record", "delete", "{repo}", "visit_detector_region", hsc, visit, "detector=1", "--yes"),
        ("record", "insert", "{repo}", "visit_detector_region", hsc, visit, "detector=1", region),
        ("record", "delete", "{repo}", "visit_definition", hsc, visit, "--yes"),
        ("record", "insert", "{repo}", "visit_definition", hsc, visit, "exposure=900001"),
        ("record", "delete", "{repo}", "visit", hsc, f"id={visit_id}", "--cascade", "--yes"),
    ):
        before = tables_of(two.ours)[TABLE].rows
        two.we(*words)
        assert sorted(map(repr, tables_of(two.ours)[TABLE].rows)) != sorted(map(repr, before)), words
        assert rebuilt(two)[:3] == (0, 0, 0), words


@pytest.mark.parametrize(
    ("field", "template", "reason"),
    [
        ("obs_publisher_did_fmt", "{nothing}", "there is no nothing"),
        ("obs_publisher_did_fmt", "{run.__class__}", "it uses run.__class__, which is no field"),
        ("lsst_visit", "{run}", "invalid literal for int() with base 10: 'u/ann/run/1'"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(field: str, template: str, reason: str, twins: MakeTwins) -> None:
    two = twins("--obscore")
    with reading(repository_of(two.ours)) as session:
        config = json.loads(get_attribute(session, CONFIG))
    if field in config["extra_columns"]:
        config["extra_columns"][field]["template"] = template
    else:
        config[field] = template

    def work(session: Session) -> None:
        write_attribute(session.connection, session.namespace, CONFIG, json.dumps(config))

    in_registry(two.ours, work)
    said = two.we_fail("obscore", "rebuild", "{repo}")
    assert f"The ObsCore template {template!r} does not fit datasets of type 'calexp': {reason}." in said


def test_a_table_made_later_is_that_of_the_client(twins: MakeTwins) -> None:
    two, wanted = twins(), twins("--obscore")
    config = two.ours.folder.parent / "obscore.yaml"
    less = {n: v for n, v in OBSCORE_CONFIG.items() if n != "indices"} | {"extra_columns": {}, "version": 7}
    for command, content in (("enable", less), ("configure", OBSCORE_CONFIG)):
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        two.we("obscore", command, "{repo}", config, "--no-backup", "--yes")
    two.we("obscore", "rebuild", "{repo}")
    two.we("obscore", "check", "{repo}")
    found, expected = (meaning(tables_of(place)) for place in (two.ours, wanted.theirs))
    assert row_differences({TABLE: found[TABLE]}, {TABLE: expected[TABLE]}) == []
    for program in (
        "answer = sorted(c.name for c in butler._registry.obsCoreTableManager.table.columns)",
        f"""
from lsst.daf.butler.registry.obscore._config import ObsCoreManagerConfig as Config
text = butler._registry._managers.attributes.get({CONFIG!r})
answer = Config.model_validate_json(text).model_dump(mode="json")
""",
    ):
        assert two.client_in_ours(program) == wanted.client(program)


@pytest.mark.postgresql
def test_columns_of_pgsphere_are_those_of_the_client(postgres: PostgresServer, client: Client, tmp_path: Path) -> None:
    url = postgres.new_database()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.scalar(sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_sphere'")):
            pytest.skip("the PostgreSQL server has no extension pg_sphere (Debian: postgresql-15-pgsphere)")
        connection.execute(sa.text("CREATE EXTENSION pg_sphere"))
    engine.dispose()
    place = Place("postgresql", url, "sky", tmp_path / "repo")
    client.make(place, "--obscore", "--pgsphere")
    repository = repository_of(place)
    assert [str(d) for d in verify_registry(repository).differences] == []
    before = tables_of(place)[TABLE]
    assert {"s_ra", "on the sky", "pgsphere_region"} <= set(before.columns)
    in_registry(place, lambda session: session.execute(session.table(TABLE).delete()))
    report = rebuild_obscore(repository)
    assert report.inserted == len(before.rows) > 100
    assert Counter(map(repr, tables_of(place)[TABLE].rows)) == Counter(map(repr, before.rows))
