"""Commands for collections, dataset types and attributes work on old states, and in several repositories."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryStateError, RegistryToolError
from registrytool.maintain.associations import associate, disassociate
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain, edit_chains
from registrytool.maintain.collection_changes import (
    create_collection,
    document_collection,
    plan_removal,
    remove_collection,
    rename_collection,
)
from registrytool.maintain.collection_list import list_collections, show_collection
from registrytool.maintain.collection_tree import tree_nodes, tree_svg
from registrytool.maintain.collections import CollectionType, load_collections
from registrytool.maintain.dataset_type_changes import (
    find_unused,
    list_dataset_types,
    register_dataset_type,
    remove_dataset_type,
    rename_dataset_type,
    set_storage_class,
)
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.find import Query
from registrytool.maintain.obscore_table import enable_obscore
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.records import insert_records
from registrytool.maintain.session import Session, change, reading
from registrytool.status import registry_status
from tests.support.killing import killed_at
from tests.support.registries import assert_clean, make, migrate

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place, Run

pytestmark = pytest.mark.usefixtures("odd_namespace")

INTEGERS = "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0"
NAMES = "collections=NameKeyCollectionManager/2.0.0"
STATES = {
    "newest": ("newest",),
    "names": (NAMES,),
    "old": ("attributes=1.0.0", INTEGERS, "datastores=0.2.0", "dimensions=6.0.0", "dimensions-config=0"),
    "oldest": (NAMES, INTEGERS, "datastores=0.2.0", "dimensions=6.0.0", "dimensions-config=0"),
    "2020": ("w_2020_45",),
}
ODD = 'u/o\'neill "%s" :x ü *'

each_state = pytest.mark.parametrize("at", STATES.values(), ids=STATES)


def prepare(repository: Repository, number: int = 5) -> None:
    """Make runs with some datasets, a tagged collection and chains."""
    for name in ("run/a", "run/b"):
        create_collection(repository, name, CollectionType.RUN)
    create_collection(repository, ODD, CollectionType.TAGGED)
    for name in ("inner", "outer"):
        create_collection(repository, name, CollectionType.CHAINED)
    edit_chain(repository, ChainEdit("inner", ChainMode.SET, ("run/a", ODD)))
    edit_chain(repository, ChainEdit("outer", ChainMode.SET, ("inner", "run/b")))
    register_dataset_type(repository, "bias", ["detector"], "Exposure", is_calibration=True)

    def work(session: Session) -> None:
        insert_records(session, "instrument", [{"name": "Cam", "detector_max": 10**6}])
        rows = [{"instrument": "Cam", "id": i, "full_name": f"d{i}"} for i in range(number)]
        insert_records(session, "detector", rows)
        collections, bias = load_collections(session), load_dataset_types(session)["bias"]
        for name in ("run/a", "run/b"):
            data_ids = [{"instrument": "Cam", "detector": i} for i in range(number)]
            insert_datasets(session, bias, collections[name], data_ids)

    change(repository, "prepare", work)


@each_state
def test_every_change_works_on_each_state(at: tuple[str, ...], place: Place) -> None:
    repository = make(place, *at)
    prepare(repository)

    put = associate(repository, ODD, Query(("bias",), ("run/a",)))
    assert (put.datasets, put.present) == ({"bias": 5}, 0)
    assert associate(repository, ODD, Query(("bias",), ("run/a",), "detector > 2")).present == 2
    with pytest.raises(RegistryStateError) as caught:
        associate(repository, ODD, Query(("bias",), ("run/b",)))
    assert caught.value.message.startswith(f"The collection {ODD!r} has another dataset with dataset type 'bias' and ")
    with pytest.raises(RegistryStateError, match=r"^2 of the datasets have dataset type 'bias' and data ID"):
        associate(repository, ODD, Query(("bias",), ("run/*",)))
    assert disassociate(repository, ODD, Query(("bias",), (), "detector = 4")).datasets == {"bias": 1}

    rename_collection(repository, ODD, "tags")
    rename_collection(repository, "run/a", "run/'c' %")
    rename_collection(repository, "outer", "top")
    doc = None if at == STATES["2020"] else "it's all"
    document_collection(repository, "top", doc)
    with reading(repository) as session:
        found = {info.name: info for info in list_collections(session, counts=True)}
        assert found["tags"].counts == {"bias": 4}
        assert found["run/'c' %"].counts == found["run/b"].counts == {"bias": 5}
        assert (found["top"].children, found["top"].doc) == (("inner", "run/b"), doc)
        assert found["inner"].children == ("run/'c' %", "tags")
        assert found["tags"].parents == ("inner",)
        details = show_collection(session, "tags")
        assert (details.dataset_types, details.governors) == (("bias",), {"instrument": ("Cam",)})

    rename_dataset_type(repository, "bias", "dark")
    set_storage_class(repository, "dark", "Image")
    register_dataset_type(repository, "idle", ["visit"], "Wcs")
    with reading(repository) as session:
        assert find_unused(session).dataset_types == ("idle",)
        dark = list_dataset_types(session, ["da*"], counts=True)[0]
        assert (dark.dataset_type.storage_class, dark.datasets, dark.runs) == ("Image", 10, 2)
    remove_dataset_type(repository, "idle")

    with reading(repository) as session, pytest.raises(RegistryStateError):
        plan_removal(session, "run/'c' %")
    plan = remove_collection(repository, "run/'c' %", unlink=True)
    assert (plan.contents, plan.elsewhere, plan.parents) == ({"dark": 5}, {"tags": 4}, ("inner",))
    for name in ("top", "inner", "tags", "run/b"):
        remove_collection(repository, name)
    with reading(repository) as session:
        assert dict(load_collections(session)) == {}
        dataset = session.table("dataset")
        assert session.scalar(sa.select(sa.func.count()).select_from(dataset)) == 0
    assert_clean(repository)


def test_documentation_is_refused_where_it_has_no_place(place: Place) -> None:
    repository = make(place, "w_2020_45")
    create_collection(repository, "run", CollectionType.RUN)
    message = (
        f"The collections of {repository.name} are of version 1.0.0, which has no place for documentation. "
        "Leave it out, or migrate the registry before."
    )
    with pytest.raises(RegistryStateError) as caught:
        create_collection(repository, "tagged", CollectionType.TAGGED, doc="a doc")
    assert str(caught.value) == message
    with pytest.raises(RegistryStateError) as caught:
        document_collection(repository, "run", "a doc")
    assert str(caught.value) == message
    with reading(repository) as session:
        assert [(c.name, c.doc) for c in load_collections(session).values()] == [("run", None)]


def test_dataset_types_of_encoded_dimensions_are_refused_in_a_sentence(place: Place) -> None:
    repository = make(place, "w_2020_40")
    create_collection(repository, "run", CollectionType.RUN)
    with reading(repository) as session:
        assert [info.name for info in list_collections(session)] == ["run"]
        with pytest.raises(RegistryStateError) as caught:
            load_dataset_types(session)
    assert str(caught.value) == (
        f"The datasets of {repository.name} are of version 0.3.0, and dataset types can be read from 1.0.0 on. "
        "Migrate the registry before."
    )


def several(place: Place) -> list[Repository]:
    """Make two repositories, each with a chain and runs."""
    made = []
    for name in ("one", "two"):
        folder = place.folder / name
        folder.mkdir()
        if place.dialect == "sqlite":
            own = dataclasses.replace(place, url=f"sqlite:///{folder / 'gen3.sqlite3'}", folder=folder)
        else:
            own = dataclasses.replace(place, namespace=name, folder=folder)
        made.append(make(own))
        for run in ("a", "b"):
            create_collection(made[-1], run, CollectionType.RUN)
        create_collection(made[-1], "chain", CollectionType.CHAINED)
    return made


def children(repository: Repository) -> tuple[str, ...]:
    with reading(repository) as session:
        return load_collections(session)["chain"].children


def test_a_chain_is_edited_in_several_repositories(place: Place) -> None:
    one, two = several(place)
    edit_chain(two, ChainEdit("chain", ChainMode.SET, ("b",)))
    edit = ChainEdit("chain", ChainMode.PREPEND, ("a",))
    assert [r.after for r in edit_chains([one, two], edit, dry_run=True)] == [("a",), ("a", "b")]
    assert (children(one), children(two)) == ((), ("b",))
    assert [r.after for r in edit_chains([one, two], edit)] == [("a",), ("a", "b")]
    assert (children(one), children(two)) == (("a",), ("a", "b"))


def test_none_is_changed_if_one_of_them_refuses(place: Place) -> None:
    one, two = several(place)
    remove_collection(two, "b")
    with pytest.raises(RegistryStateError) as caught:
        edit_chains([one, two], ChainEdit("chain", ChainMode.SET, ("a", "b")))
    assert caught.value.message == f"There is no collection 'b' in the registry of {two.name}."
    assert children(one) == ()


def test_what_was_changed_is_said_if_a_later_one_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = several(place)
    original = edit_chain

    def fails_for_two(repository: Repository, *words: object, **settings: object) -> object:
        if repository is two and not settings.get("dry_run"):
            message = "The disk of the database is full."
            raise RegistryStateError(message)
        return original(repository, *words, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("registrytool.maintain.chains.edit_chain", fails_for_two)
    with pytest.raises(RegistryToolError) as caught:
        edit_chains([one, two], ChainEdit("chain", ChainMode.SET, ("a",)))
    assert str(caught.value) == (
        f"The chain 'chain' was changed in {one.name}, and not in {two.name}: The disk of the database is full. "
        "Run the same command again for those that are left."
    )
    assert (children(one), children(two)) == (("a",), ())


def test_positions_that_run_out_are_counted_anew(place: Place) -> None:
    repository = make(place)
    for name in ("a", "b", "c"):
        create_collection(repository, name, CollectionType.RUN)
    create_collection(repository, "chain", CollectionType.CHAINED)
    edit_chain(repository, ChainEdit("chain", ChainMode.SET, ("a", "b")))

    def move(session: Session) -> None:
        table = session.table("collection_chain")
        session.execute(sa.update(table).where(table.c.position == 1).values(position=32767))
        session.execute(sa.update(table).where(table.c.position == 0).values(position=-32768))

    change(repository, "use all positions", move)
    edit_chain(repository, ChainEdit("chain", ChainMode.PREPEND, ("c",)))
    assert children(repository) == ("c", "a", "b")
    change(repository, "use all positions", move)
    edit_chain(repository, ChainEdit("chain", ChainMode.EXTEND, ("c",)))
    assert children(repository) == ("b", "a", "c")


def test_the_picture_of_a_tree_is_well_formed(place: Place) -> None:
    repository = make(place)
    prepare(repository)
    name = "<b> & \"q\" 'x' 漢字"
    create_collection(repository, name, CollectionType.CALIBRATION)
    edit_chain(repository, ChainEdit("inner", ChainMode.EXTEND, (name,)))
    with reading(repository) as session:
        known = {info.name: info for info in list_collections(session, counts=True)}
    nodes = tree_nodes([known["outer"], known["inner"], known["run/b"]], known)
    assert [(n.name, n.depth) for n in nodes] == [
        ("outer", 0),
        ("inner", 1),
        ("run/a", 2),
        (ODD, 2),
        (name, 2),
        ("run/b", 1),
    ]
    picture = ET.fromstring(tree_svg(nodes, "Chains <of> & 'all'"))  # noqa: S314 (ours)
    texts = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"outer", ODD, name, "RUN 5", "Chains <of> & 'all'"} <= set(texts)
    inverse = tree_nodes([known[ODD]], known, inverse=True)
    assert [(n.name, n.depth) for n in inverse] == [(ODD, 0), ("inner", 1), ("outer", 2)]


@pytest.mark.slow
def test_a_removal_that_is_killed_goes_on_when_it_is_run_again(place: Place, run: Run) -> None:
    repository = make(place)
    prepare(repository, 3000)
    edit_chain(repository, ChainEdit("inner", ChainMode.REMOVE, ("run/a",)))
    words = ["collection", "remove", str(place.folder), "run/a", "--db", place.url, "--yes"]
    left = []
    # Each time a little later, in statements and commits; what is left is less each time.
    for number in (10, 20, 30, 40, 60, 80):
        if not killed_at(number, *words):
            break
        assert_clean(repository)
        with reading(repository) as session:
            assert find_orphans(session).clean
            dataset = session.table("dataset")
            left.append(session.scalar(sa.select(sa.func.count()).select_from(dataset)))
    assert sorted(left, reverse=True) == left
    done = run(*words, "--format", "json")
    assert done.exit_code == 0 or "There is no collection 'run/a'" in done.stderr, done.stderr
    if done.exit_code == 0:
        assert json.loads(done.stdout)["collection"] == "run/a"
    with reading(repository) as session:
        assert "run/a" not in load_collections(session)
        dataset = session.table("dataset")
        assert session.scalar(sa.select(sa.func.count()).select_from(dataset)) == 3000


@pytest.mark.parametrize("at", ["w_2020_45", "w_2021_22"])
def test_an_obscore_table_must_not_lock_out_all_butlers(at: str, place: Place, tmp_path: Path) -> None:
    (config := tmp_path / "obscore.yaml").write_text(
        "{namespace: x, version: 1, collection_type: RUN, obs_collection: o, facility_name: f, dataset_types: {}}",
        encoding="utf-8",
    )
    repository = make(place, at)
    if at == "w_2020_45":
        for dry_run in (True, False):
            with pytest.raises(RegistryStateError) as caught:
                enable_obscore(repository, config, backup=False, dry_run=dry_run)
            assert str(caught.value) == (
                f"With an ObsCore table no Butler could write the registry of {repository.name}: it is too old. "
                "Migrate it before, with 'registrytool migrate'."
            )
        migrate(repository, "w_2022_49", has_simulated="0")
    enable_obscore(repository, config, backup=False)
    assert registry_status(repository).writers != "none"
    assert_clean(repository)
