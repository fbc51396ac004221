"""Claims about putting datasets and file records into a registry, on each state that keeps them in another way."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.maintain.collections import load_collections
from registrytool.maintain.datasets import dataset_id, insert_datasets, uuid7
from registrytool.maintain.datastore import records_table, store_records
from registrytool.maintain.session import Session, change, reading
from registrytool.maintain.summaries import ensure_summaries
from tests.support.maintain_states import INSTRUMENT, RUN, STATES, add, bias, counts, fill, types
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

pytestmark = pytest.mark.usefixtures("odd_namespace")


@pytest.fixture(params=STATES)
def repository(request: pytest.FixtureRequest, place: Place) -> Repository:
    """Return a registry in one of the states, with records, dataset types and collections."""
    found = make(place, *STATES[request.param])
    fill(found)
    return found


@pytest.fixture
def newest(place: Place) -> Repository:
    """Return a registry of the newest state."""
    found = make(place)
    fill(found)
    return found


def test_datasets_are_in_their_run_and_its_summaries(repository: Repository) -> None:
    identifiers = add(repository, "bias", RUN, bias(3, 1, 2))
    with reading(repository) as session:
        run = load_collections(session)[RUN]
        tags = session.table(types(session)["bias"].tags_table)
        query = sa.select(tags.c.detector, tags.c.dataset_id, tags.c[session.collection_column])
        assert sorted(map(tuple, session.rows(query))) == sorted(
            zip((3, 1, 2), identifiers, [run.key] * 3, strict=True)
        )
        dataset = session.table("dataset")
        query = sa.select(dataset.c.id, dataset.c[session.run_column]).order_by(dataset.c.id)
        assert [tuple(row) for row in session.rows(query)] == sorted((i, run.key) for i in identifiers)
        summary = session.table("collection_summary_instrument")
        assert [row.instrument for row in session.rows(sa.select(summary))] == [INSTRUMENT]
        assert counts(session, "collection_summary_dataset_type", "collection_summary_skymap") == {
            "collection_summary_dataset_type": 1,
            "collection_summary_skymap": 0,
        }
    assert_clean(repository)


def test_ingest_dates_are_the_present_or_the_given_time(repository: Repository) -> None:
    add(repository, "bias", RUN, bias(1), ingest_date_ns=1_700_000_037_000_000_000)
    add(repository, "bias", RUN, bias(2))
    with reading(repository) as session:
        first, second = sorted(session.connection.scalars(sa.select(session.table("dataset").c.ingest_date)))
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    if isinstance(first, int):
        assert first == 1_700_000_037_000_000_000
        assert 0 <= now.replace(tzinfo=datetime.UTC).timestamp() + 37 - second / 1e9 < 60
    else:
        assert first == datetime.datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001 (as it is stored)
        assert datetime.timedelta(0) <= now - second < datetime.timedelta(minutes=1)


def refused(repository: Repository, work: Any) -> str:
    """Run a change that must be refused, check that it changed nothing, and return the sentence."""
    names = ("dataset", "dataset_location", "collection_summary_dataset_type")
    with reading(repository) as session:
        before = counts(session, *names)
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "add", work)
    with reading(repository) as session:
        assert counts(session, *names) == before
    return str(caught.value)


def test_a_second_dataset_of_a_data_id_is_refused_with_the_data_id(repository: Repository) -> None:
    add(repository, "bias", RUN, bias(1, 2))
    assert refused(
        repository,
        lambda s: insert_datasets(s, types(s)["bias"], load_collections(s)[RUN], bias(2, 3)),
    ) == (
        f"The collection {RUN!r} has datasets of type 'bias' already for 1 of the data IDs: (instrument=\"Cam O'1\", "
        "detector=2). A collection holds one dataset for each dataset type and data ID."
    )


BAD: dict[str, tuple[Any, str]] = {
    "twice": (
        bias(1, 2, 1),
        (
            f"Cannot put datasets of type 'bias' into the run {RUN!r}: 1 of the data IDs come twice: "
            '(instrument="Cam O\'1", detector=1). A run holds one dataset for each dataset type and data ID.'
        ),
    ),
    "lacks": (
        [{"instrument": INSTRUMENT}],
        (
            "The data ID (instrument=\"Cam O'1\") is not one of dataset type 'bias': it lacks detector. "
            "The dimensions are: instrument, detector."
        ),
    ),
    "strange": (
        [{"instrument": INSTRUMENT, "detector": 1, "visit": 4}],
        (
            "The data ID (instrument=\"Cam O'1\", detector=1, visit=4) is not one of dataset type 'bias': it has "
            "visit. The dimensions are: instrument, detector."
        ),
    ),
    "record": (
        bias(1, 88, 99),
        (
            'There is no detector record for (instrument="Cam O\'1", detector=88), and 1 others are missing. '
            "Insert the dimension records first: 'registrytool record insert'."
        ),
    ),
    "instrument": (
        bias(1, instrument="x'; DROP TABLE dataset; --"),
        (
            'There is no instrument record for (instrument="x\'; DROP TABLE dataset; --"). '
            "Insert the dimension records first: 'registrytool record insert'."
        ),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_data_ids_are_refused(case: str, newest: Repository) -> None:
    rows, sentence = BAD[case]
    assert refused(newest, lambda s: insert_datasets(s, types(s)["bias"], load_collections(s)[RUN], rows)) == sentence


def test_datasets_are_put_into_runs_only(newest: Repository) -> None:
    assert refused(newest, lambda s: insert_datasets(s, types(s)["bias"], load_collections(s)["tagged"], bias(1))) == (
        "Datasets are put into runs, and 'tagged' is a collection of type TAGGED. Name a collection of type RUN."
    )


def test_identifiers_can_follow_from_the_data_id(newest: Repository) -> None:
    (found,) = add(newest, "bias", RUN, bias(1), ids="data_id")
    (other,) = add(newest, "bias", "other", bias(1), ids="data_id_run")
    assert isinstance(found, uuid.UUID)
    assert isinstance(other, uuid.UUID)
    assert found == dataset_id("bias", bias(1)[0])
    assert found.version == other.version == 5
    with pytest.raises(RegistryStateError, match="1 of their identifiers are taken"):
        add(newest, "bias", "third", bias(1), ids="data_id")


def test_the_identifier_of_a_data_id_is_that_of_the_format() -> None:
    data_id = {"instrument": "HSC", "visit": 903334, "detector": 16}
    # Made by the client of week 2026.43.
    assert dataset_id("calexp", data_id) == uuid.UUID("6998e9cb-ae28-57c2-a0b8-d32b81c72b0e")
    assert dataset_id("calexp", data_id, "u/me/run") == uuid.UUID("da8acfed-c6a2-572f-be97-491a6ca27d79")


def test_new_identifiers_sort_by_time() -> None:
    assert uuid7().version == 7
    assert uuid7().variant == uuid.RFC_4122
    assert uuid7().int >> 80 <= uuid7().int >> 80


def test_summaries_are_added_once(repository: Repository) -> None:
    def work(session: Session) -> None:
        run = load_collections(session)[RUN]
        for _ in range(2):
            ensure_summaries(session, run, [types(session)["bias"].id], {"instrument": [INSTRUMENT]})

    change(repository, "add", work)
    with reading(repository) as session:
        names = ("collection_summary_dataset_type", "collection_summary_instrument")
        assert counts(session, *names) == dict.fromkeys(names, 1)


def record(identifier: object, path: str, component: str | None = None) -> dict[str, Any]:
    """Return a record of a file."""
    return {
        "dataset_id": identifier,
        "path": path,
        "formatter": "lsst.daf.butler.formatters.yaml.YamlFormatter",
        "storage_class": "Exposure",
        "component": component,
        "file_size": 5,
    }


def test_file_records_make_their_table(repository: Repository) -> None:
    one, two = add(repository, "bias", RUN, bias(1, 2))
    rows = [record(one, "a:b/%41"), record(two, "x/image", "image"), record(two, "x/mask", "mask")]
    change(repository, "store", lambda s: store_records(s, rows))
    with reading(repository) as session:
        table = records_table(session)
        found = {(r.dataset_id, r.component): (r.path, r.file_size, r.checksum) for r in session.rows(sa.select(table))}
        assert found == {
            (one, "__NULL_STRING__"): ("a:b/%41", 5, None),
            (two, "image"): ("x/image", 5, None),
            (two, "mask"): ("x/mask", 5, None),
        }
        location = session.table("dataset_location")
        assert sorted(map(tuple, session.rows(sa.select(location.c.datastore_name, location.c.dataset_id)))) == sorted(
            ("FileDatastore@<butlerRoot>", i) for i in (one, two)
        )
    assert refused(repository, lambda s: store_records(s, rows[:1])) == (
        f"1 of the datasets have file records in FileDatastore@<butlerRoot> already: {one}. "
        "A dataset has one record for each component."
    )
    assert_clean(repository)
