"""What single steps do with data, and what they refuse."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Range

from registrytool.catalog import parse_json
from registrytool.database import Database
from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.executor import ConnectionExecutor
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.models import DatasetTables, DynamicContent
from registrytool.reshape import create_table
from registrytool.state import read_attributes, write_attribute
from registrytool.universe import docs, with_docs
from registrytool.verify import verify_registry
from tests.support.content_states import CATALOG
from tests.support.instants import INSTANTS, tai_ns, text
from tests.support.registries import assert_clean, make, migrate
from tests.support.rows import read_content

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

Rows = dict[str, list[dict[str, Any]]]

NS = 1_000_000_000
DAY = 86_400 * NS


def make_with(place: Place, release: str, rows: Rows) -> Repository:
    """Make a registry with rows."""
    repository = make(place, release)
    database = Database.of(repository)
    tags = DatasetTables("dataset_tags_00000000", "tags", ())
    dynamic = DynamicContent((tags,) if "dataset_type" in rows else ())
    with database.write("insert") as connection:
        state = CATALOG.releases.find(release).state
        metadata = CATALOG.metadata(state, database.dialect, dynamic, namespace=database.namespace)
        tables = {table.name: table for table in metadata.tables.values()}
        if dynamic.dataset_tables:
            create_table(tables[tags.name], database.dialect, ConnectionExecutor(connection))
        for name, items in rows.items():
            for row in items:
                connection.execute(sa.insert(tables[name]), row)
    return repository


def refuse(repository: Repository, *targets: str, **settings: str) -> str:
    """Return the sentence by which a migration is refused, losses not being accepted."""
    before = read_content(repository)
    with pytest.raises((RegistryStateError, ConfigurationError)) as caught:
        apply_migration(repository, MigrateOptions(targets=targets, settings=settings, backup=False))
    assert read_content(repository) == before
    return caught.value.message


def timespan(place: Place, begin: int, end: int) -> dict[str, Any]:
    """Return the values of the columns of a timespan."""
    if place.dialect == "sqlite":
        return {"timespan_begin": begin, "timespan_end": end}
    return {"timespan": Range(begin, end)}


def written(place: Place, begin: int, end: int) -> tuple[object, ...]:
    """Return what `read_content` gives for a timespan."""
    return (begin, end) if place.dialect == "sqlite" else (f"[{begin}, {end})",)


def span_columns(place: Place) -> tuple[str, ...]:
    return ("timespan_begin", "timespan_end") if place.dialect == "sqlite" else ("timespan",)


# -- datasets 2.0.0 -----------------------------------------------------------


def datasets(dates: list[Any]) -> Rows:
    return {
        "collection": [{"collection_id": 1, "name": "run", "type": 1}],
        "run": [{"collection_id": 1}],
        "dataset_type": [
            {
                "id": 1,
                "name": "t",
                "storage_class": "s",
                "dimensions_key": 0,
                "tag_association_table": "dataset_tags_00000000",
            }
        ],
        "dataset": [
            {"id": uuid.UUID(int=i), "dataset_type_id": 1, "run_id": 1, "ingest_date": d} for i, d in enumerate(dates)
        ],
    }


def test_ingest_dates_are_exact_around_every_leap_second_and_come_back(place: Place) -> None:
    moments = [datetime.datetime.fromisoformat(utc) for utc in INSTANTS]
    repository = make_with(place, "w_2024_13", datasets(moments))

    migrate(repository, "datasets=2.0.0")
    found = read_content(repository)["dataset"].of(["id", "ingest_date"])
    assert [date for _, date in found] == [tai_ns(utc) for utc in INSTANTS]

    migrate(repository, "datasets=1.0.0")
    found = read_content(repository)["dataset"].of(["id", "ingest_date"])
    assert [date for _, date in found] == ([text(m) for m in moments] if place.dialect == "sqlite" else moments)


def test_nanoseconds_of_ingest_dates_are_lost_only_if_that_is_accepted(place: Place) -> None:
    repository = make_with(place, "w_2026_43", datasets([1_600_000_037 * NS + 1, 1_600_000_037 * NS]))
    assert refuse(repository, "datasets=1.0.0") == (
        "The step datasets ByDimensionsDatasetRecordStorageManagerUUID 2.0.0 -> 1.0.0 would lose the nanoseconds of "
        "the ingest dates of 1 datasets."
    )
    migrate(repository, "datasets=1.0.0")
    wanted = datetime.datetime(2020, 9, 13, 12, 26, 40)  # noqa: DTZ001 (as the column)
    found = {date for (date,) in read_content(repository)["dataset"].of(["ingest_date"])}
    assert found == {text(wanted) if place.dialect == "sqlite" else wanted}


# -- dimensions 6.0.2 ---------------------------------------------------------


def visit_without_filter(place: Place) -> Repository:
    rows: Rows = {
        "instrument": [{"name": "I"}],
        "physical_filter": [{"instrument": "I", "name": "f", "band": "r"}],
        "visit_system": [{"instrument": "I", "id": 0, "name": "one"}],
        "visit": [{"instrument": "I", "id": 7, "name": "v", "visit_system": 0, "day_obs": 20200101}],
    }
    return make_with(place, "w_2021_38", rows)


def test_visits_without_a_filter_get_the_one_that_is_named(place: Place) -> None:
    repository = visit_without_filter(place)
    sentence = "1 records of visit have no physical_filter, the first one is (I, 7)."
    assert refuse(repository, "dimensions=6.0.2") == sentence

    migrate(repository, "dimensions=6.0.2", null_filter_value="f")

    assert read_content(repository)["visit"].of(["physical_filter"]) == [("f",)]
    assert_clean(repository)


def test_a_filter_that_the_instrument_does_not_have_is_refused(place: Place) -> None:
    repository = visit_without_filter(place)
    assert refuse(repository, "dimensions=6.0.2", null_filter_value="{ghost}") == (
        "1 visits without a filter are of an instrument that does not have the one named, the first one is (I, 7)."
    )


# -- universe 2 ---------------------------------------------------------------


def two_visit_systems() -> Rows:
    """Return three exposures, which two visit systems make into visits: one by one, and all together."""
    result: Rows = {
        "instrument": [{"name": "LATISS"}, {"name": "HSC"}],
        "physical_filter": [{"instrument": "LATISS", "name": "f", "band": "r"}],
        "visit_system": [{"instrument": "LATISS", "id": i, "name": f"s{i}"} for i in (0, 1)],
        "exposure": [
            {"instrument": "LATISS", "id": i, "obs_id": f"e{i}", "physical_filter": "f", "seq_num": 10 + i}
            for i in (1, 2, 3)
        ],
        "visit": [
            {"instrument": "LATISS", "id": i, "name": f"v{i}", "physical_filter": "f", "visit_system": system}
            for i, system in ((1, 0), (2, 0), (3, 0), (100, 1), (200, 1))
        ],
        "visit_definition": [
            {"instrument": "LATISS", "visit_system": system, "exposure": e, "visit": v}
            for system, e, v in ((0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 100), (1, 2, 100), (1, 3, 3))
        ],
    }
    return result


def test_universe_2_needs_to_be_told_whether_exposures_are_simulated(place: Place) -> None:
    repository = make_with(place, "w_2022_20", two_visit_systems())
    step = "The step dimensions-config daf_butler 1 -> 2"
    assert refuse(repository, "dimensions-config=2") == (
        f"{step} needs the option has_simulated: Whether the exposures have simulated signal: 0 or 1."
    )
    assert refuse(repository, "dimensions-config=2", has_simulated="yes") == (
        "The option has_simulated of the step dimensions-config daf_butler 1 -> 2 cannot be 'yes'."
    )


def test_universe_2_keeps_which_visit_belongs_to_which_systems(place: Place) -> None:
    repository = make_with(place, "w_2022_20", two_visit_systems())
    migrate(repository, "dimensions-config=2", has_simulated="1")
    assert_clean(repository)
    content = read_content(repository)
    assert content["visit_definition"].of(["exposure", "visit"]) == sorted(
        [(1, 1), (2, 2), (3, 3), (1, 100), (2, 100)], key=repr
    )
    # Visit 3 was used by a system that it did not name; visit 200 has no exposure.
    assert content["visit_system_membership"].of(["visit_system", "visit"]) == sorted(
        [(0, 1), (0, 2), (0, 3), (1, 3), (1, 100), (1, 200)], key=repr
    )
    assert content["visit"].of(["id", "seq_num"]) == sorted(
        [(1, 11), (2, 12), (3, 13), (100, 11), (200, None)], key=repr
    )
    assert content["exposure"].of(["id", "seq_start", "seq_end", "azimuth"]) == [
        (i, 10 + i, 10 + i, None) for i in (1, 2, 3)
    ]
    assert {bool(v) for (v,) in content["exposure"].of(["has_simulated"])} == {True}
    assert content["instrument"].of(["name", "visit_system"]) == [("HSC", 0), ("LATISS", 2)]


# -- going back to shorter strings --------------------------------------------


def test_observation_reasons_that_are_too_long_are_refused(place: Place) -> None:
    rows: Rows = {
        "instrument": [{"name": "I"}],
        "physical_filter": [{"instrument": "I", "name": "f", "band": "r"}],
        "exposure": [
            {"instrument": "I", "id": 1, "obs_id": "e", "physical_filter": "f", "observation_reason": "ü" * n}
            for n in (33,)
        ],
    }
    repository = make_with(place, "w_2022_49", rows)
    assert refuse(repository, "dimensions-config=2") == (
        "1 records of exposure have an observation reason of more than 32 characters, the first one is (I, 1)."
    )


def test_instruments_with_long_names_are_refused(place: Place) -> None:
    repository = make_with(place, "w_2024_07", {"instrument": [{"name": "ü" * 16}, {"name": "ü" * 17}]})
    assert refuse(repository, "dimensions-config=4") == (
        f"1 instruments have names of more than 16 characters, the first one is {'ü' * 17}."
    )


# -- universe 6 ---------------------------------------------------------------


def observations(place: Place, instrument: str = "LATISS") -> Rows:
    noon = 1_704_110_400 * NS  # 2024-01-01 12:00 TAI
    return {
        "instrument": [{"name": instrument}],
        "physical_filter": [{"instrument": instrument, "name": "f", "band": "r"}],
        "exposure": [
            {
                "instrument": instrument,
                "id": i,
                "obs_id": f"e{i}",
                "physical_filter": "f",
                "group_name": f"g{i // 2}",
                "group_id": i,
                "day_obs": 20240101,
            }
            for i in (1, 2, 3)
        ],
        "visit": [
            # of exposure 1; without exposures, before noon of the next day; with a day of its own
            {"instrument": instrument, "id": 1, "name": "v1", "physical_filter": "f"},
            {
                "instrument": instrument,
                "id": 2,
                "name": "v2",
                "physical_filter": "f",
                **timespan(place, noon + DAY - 1, noon + DAY),
            },
            {"instrument": instrument, "id": 3, "name": "v3", "physical_filter": "f", "day_obs": 20240103},
        ],
        "visit_definition": [{"instrument": instrument, "exposure": 1, "visit": 1}],
    }


def test_universe_6_makes_records_of_groups_and_of_days_with_their_timespans(place: Place) -> None:
    repository = make_with(place, "w_2024_07", observations(place))
    migrate(repository, "dimensions-config=6")
    assert_clean(repository)
    content = read_content(repository)
    assert content["group"].of(["instrument", "name"]) == [("LATISS", "g0"), ("LATISS", "g1")]
    assert content["exposure"].of(["id", "group", "day_obs"]) == [
        (1, "g0", 20240101),
        (2, "g1", 20240101),
        (3, "g1", 20240101),
    ]
    assert content["visit"].of(["id", "day_obs"]) == [(1, 20240101), (2, 20240101), (3, 20240103)]
    noon = 1_704_110_400 * NS
    assert content["day_obs"].of(["id", *span_columns(place)]) == [
        (20240101, *written(place, noon, noon + DAY)),
        (20240103, *written(place, noon + 2 * DAY, noon + 3 * DAY)),
    ]


def test_days_of_an_unknown_instrument_are_asked_for_and_can_be_set(place: Place) -> None:
    repository = make_with(place, "w_2024_07", observations(place, "mine"))
    assert (
        refuse(repository, "dimensions-config=6") == "1 records of visit have no day_obs, the first one is (mine, 2)."
    )

    migrate(repository, "dimensions-config=6", day_obs_offset="mine:43200")

    content = read_content(repository)
    assert content["visit"].of(["id", "day_obs"]) == [(1, 20240101), (2, 20240101), (3, 20240103)]
    noon = 1_704_110_400 * NS
    assert (20240101, *written(place, noon, noon + DAY)) in content["day_obs"].of(["id", *span_columns(place)])


@pytest.mark.parametrize("column", ["group_name", "day_obs"])
def test_exposures_without_group_or_day_are_refused(column: str, place: Place) -> None:
    rows = observations(place)
    del rows["exposure"][2][column]
    repository = make_with(place, "w_2024_07", rows)
    sentence = f"1 records of exposure have no {column}, the first one is (LATISS, 3)."
    assert refuse(repository, "dimensions-config=6") == sentence


def test_groups_days_and_timespans_are_lost_only_if_that_is_accepted(place: Place) -> None:
    repository = make_with(place, "w_2024_07", observations(place))
    migrate(repository, "dimensions-config=6")
    database = Database.of(repository)

    def change(*statements: str) -> None:
        with database.write("change") as connection:
            schema = (
                connection.dialect.identifier_preparer.quote(database.namespace) + "." if database.namespace else ""
            )
            for statement in statements:
                connection.execute(sa.text(statement.format(schema)))

    step = "The step dimensions-config daf_butler 6 -> 5 would lose"
    change("""INSERT INTO {}"group" (instrument, name) VALUES ('LATISS', 'lonely')""")
    sentence = f"{step} 1 groups that have no exposure, the first one is (LATISS, lonely)."
    assert refuse(repository, "dimensions-config=5") == sentence
    change("""DELETE FROM {}"group" WHERE name = 'lonely'""")
    change("INSERT INTO {}day_obs (instrument, id) VALUES ('LATISS', 20250101)")
    sentence = f"{step} 1 observing days without exposures and visits, the first one is (LATISS, 20250101)."
    assert refuse(repository, "dimensions-config=5") == sentence
    change("DELETE FROM {}day_obs WHERE id = 20250101")
    empty = ", ".join(f"{c} = NULL" for c in span_columns(place))
    change(f"UPDATE {{}}day_obs SET {empty} WHERE id = 20240103")
    assert refuse(repository, "dimensions-config=5") == (
        f"{step} the timespans of 1 observing days, which do not follow from the offset of their instrument, the first "
        "one is (LATISS, 20240103)."
    )
    migrate(repository, "dimensions-config=5")
    assert_clean(repository)


# -- universe 7 and 8 ---------------------------------------------------------


def test_universe_7_knows_which_observations_see_the_sky(place: Place) -> None:
    kinds = ("science", "sky flat", "dark", "dome flat", "test", None)
    rows = observations(place)
    rows["exposure"] = [
        {**rows["exposure"][0], "id": i, "obs_id": f"e{i}", "observation_type": kind} for i, kind in enumerate(kinds, 1)
    ]
    repository = make_with(place, "w_2024_07", rows)
    migrate(repository, "dimensions-config=7")
    found = [value if value is None else bool(value) for _, value in _sky(repository)]
    assert found == [True, True, False, False, None, None]

    with Database.of(repository).write("change") as connection:
        schema = f"{repository.namespace}." if repository.namespace else ""
        connection.execute(sa.text(f"UPDATE {schema}exposure SET can_see_sky = :v WHERE id = 5").bindparams(v=True))
    assert refuse(repository, "dimensions-config=6") == (
        "The step dimensions-config daf_butler 7 -> 6 would lose what 1 exposures say of can_see_sky, the first one is "
        "(LATISS, 5)."
    )


def _sky(repository: Repository) -> list[tuple[Any, ...]]:
    return read_content(repository)["exposure"].of(["id", "can_see_sky"])


def test_records_of_solar_system_dimensions_are_lost_only_if_that_is_accepted(place: Place) -> None:
    repository = make_with(place, "w_2026_43", {"ssp_hypothesis_table": [{"name": "h"}]})
    step = "The step dimensions-config daf_butler 8 -> 7 would lose"
    assert refuse(repository, "dimensions-config=7") == f"{step} 1 records of ssp_hypothesis_table."


# -- the universe itself ------------------------------------------------------


def universe_of(repository: Repository) -> dict[str, Any]:
    with Database.of(repository).read() as connection:
        attributes = read_attributes(connection, repository.namespace)
    return parse_json(attributes["config:dimensions.json"], "the universe")


def set_universe(repository: Repository, config: dict[str, Any]) -> None:
    with Database.of(repository).write("change") as connection:
        write_attribute(connection, repository.namespace, "config:dimensions.json", json.dumps(config))


def test_documentation_strings_of_a_registry_are_kept_and_come_back(place: Place) -> None:
    repository = make(place)
    config = universe_of(repository)
    mine = with_docs(config, {path: f"mine: {path}" for path, _ in docs(config)})
    set_universe(repository, mine)

    migrate(repository, "dimensions-config=5")
    assert all(text_.startswith("mine: ") for path, text_ in docs(universe_of(repository)) if path in dict(docs(mine)))
    migrate(repository, "newest")

    assert universe_of(repository) == mine


def test_a_universe_that_was_modified_is_not_migrated(place: Place) -> None:
    repository = make(place, "w_2025_21")
    config = universe_of(repository)
    # Something that decides nothing about tables, so that there is no other reason.
    config["elements"]["detector"]["populated_by"] = "visit"
    set_universe(repository, config)

    verification = verify_registry(repository)
    assert verification.differences == ()
    assert verification.notes == (
        "the dimension universe is not daf_butler 7 as released: its configuration was modified",
    )
    assert refuse(repository, "newest") == (
        "The dimension universe of this registry says that it is daf_butler 7, but its configuration was modified."
    )
