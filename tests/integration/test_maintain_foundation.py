"""Claims about making collections and dataset types, on each state that differs in how it keeps them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.maintain.collections import Collection, CollectionType, ensure_collection, load_collections
from registrytool.maintain.dataset_types import DatasetType, ensure_dataset_type, load_dataset_types
from registrytool.maintain.session import Session, change, reading
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place

pytestmark = pytest.mark.usefixtures("odd_namespace")

NEWEST = ("newest",)
OLD = (
    "collections=NameKeyCollectionManager/2.0.0",
    "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0",
    "dimensions-config=0",
)
ODD = 'u/o\'neill "%s" :x ü *'

each_state = pytest.mark.parametrize("at", [NEWEST, OLD], ids=["newest", "old"])


@each_state
def test_a_collection_is_made_once(at: tuple[str, ...], place: Place) -> None:
    repository = make(place, *at)

    def work(session: Session) -> list[Collection]:
        return [ensure_collection(session, ODD, CollectionType.RUN, doc=doc) for doc in ("first", "second")]

    first, second = change(repository, "add", work)
    assert first == second == Collection(first.key, ODD, CollectionType.RUN, "first")
    with reading(repository) as session:
        assert dict(load_collections(session)) == {ODD: first}
        run = session.table("run")
        assert [r[0] for r in session.rows(sa.select(run.c[session.collection_key]))] == [first.key]
    assert_clean(repository)


@each_state
def test_a_collection_of_another_type_is_refused(at: tuple[str, ...], place: Place) -> None:
    repository = make(place, *at)
    change(repository, "add", lambda s: ensure_collection(s, "a", CollectionType.TAGGED))
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "add", lambda s: ensure_collection(s, "a", CollectionType.RUN))
    assert str(caught.value) == (
        "There is a collection 'a' of type TAGGED, and one of type RUN is wanted. Choose another name."
    )


@each_state
def test_dataset_types_share_the_tables_of_their_group(at: tuple[str, ...], place: Place) -> None:
    repository = make(place, *at)

    def work(session: Session) -> list[DatasetType]:
        return [
            ensure_dataset_type(session, "raw", ["exposure", "detector"], "Exposure"),
            ensure_dataset_type(session, "dark", ["instrument", "exposure", "detector", "band"], "Exposure"),
            ensure_dataset_type(session, "bias", ["detector"], "Exposure", is_calibration=True),
            ensure_dataset_type(session, "camera", ["detector"], "Camera", is_calibration=True),
            ensure_dataset_type(session, "report", [], "Packages"),
            ensure_dataset_type(session, "report", [], "Packages"),
        ]

    raw, dark, bias, camera, report, again = change(repository, "register", work)
    assert raw.dimensions == dark.dimensions == ("instrument", "detector", "exposure")
    assert raw.all_dimensions == repository_universe(repository, "exposure", "detector")
    assert (raw.tags_table, raw.calibs_table) == ("dataset_tags_00000001", None)
    assert dark.tags_table == raw.tags_table
    assert (bias.tags_table, bias.calibs_table) == ("dataset_tags_00000002", "dataset_calibs_00000002")
    assert (camera.tags_table, camera.calibs_table) == (bias.tags_table, bias.calibs_table)
    assert (report.dimensions, report.tags_table, report.is_calibration) == ((), "dataset_tags_00000000", False)
    assert again == report
    with reading(repository) as session:
        assert load_dataset_types(session) == {t.name: t for t in (bias, camera, dark, raw, report)}
        assert list(load_dataset_types(session)) == ["bias", "camera", "dark", "raw", "report"]
    assert_clean(repository)


def repository_universe(repository: Repository, *names: str) -> tuple[str, ...]:
    """Return the dimensions that some elements need, directly or by what they imply."""
    with reading(repository) as session:
        universe = session.universe
        found = {d for n in names for d in (*universe[n].required, *universe[n].implied)}
        found |= {d for n in found if n in universe for d in (*universe[n].required, *universe[n].implied)}
        return universe.sorted(list(found))


def test_another_definition_is_refused(place: Place) -> None:
    repository = make(place)
    change(repository, "register", lambda s: ensure_dataset_type(s, "bias", ["detector"], "Exposure"))
    have = "dimensions instrument, detector, storage class Exposure"
    for dimensions, storage_class, is_calibration, want in (
        (["visit"], "Exposure", False, "dimensions instrument, visit, storage class Exposure"),
        (["detector"], "Image", False, "dimensions instrument, detector, storage class Image"),
        (["detector"], "Exposure", True, f"{have}, a calibration"),
    ):
        with pytest.raises(RegistryStateError) as caught:
            change(
                repository,
                "register",
                lambda s, d=dimensions, c=storage_class, k=is_calibration: ensure_dataset_type(  # type: ignore[misc]
                    s, "bias", d, c, is_calibration=k
                ),
            )
        assert str(caught.value) == (
            f"There is a dataset type 'bias' with another definition ({have}), and {want} is wanted. "
            "Choose another name."
        )


@pytest.mark.parametrize("name", ["", "a.b", "1a", "a b", "a-b", "é", "x'; DROP TABLE dataset --", "a\n"])
def test_what_the_client_takes_for_no_name_is_refused(name: str, place: Place) -> None:
    repository = make(place)
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "register", lambda s: ensure_dataset_type(s, name, ["detector"], "Exposure"))
    assert str(caught.value) == (
        f"A dataset type cannot have the name {name!r}. A name is made of letters, digits and underscores."
    )


def test_the_name_of_a_governor_is_refused(place: Place) -> None:
    repository = make(place)
    with pytest.raises(RegistryStateError) as caught:
        change(repository, "register", lambda s: ensure_dataset_type(s, "skymap", ["skymap"], "SkyMap"))
    assert str(caught.value) == ("A dataset type cannot have the name 'skymap', which is that of a governor dimension.")


def test_many_at_once_make_one_of_each(place: Place) -> None:
    repository = make(place)
    failures: list[BaseException] = []

    def work(session: Session) -> None:
        ensure_collection(session, "shared", CollectionType.RUN)
        ensure_dataset_type(session, "bias", ["detector"], "Exposure", is_calibration=True)

    def make_them() -> None:
        try:
            change(repository, "make them", work)
        except BaseException as error:  # noqa: BLE001 (told to the test)
            failures.append(error)

    threads = [threading.Thread(target=make_them) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading(repository) as session:
        assert list(load_collections(session)) == ["shared"]
        assert list(load_dataset_types(session)) == ["bias"]
        groups = session.table("dimension_graph_key")
        assert session.scalar(sa.select(sa.func.count()).select_from(groups)) == 1
    assert_clean(repository)
