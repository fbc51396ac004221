"""Claims about open registries: who works beside whom, and what the database enforces meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.errors import RegistryBusyError, RegistryConflictError, RegistryStateError
from registrytool.maintain.associations import associate
from registrytool.maintain.collections import CollectionType, ensure_collection, load_collections
from registrytool.maintain.dataset_type_changes import register_dataset_type
from registrytool.maintain.find import Query, find_datasets, plan_search
from registrytool.maintain.prune import Mode, apply_prune, plan_prune
from registrytool.maintain.session import Session, change, reading
from tests.support.maintain_states import RUN, bias, counts, fill, types
from tests.support.maintain_states import add as add_datasets
from tests.support.registries import make, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place, Run

pytestmark = pytest.mark.usefixtures("odd_namespace")


@pytest.fixture
def repository(place: Place) -> Repository:
    return make(place, "newest", "dimensions-config=7")


@pytest.fixture
def occupied(repository: Repository) -> Iterator[Callable[[bool], None]]:
    """Return a function by which somebody else takes the run lock, shared or alone, until the end of the test."""
    done, threads = threading.Event(), []

    def occupy(shared: bool) -> None:  # noqa: FBT001 (the one thing to say)
        taken = threading.Event()

        def hold() -> None:
            with Database.of(repository).write("do something else", shared=shared):
                taken.set()
                done.wait(60)

        threads.append(threading.Thread(target=hold))
        threads[-1].start()
        assert taken.wait(30)

    yield occupy
    done.set()
    for thread in threads:
        thread.join()


def add(name: str) -> Callable[[Session], int | str]:
    return lambda session: ensure_collection(session, name, CollectionType.TAGGED).key


def holder(repository: Repository) -> str:
    return (
        r"process \d+ \(.*\)" if repository.dialect == "sqlite" else r"session \d+ of user \w+ from .* \(registry.*\)"
    )


@pytest.mark.postgresql
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_maintenance_runs_beside_maintenance(repository: Repository, occupied: Callable[[bool], None]) -> None:
    occupied(True)
    change(repository, "add a", add("a"), wait_s=1)
    with reading(repository) as session:
        assert list(load_collections(session)) == ["a"]


def test_maintenance_is_refused_during_a_migration(repository: Repository, occupied: Callable[[bool], None]) -> None:
    occupied(False)
    with pytest.raises(RegistryBusyError) as caught:
        change(repository, "add a", add("a"), wait_s=0.3)
    assert caught.match(
        rf"^Cannot add a: {holder(repository)} holds the lock. "
        r"Wait until it has finished and run the same command again.$"
    )
    with reading(repository) as session:
        assert list(load_collections(session)) == []


def test_a_migration_is_refused_during_maintenance(
    place: Place, repository: Repository, occupied: Callable[[bool], None], run: Run
) -> None:
    occupied(True)
    done = run("migrate", place.folder, "--db", place.url, "--wait", "0.3", "--no-backup", "--yes")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "holds the lock. Wait until it has finished and run the same command again." in done.stderr
    with reading(repository) as session:
        assert session.state["dimensions-config"].version == "7"


def test_a_session_that_reads_cannot_write(repository: Repository) -> None:
    with pytest.raises(RegistryStateError), reading(repository) as session:
        add("a")(session)
    with reading(repository) as session:
        assert list(load_collections(session)) == []


def test_foreign_keys_are_enforced_in_maintenance(repository: Repository) -> None:
    def orphan(session: Session) -> None:
        session.execute(sa.insert(session.table("run")), {session.collection_key: 99})

    with pytest.raises(RegistryStateError, match=r"(?i)^Cannot make an orphan: .*foreign key"):
        change(repository, "make an orphan", orphan)


def test_all_or_nothing_is_kept_of_a_change(repository: Repository) -> None:
    def half(session: Session) -> None:
        add("a")(session)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change(repository, "do half of it", half)
    with reading(repository) as session:
        assert list(load_collections(session)) == []


def test_a_change_is_tried_again_when_another_one_was_in_its_way(repository: Repository) -> None:
    tries: list[int] = []

    def work(session: Session) -> str:
        add(f"try {len(tries)}")(session)
        tries.append(len(tries))
        if len(tries) < 3:
            raise RegistryConflictError("work", "deadlock detected")
        return "done"

    assert change(repository, "work", work) == "done"
    with reading(repository) as session:
        assert list(load_collections(session)) == ["try 2"]


def test_what_changed_beneath_a_session_is_seen_after_a_refresh(repository: Repository) -> None:
    def work(session: Session) -> tuple[str, str]:
        before = session.state["dimensions-config"].version
        table = session.table("butler_attributes")
        new = session.recorded.attributes["config:dimensions.json"].replace('"version": 7', '"version": 6')
        session.execute(sa.update(table).where(table.c.name == "config:dimensions.json").values(value=new))
        session.refresh()
        return before, str(session.universe.version)

    assert change(repository, "count down", work) == ("7", "6")


@pytest.mark.postgresql
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_tables_locked_together_are_not_waited_for_with_a_lock_in_hand(repository: Repository) -> None:
    others = Database.of(repository)
    tried: list[int] = []

    def work(session: Session) -> None:
        with pytest.raises(RegistryConflictError, match="lock the tables collection, run of"):
            session.lock_together("run", "collection", mode="SHARE ROW EXCLUSIVE")
        # Nothing was kept of the first table while the second one was waited for.
        with others.write("look", wait_s=0.1, shared=True) as connection:
            schema = connection.dialect.identifier_preparer.quote_schema(str(session.namespace))
            connection.exec_driver_sql(f"LOCK TABLE {schema}.collection IN ACCESS EXCLUSIVE MODE NOWAIT")
        tried.append(1)

    with others.write("hold", shared=True) as connection:
        schema = connection.dialect.identifier_preparer.quote_schema(str(others.namespace))
        connection.exec_driver_sql(f"LOCK TABLE {schema}.run IN ROW EXCLUSIVE MODE")
        change(repository, "work", work)
    assert len(tried) == 1


def test_new_numbers_are_those_after_the_last_one(repository: Repository) -> None:
    keys = [change(repository, "add", add(name)) for name in "abc"]
    assert keys == [1, 2, 3]


def test_a_registry_without_its_tables_is_refused_in_one_sentence(repository: Repository, tmp_path: Path) -> None:
    del tmp_path
    migrate(repository)
    with reading(repository) as session, pytest.raises(RegistryStateError) as caught:
        session.table("nonsense")
    assert str(caught.value) == (
        f"The registry of {repository.name} has no table nonsense. "
        "Run 'registrytool verify' to see what else is missing."
    )


def test_work_in_pieces_begins_again_when_a_migration_came_between(repository: Repository) -> None:
    seen: list[str] = []

    def migrate_once() -> None:
        if len(seen) == 1:
            migrate(repository, "dimensions-config=8")

    def work(session: Session) -> None:
        seen.append(session.state["dimensions-config"].version)
        session.commit(migrate_once)

    if repository.dialect == "postgresql":
        # The lock is kept between two pieces.
        with pytest.raises(RegistryBusyError):
            change(repository, "work in pieces", work)
        return
    change(repository, "work in pieces", work)
    assert seen == ["7", "8"]


@pytest.mark.parametrize("mode", Mode)
def test_what_was_planned_is_refused_when_a_migration_gave_datasets_other_identifiers(place: Place, mode: Mode) -> None:
    repository = make(place, "datasets=ByDimensionsDatasetRecordStorageManager/1.0.0", "dimensions-config=0")
    fill(repository)
    add_datasets(repository, "bias", RUN, bias(1, 2))
    associate(repository, "tagged", Query(("bias",), (RUN,)))
    with reading(repository) as session:
        plan = plan_prune(session, Query(("bias",), (RUN,)), mode, tagged=("tagged",))
    migrate(repository, "datasets=ByDimensionsDatasetRecordStorageManagerUUID/1.0.0")

    with pytest.raises(RegistryStateError) as refused:
        apply_prune(repository, plan)

    assert refused.value.message == (
        f"The datasets of {repository.name} got other identifiers by a migration in the meantime."
    )
    with reading(repository) as session:
        assert counts(session, "dataset") == {"dataset": 2}
        assert len(list(find_datasets(session, plan_search(session, Query(("bias",), ("tagged",)))))) == 2


@pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_tables_that_others_make_meanwhile_are_known_in_the_next_try(repository: Repository) -> None:
    tries: list[Session] = []

    def work(session: Session) -> str:
        tries.append(session)
        if len(tries) == 1:
            register_dataset_type(repository, "late", ["skymap"], "StructuredDataDict")
        return session.table(types(session)["late"].tags_table).name

    assert change(repository, "use what is there", work).startswith("dataset_tags_")
    assert len(tries) == 2
