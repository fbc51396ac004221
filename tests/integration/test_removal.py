"""Claims about the removal of datasets with their files: what it leaves when it is stopped, sessions, other tables."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryConflictError, RegistryStateError
from registrytool.maintain import lite_removal, removal
from registrytool.maintain.associations import associate
from registrytool.maintain.calibrations import certify
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.datasets import Batches, insert_datasets, move_to_trash, parse_ids
from registrytool.maintain.datastore import store_records
from registrytool.maintain.find import Query
from registrytool.maintain.foreign_keys import find_dependents
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.prune import Mode, apply_and_empty, apply_prune, plan_prune, prune
from registrytool.maintain.session import Session, change, reading
from registrytool.maintain.timespans import Timespan
from registrytool.repository import open_repository
from tests.support.maintain_states import RUN, add, bias, counts, fill
from tests.support.moments import run_until
from tests.support.registries import make

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from registrytool.maintain.idlist import IdList
    from registrytool.maintain.trash import TrashReport
    from registrytool.repository import Repository
    from tests.support.places import Place, Run

pytestmark = pytest.mark.usefixtures("odd_namespace")

ALL = Query(collections=(RUN,))
#: Tables of somebody else: what becomes of their rows when the dataset goes, `None` if it must not go.
OTHERS: dict[str, tuple[str, list[Any] | None]] = {
    "cascade": ("REFERENCES {dataset} (id) ON DELETE CASCADE", []),
    "set null": ("REFERENCES {dataset} (id) ON DELETE SET NULL", [None]),
    "no action": ("REFERENCES {dataset} (id)", None),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut work into small pieces, so that there are many, and sessions have to share them."""
    for name in ("FIRST", "LARGEST"):
        monkeypatch.setattr(Batches, name, dict.fromkeys(("sqlite", "postgresql"), 3))
    monkeypatch.setattr(Batches, "SMALLEST", 3)
    monkeypatch.setattr(removal, "WORTH_A_SESSION", 3)


def stored(place: Place, number: int, *, in_one_file: int = 1) -> tuple[Repository, list[Any]]:
    """Make a repository with biases in a run, so many of them in each file."""
    repository = make(place)
    fill(repository, detectors=number)
    identifiers = add(repository, "bias", RUN, bias(*range(number)))
    rows = []
    for i, identifier in enumerate(identifiers):
        path = f"bias/{i // in_one_file}.yaml"
        (place.folder / "bias").mkdir(exist_ok=True)
        (place.folder / path).write_text("a: 1", encoding="utf-8")
        rows.append({"dataset_id": identifier, "path": path, "formatter": "f", "storage_class": "s"})
    change(repository, "store", lambda s: store_records(s, rows))
    return open_repository(str(place.folder), db=place.url), identifiers


def files(place: Place) -> list[Path]:
    """Return the files that are left."""
    return sorted((place.folder / "bias").iterdir())


def left(repository: Repository, *, with_files: bool = True) -> dict[str, int]:
    """Return how many rows are left of datasets and what belongs to them; all else must be as it should."""
    with reading(repository) as session:
        names = ("dataset", "dataset_location", "dataset_location_trash", "file_datastore_records")
        found = counts(session, *names)
        assert [o for o in find_orphans(session, files=with_files).found if not o.harmless] == []
    return {name: number for name, number in found.items() if number}


def remove(place: Place, run: Run, *words: str) -> dict[str, Any]:
    """Remove datasets with their files, and return the answer."""
    outcome = run(
        "--format", "json", "dataset", "remove", str(place.folder), *words, "--yes", "--empty-trash", "--db", place.url
    )
    assert outcome.exit_code == 0, outcome.stderr
    answer: dict[str, Any] = json.loads(outcome.stdout)
    return answer


@pytest.mark.parametrize("in_one_file", [1, 2, 5, 20])
def test_sessions_share_a_removal_and_leave_nothing_behind(in_one_file: int, place: Place) -> None:
    repository, _ = stored(place, 20, in_one_file=in_one_file)
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    report = apply_and_empty(repository, plan)
    assert (report.datasets, report.deleted, report.missing, report.failures) == (20, 20 // in_one_file, 0, ())
    assert files(place) == []
    assert left(repository) == {}


def test_a_file_goes_with_the_last_of_its_datasets(place: Place) -> None:
    repository, identifiers = stored(place, 6, in_one_file=2)
    for ids, expected in ((identifiers[:3], 2), (identifiers[3:], 0)):
        with reading(repository) as session:
            plan = plan_prune(session, Query(ids=tuple(map(str, ids))), Mode.PURGE)
        apply_and_empty(repository, plan)
        assert len(files(place)) == expected
    assert left(repository) == {}


def test_datasets_stay_where_their_files_alone_go(place: Place) -> None:
    repository, _ = stored(place, 10, in_one_file=2)
    # Of some the files are in the trash already.
    prune(repository, Query(("bias",), where="detector < 3"), Mode.UNSTORE)
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.UNSTORE)
    assert apply_and_empty(repository, plan).datasets == 10
    assert files(place) == []
    assert left(repository) == {"dataset": 10}


@pytest.mark.parametrize("by_ids", [False, True], ids=["by run", "by identifiers"])
def test_what_was_stopped_after_its_last_dataset_is_finished_by_the_same_command(
    by_ids: bool,  # noqa: FBT001
    place: Place,
    run: Run,
) -> None:
    repository, identifiers = stored(place, 5)
    listed = place.folder.parent / "ids"
    listed.write_text("\n".join(map(str, identifiers)), encoding="utf-8")
    prune(repository, ALL, Mode.PURGE)
    assert left(repository) == {"dataset_location_trash": 5, "file_datastore_records": 5}

    answer = remove(place, run, *(("--ids", str(listed)) if by_ids else ("-c", RUN)))

    assert (answer["total"], answer["left"], answer["absent"]) == (0, 5, 5 if by_ids else 0)
    assert (answer["trash"]["datasets"], answer["trash"]["deleted"]) == (5, 5)
    assert files(place) == []
    assert left(repository) == {}


def test_identifiers_of_datasets_that_are_gone_are_passed_over(place: Place, run: Run) -> None:
    repository, identifiers = stored(place, 5)
    listed = place.folder.parent / "ids"
    listed.write_text("\n".join(map(str, identifiers)), encoding="utf-8")
    remove(place, run, "bias", "--where", "detector < 2")

    answer = remove(place, run, "--ids", str(listed))

    assert (answer["total"], answer["absent"], answer["trash"]["deleted"]) == (3, 2, 3)
    assert left(repository) == {}
    words = ("dataset", "remove", str(place.folder), "--ids", str(listed), "--yes", "--empty-trash", "--db", place.url)
    outcome = run(*words)
    assert (outcome.exit_code, "There is no dataset" in outcome.stderr) == (3, True)


def test_what_a_conflict_undid_is_done_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, _ = stored(place, 9)
    tried: list[int] = []

    def in_the_way(session: Session, ids: IdList) -> dict[str, int]:
        tried.append(len(ids))
        moved = move_to_trash(session, ids)
        if len(tried) % 2:
            raise RegistryConflictError("remove", "deadlock detected")
        return moved

    monkeypatch.setattr(removal, "move_to_trash", in_the_way)
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    assert apply_and_empty(repository, plan).deleted == 9
    assert left(repository) == {}
    assert sum(tried) > 9


def test_a_failure_of_one_session_ends_all_and_what_is_left_is_consistent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, identifiers = stored(place, 30)

    def fail(session: Session, ids: IdList) -> dict[str, int]:
        if identifiers[-1] in list(ids):
            message = "the disk is full"
            raise RegistryStateError(message)
        return move_to_trash(session, ids)

    monkeypatch.setattr(removal, "move_to_trash", fail)
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    with pytest.raises(RegistryStateError, match="the disk is full"):
        apply_and_empty(repository, plan)
    # Of what is in the trash, files may be gone.
    assert left(repository, with_files=False)["dataset"] >= 1
    monkeypatch.undo()
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    apply_and_empty(repository, plan)
    assert files(place) == []
    assert left(repository) == {}


@pytest.mark.parametrize("kind", OTHERS)
def test_tables_of_others_are_treated_as_they_say(kind: str, place: Place) -> None:
    repository, identifiers = stored(place, 7)
    reference, expected = OTHERS[kind]

    def extend(session: Session) -> None:
        dataset = session._qualified("dataset")
        name, key = session._qualified("of_somebody"), "CHAR(32)" if session.dialect == "sqlite" else "UUID"
        definition = f"CREATE TABLE {name} (d {key} {reference.format(dataset=dataset)})"
        session.connection.execute(sa.text(definition.replace(":", r"\:")))
        value = identifiers[4].hex
        session.connection.execute(sa.text(f"INSERT INTO {name} VALUES (:d)".replace(" :x", r" \:x")), {"d": value})

    change(repository, "extend", extend)
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    if expected is None:
        with pytest.raises((RegistryStateError, RegistryConflictError)):
            apply_prune(repository, plan)
        with reading(repository) as session:
            numbers = counts(session, "dataset", "dataset_location")
            assert numbers["dataset"] == numbers["dataset_location"] >= 1
        return
    apply_prune(repository, plan)
    with reading(repository) as session:
        query = sa.text(f"SELECT d FROM {session._qualified('of_somebody')}".replace(":", r"\:"))
        assert list(session.connection.scalars(query)) == expected
        assert counts(session, "dataset") == {"dataset": 0}


@pytest.mark.parametrize(
    ("definition", "known"),
    [
        ("CREATE TABLE x (d CHAR(32) REFERENCES DATASET ON DELETE CASCADE)", True),
        ("CREATE TABLE x (d CHAR(32) REFERENCES dataset (id) ON DELETE SET DEFAULT)", False),
        ("CREATE TABLE x (d CHAR(32) REFERENCES dataset (id) ON DELETE RESTRICT)", False),
        ("CREATE TABLE x (t CHAR(32), c, FOREIGN KEY (t, c) REFERENCES dataset_tags_00000001 (a, b))", False),
        ("CREATE TABLE x (d CHAR(32), r, FOREIGN KEY (d, r) REFERENCES dataset (id, run_id) ON DELETE CASCADE)", False),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_sqlite_looks_after_keys_itself_where_they_are_unknown(
    definition: str,
    known: bool,  # noqa: FBT001
    place: Place,
) -> None:
    repository, _ = stored(place, 1)
    with reading(repository) as session:
        assert find_dependents(session) is not None
    connection = sqlite3.connect(place.folder / "gen3.sqlite3")
    connection.execute(definition)
    connection.commit()
    connection.close()
    with reading(repository) as session:
        assert (find_dependents(session) is not None) is known


def test_identifiers_are_read_once_whatever_form_they_have(place: Place) -> None:
    repository, identifiers = stored(place, 2)
    texts: Sequence[str] = [str(identifiers[0]), identifiers[0].hex.upper(), str(identifiers[1])]
    with reading(repository) as session:
        assert len(set(parse_ids(session, texts))) == 2
        assert plan_prune(session, Query(ids=tuple(texts)), Mode.PURGE).total == 2


# -- most of an SQLite file at once ----------------------------------------------------


def crowded(place: Place) -> Repository:
    """Make a repository of which most goes: with tags, certifications, and files that are shared with what stays."""
    repository, identifiers = stored(place, 12, in_one_file=2)

    def more(session: Session) -> None:
        run = ensure_collection(session, "stays", CollectionType.RUN)
        staying = insert_datasets(session, load_dataset_types(session)["bias"], run, bias(*range(6)))
        rows = [
            {"dataset_id": i, "path": f"bias/{n}.yaml", "formatter": "f", "storage_class": "s"}
            for n, i in enumerate(staying, start=5)
        ]
        store_records(session, rows)

    change(repository, "more", more)
    for n in range(6, 11):
        (place.folder / f"bias/{n}.yaml").write_text("b: 1", encoding="utf-8")
    associate(repository, "tagged", Query(("bias",), ("stays",), "detector < 4"))
    associate(repository, "tagged", Query(("bias",), (RUN,), "detector > 3"))
    certify(repository, "calib", "bias", Query(("bias",), ("stays",)), Timespan.of(0, 10))
    certify(repository, "calib", "bias", Query(("bias",), (RUN,)), Timespan.of(10, 20))
    # Some are in the trash already: of a dataset that goes, and of one that stays.
    for name in (RUN, "stays"):
        prune(repository, Query(("bias",), (name,), "detector = 1"), Mode.UNSTORE)
    assert len(identifiers) == 12
    return repository


def rows_of(repository: Repository) -> dict[str, list[str]]:
    """Return all rows, in the order in which they lie."""
    with reading(repository) as session:
        assert session.connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert session.connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        return {name: [repr(r) for r in session.rows(sa.select(t))] for name, t in session.metadata.tables.items()}


def remove_all(repository: Repository) -> TrashReport:
    """Remove what is in the run, with its files."""
    with reading(repository) as session:
        plan = plan_prune(session, ALL, Mode.PURGE)
    return apply_and_empty(repository, plan)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_to_remove_most_at_once_comes_to_the_same_as_piece_by_piece(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(place)
    other = tmp_path / "other"
    shutil.copytree(place.folder, other)
    twin = open_repository(str(other))
    repository = open_repository(str(place.folder))
    # A file that cannot be deleted.
    for folder in (place.folder, other):
        (folder / "bias/2.yaml").unlink()
        (folder / "bias/2.yaml").mkdir()
    piece_by_piece = remove_all(twin)
    monkeypatch.setattr(lite_removal, "FEWEST", 1)
    # It is the way that is taken: without it there is an error.
    with monkeypatch.context() as patch:
        patch.setattr(lite_removal, "remove_most", None)
        with pytest.raises(TypeError):
            remove_all(repository)

    at_once = remove_all(repository)

    counted = [(r.datasets, r.deleted, r.missing, r.kept, len(r.failures)) for r in (at_once, piece_by_piece)]
    assert counted[0] == counted[1]
    assert rows_of(repository) == rows_of(twin)
    assert [f.name for f in files(place)] == sorted(p.name for p in (other / "bias").iterdir())
    assert "5.yaml" in [f.name for f in files(place)]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_removal_at_once_that_is_killed_is_finished_by_the_next(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(place)
    start = tmp_path / "start"
    shutil.copytree(place.folder, start)
    monkeypatch.setattr(lite_removal, "FEWEST", 1)
    monkeypatch.setattr(removal, "_LOOKED_AT", 4)
    repository = open_repository(str(place.folder))

    def work() -> int:
        return remove_all(repository).deleted

    undisturbed = run_until(work, (place.folder,), tmp_path / "log")
    assert undisturbed.answer == 5
    done, names = rows_of(repository), [f.name for f in files(place)]
    assert undisturbed.moments.count("file") >= 5
    for moment, kind in enumerate(undisturbed.moments):
        shutil.rmtree(place.folder)
        shutil.copytree(start, place.folder)
        run_until(work, (place.folder,), tmp_path / "log", moment)
        with reading(repository) as session:
            assert [o for o in find_orphans(session).found if not o.harmless] == [], (moment, kind)
        remove_all(repository)
        assert rows_of(repository) == done, (moment, kind)
        assert [f.name for f in files(place)] == names, (moment, kind)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER DELETE ON dataset BEGIN SELECT 1; END",
        "CREATE TABLE t (d CHAR(32) REFERENCES dataset (id) ON DELETE SET NULL)",
    ],
    ids=["trigger", "key"],
)
def test_not_all_goes_at_once_where_somebody_wants_to_see_each_row(
    statement: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = crowded(place)
    change(repository, "extend", lambda s: s.connection.exec_driver_sql(statement))
    monkeypatch.setattr(lite_removal, "FEWEST", 1)
    monkeypatch.setattr(lite_removal, "remove_most", None)
    remove_all(open_repository(str(place.folder)))
    with reading(repository) as session:
        assert counts(session, "dataset") == {"dataset": 6}
