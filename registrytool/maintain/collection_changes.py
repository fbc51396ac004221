"""Make collections, document them, give them other names, remove them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryConflictError, RegistryStateError
from registrytool.models import _Model
from registrytool.progress import NullProgress, Progress

from .chains import lock_collections
from .collections import (
    Collection,
    CollectionType,
    check_collection_name,
    check_documentation,
    ensure_collection,
    find_collection,
    load_collections,
)
from .dataset_types import load_dataset_types
from .datasets import doomed_of_run, empty_run
from .idlist import IdList
from .removal import Removal, told_of
from .session import change, look, planned_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .session import Session

#: Rows that are taken out of a collection at once.
_PIECE = 2000


@dataclass(frozen=True, slots=True)
class CollectionReport(_Model):
    """What happens, or happened, to a collection.

    Attributes
    ----------
    registry, collection, type : `str`
        The registry, the name of the collection and its kind.
    changed : `bool`
        Whether anything is different from before.
    doc : `str` or `None`
        Its documentation.
    new_name : `str` or `None`
        Its name afterwards, if that is another one.
    """

    registry: str
    collection: str
    type: str
    changed: bool
    doc: str | None = None
    new_name: str | None = None


# -- making them ----------------------------------------------------------------


def plan_create(session: Session, name: str, type: CollectionType, *, doc: str | None = None) -> CollectionReport:  # noqa: A002
    """Say what making a collection would do.

    Raises
    ------
    RegistryStateError
        There is one of that name with another type or documentation, or it cannot be a name.
    """
    check_collection_name(name)
    check_documentation(session, doc)
    found = find_collection(session, name)
    where = session.repository.name
    if found is None:
        return CollectionReport(where, name, type.name, changed=True, doc=doc)
    if found.type is not type:
        message = f"There is a collection {name!r} of type {found.type.name}, and one of type {type.name} is wanted."
        raise RegistryStateError(message, hint="Choose another name.")
    if doc is not None and (found.doc or "") != doc:
        message = f"There is a collection {name!r} with another documentation."
        raise RegistryStateError(message, hint="'registrytool collection doc' sets that of a collection.")
    return CollectionReport(where, name, type.name, changed=False, doc=found.doc)


def create_collection(
    repository: Repository,
    name: str,
    type: CollectionType,  # noqa: A002
    *,
    doc: str | None = None,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> CollectionReport:
    """Make an empty collection; one that is there already, and the same, is left alone.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    type : `CollectionType`
        Its kind.
    doc : `str`, optional
        Its documentation.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `CollectionReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_create`.
    """

    def work(session: Session, *, act: bool) -> CollectionReport:
        report = plan_create(session, name, type, doc=doc)
        if act:
            ensure_collection(session, name, type, doc=doc)
        return report

    wanted = f"make the collection {name!r} in {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


# -- documenting them -----------------------------------------------------------


def plan_document(session: Session, name: str, doc: str | None) -> CollectionReport:
    """Say what documenting a collection would do.

    Raises
    ------
    RegistryStateError
        There is no such collection.
    """
    found = load_collections(session).require(name)
    check_documentation(session, doc)
    return CollectionReport(session.repository.name, name, found.type.name, changed=found.doc != doc, doc=doc)


def document_collection(
    repository: Repository, name: str, doc: str | None, *, catalog: Catalog | None = None, dry_run: bool = False
) -> CollectionReport:
    """Set the documentation of a collection.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Name of the collection.
    doc : `str` or `None`
        The documentation; `None` takes it away.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `CollectionReport`
        What happened.

    Raises
    ------
    RegistryStateError
        There is no such collection.
    """

    def work(session: Session, *, act: bool) -> CollectionReport:
        report = plan_document(session, name, doc)
        if act and report.changed:
            table = session.table("collection")
            session.execute(sa.update(table).where(table.c.name == name).values(doc=doc))
        return report

    wanted = f"document the collection {name!r} of {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


# -- giving them other names ------------------------------------------------------


def plan_rename(session: Session, name: str, new_name: str) -> CollectionReport:
    """Say what renaming a collection would do.

    Raises
    ------
    RegistryStateError
        There is no such collection, or one of the other name, or that cannot be a name.
    """
    collections = load_collections(session)
    check_collection_name(new_name)
    where = session.repository.name
    if name not in collections and new_name in collections:
        collections.require(name)
    found = collections.require(name)
    if new_name != name and new_name in collections:
        message = f"The collection {name!r} cannot be renamed to {new_name!r}: there is a collection of that name."
        raise RegistryStateError(message, hint="Choose another name.")
    return CollectionReport(where, name, found.type.name, changed=new_name != name, doc=found.doc, new_name=new_name)


def rename_collection(
    repository: Repository, name: str, new_name: str, *, catalog: Catalog | None = None, dry_run: bool = False
) -> CollectionReport:
    """Give a collection another name, in one transaction.

    All that is in it stays in it, and chains that it is in keep it.  Files stay where they are, though their path
    names the old run.  Where collections are keyed by their names, every row that refers to it is written again.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name, new_name : `str`
        Its name, and the other one.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    report : `CollectionReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_rename`.
    """

    def work(session: Session, *, act: bool) -> CollectionReport:
        report = plan_rename(session, name, new_name)
        if act and session.by_name:
            _rename_key(session, name, new_name)
        elif act:
            table = session.table("collection")
            session.execute(sa.update(table).where(table.c.name == name).values(name=new_name))
        return report

    wanted = f"rename the collection {name!r} of {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _rename_key(session: Session, name: str, new_name: str) -> None:
    """Rename a collection whose name is what all tables refer to it by.

    Foreign keys do not follow an update.  So rows that others refer to are copied under the new name, the others are
    changed, and the old rows are removed.
    """
    table = session.table("collection")
    # Nobody can refer to it until this has ended: the removal of its row would take along what they put in.
    session.rows(sa.select(table.c.name).where(table.c.name == name).with_for_update())
    keys: dict[str, str] = {"collection": "name", "run": "name"}
    columns = [
        (t, column)
        for t in session.metadata.sorted_tables
        for column in t.columns
        if any(key.column.table.name in keys and key.column.name == "name" for key in column.foreign_keys)
    ]
    summaries = [(t, c) for t, c in columns if t.name == "run" or t.name.startswith("collection_summary_")]
    copied = [(table, table.c.name), *summaries]
    for definition, column in copied:
        others = [c for c in definition.columns if c is not column]
        source = sa.select(sa.literal(new_name, sa.Text()), *others).where(column == name)
        names = [column.name, *(c.name for c in others)]
        session.execute(sa.insert(definition).from_select(names, source))
    for definition, column in columns:
        if (definition, column) not in copied:
            session.execute(sa.update(definition).where(column == name).values({column.name: new_name}))
    for definition, column in reversed(copied):
        session.execute(sa.delete(definition).where(column == name))


# -- removing them ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemovalPlan(_Model):
    """What the removal of a collection takes along.

    Attributes
    ----------
    registry, collection, type : `str`
        The registry, the name of the collection and its kind.
    parents : `tuple` [`str`, ...]
        Chains that it is in.
    children : `tuple` [`str`, ...]
        What it has, if it is a chain; they stay.
    contents : `~collections.abc.Mapping` [`str`, `int`]
        Rows in it by dataset type: the datasets of a run, which are removed, else tags or certifications.
    elsewhere : `~collections.abc.Mapping` [`str`, `int`]
        Tags and certifications of the datasets of a run in other collections, which go with them.
    stored : `int`
        Datasets of a run that are in a datastore; their files go to the trash.
    """

    registry: str
    collection: str
    type: str
    parents: tuple[str, ...]
    children: tuple[str, ...]
    contents: Mapping[str, int]
    elsewhere: Mapping[str, int]
    stored: int

    @property
    def total(self) -> int:
        """Rows in it."""
        return sum(self.contents.values())


def plan_removal(session: Session, name: str, *, unlink: bool = False) -> RemovalPlan:
    """Say what the removal of a collection would take along.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.
    unlink : `bool`, optional
        Whether it may be taken out of the chains that it is in.

    Raises
    ------
    RegistryStateError
        There is no such collection, or chains have it and ``unlink`` is not set.
    """
    collections = load_collections(session)
    collection = collections.require(name)
    parents = collections.parents(name)
    if parents and not unlink:
        shown = ", ".join(repr(p) for p in parents[:5]) + (f" and {len(parents) - 5} more" if len(parents) > 5 else "")
        message = f"The collection {name!r} is in the {'chain' if len(parents) == 1 else 'chains'} {shown}."
        raise RegistryStateError(message, hint="With --unlink it is taken out of them.")
    names = {c.key: c.name for c in collections.values()}
    contents: dict[str, int] = {}
    elsewhere: dict[str, int] = {}
    stored = 0
    if collection.type is not CollectionType.CHAINED:
        contents = count_members(session, collection)
    if collection.type is CollectionType.RUN and contents:
        elsewhere = _count_elsewhere(session, collection, names)
        dataset, location = session.table("dataset"), session.table("dataset_location")
        mine = sa.select(dataset.c.id).where(dataset.c[session.run_column] == collection.key)
        query = sa.select(sa.func.count(sa.distinct(location.c.dataset_id))).where(location.c.dataset_id.in_(mine))
        stored = int(session.scalar(query))
    return RemovalPlan(
        session.repository.name,
        name,
        collection.type.name,
        parents,
        collection.children,
        dict(sorted(contents.items())),
        dict(sorted(elsewhere.items())),
        stored,
    )


def count_members(session: Session, collection: Collection) -> dict[str, int]:
    """Return the number of rows in a collection by dataset type: datasets of a run, tags, or certifications."""
    types = {t.id: t for t in load_dataset_types(session).values()}
    if collection.type is CollectionType.RUN:
        tables, column = ["dataset"], session.run_column
    else:
        column = session.collection_column
        if collection.type is CollectionType.CALIBRATION:
            tables = sorted({t.calibs_table for t in types.values() if t.calibs_table is not None})
        else:
            tables = sorted({t.tags_table for t in types.values()})
    found: dict[str, int] = {}
    for name in tables:
        table = session.table(name)
        query = (
            sa.select(table.c.dataset_type_id, sa.func.count().label("number"))
            .where(table.c[column] == collection.key)
            .group_by(table.c.dataset_type_id)
        )
        for row in session.rows(query):
            found[types[row.dataset_type_id].name] = row.number
    return dict(sorted(found.items()))


def _count_elsewhere(session: Session, run: Collection, names: Mapping[Any, str]) -> dict[str, int]:
    """Return the number of tags and certifications that the datasets of a run have in other collections."""
    dataset = session.table("dataset")
    types = load_dataset_types(session).values()
    tables = sorted({t.tags_table for t in types} | {t.calibs_table for t in types if t.calibs_table is not None})
    found: dict[str, int] = {}
    for name in tables:
        table = session.table(name)
        key = table.c[session.collection_column].label("key")
        query = (
            sa.select(key, sa.func.count().label("number"))
            .select_from(table.join(dataset, dataset.c.id == table.c.dataset_id))
            .where(dataset.c[session.run_column] == run.key, key != run.key)
            .group_by(key)
        )
        for row in session.rows(query):
            found[names[row.key]] = found.get(names[row.key], 0) + row.number
    return found


def remove_collection(
    repository: Repository,
    name: str,
    *,
    unlink: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RemovalPlan:
    """Remove a collection; a run with all of its datasets.

    What is in it goes first, in pieces that are committed one by one, so that others wait for a fraction of a second
    at most; then it is taken out of chains and removed, in one transaction.  If it is stopped, it goes on when it is
    run again.  Files are in the trash after that, see `empty_trash`.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    unlink : `bool`, optional
        Whether it may be taken out of the chains that it is in.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.
    progress : `Progress`, optional
        Is told how far it is.

    Returns
    -------
    plan : `RemovalPlan`
        What was removed.

    Raises
    ------
    RegistryStateError
        See `plan_removal`.
    """
    plan = look(repository, lambda session: plan_removal(session, name, unlink=unlink), catalog=catalog)
    if not dry_run:
        apply_removal(repository, plan, catalog=catalog, progress=progress)
    return plan


def apply_removal(
    repository: Repository, plan: RemovalPlan, *, catalog: Catalog | None = None, progress: Progress | None = None
) -> None:
    """Do what a plan says; chains that got the collection since are a refusal, and what came into it goes too."""
    wanted = f"remove the collection {plan.collection!r} from {repository.name}"
    progress = progress or NullProgress()
    told = told_of("dataset", plan.total, progress)

    def doomed(session: Session) -> IdList:
        run = _as_planned(session, plan)
        return doomed_of_run(session, run) if run is not None and run.type is CollectionType.RUN else IdList()

    # A run may have more than are looked up at once.
    while ids := look(repository, doomed, catalog=catalog):
        Removal(repository, ids, purge=True, catalog=catalog).run(wanted, told)

    def work(session: Session) -> None:
        collection = _as_planned(session, plan)
        if collection is None:
            return
        if collection.type is not CollectionType.CHAINED:
            _empty(session, collection, progress)
        # As those do who change a chain: the chain, and then what is in it.
        lock_collections(session, plan.parents)
        _lock_against_all(session, collection, wanted)
        if collection.type is CollectionType.RUN and _has_datasets(session, collection):
            # Somebody has put something into it in the meantime.  With the locks of this transaction, nobody can.
            message = "datasets were put into it in the meantime"
            raise RegistryConflictError(wanted, message)
        _check_parents(plan, load_collections(session).parents(plan.collection))
        chain, table = session.table("collection_chain"), session.table("collection")
        session.execute(sa.delete(chain).where(chain.c.child == collection.key))
        session.execute(sa.delete(table).where(table.c[session.collection_key] == collection.key))

    change(repository, wanted, work, catalog=catalog)


def _as_planned(session: Session, plan: RemovalPlan) -> Collection | None:
    """Return the collection, `None` if somebody else has removed it; refuse if it is not what it was."""
    collections = load_collections(session)
    collection = collections.get(plan.collection)
    if collection is None:
        return None
    if collection.type.name != plan.type:
        message = f"The collection {plan.collection!r} was removed and made with another type in the meantime."
        raise RegistryStateError(message, hint="Look at it and run the same command again.")
    _check_parents(plan, collections.parents(plan.collection))
    return collection


def _lock_against_all(session: Session, collection: Collection, wanted: str) -> None:
    """Lock a collection against everybody who would refer to it.

    Who puts a dataset into a run refers to both rows, the collection first or last.
    """
    run, table = (session.table(name).c[session.collection_key] for name in ("run", "collection"))
    session.rows(sa.select(run).where(run == collection.key).with_for_update())
    session.hold(sa.select(table).where(table == collection.key), wanted, exclusively=True)


def _has_datasets(session: Session, run: Collection) -> bool:
    dataset = session.table("dataset")
    return bool(session.rows(sa.select(dataset.c.id).where(dataset.c[session.run_column] == run.key).limit(1)))


def _check_parents(plan: RemovalPlan, parents: tuple[str, ...]) -> None:
    new = [p for p in parents if p not in plan.parents]
    if new:
        message = f"The collection {plan.collection!r} came into the chain {new[0]!r} in the meantime."
        raise RegistryStateError(message, hint="Run the same command again if it should be removed all the same.")


def _empty(session: Session, collection: Collection, progress: Progress) -> None:
    """Take out all that is in a collection, in pieces."""
    if collection.type is CollectionType.RUN:
        empty_run(session, collection, progress=progress)
        return
    types = load_dataset_types(session).values()
    calibration = collection.type is CollectionType.CALIBRATION
    names = {t.calibs_table if calibration else t.tags_table for t in types}
    total, done = sum(count_members(session, collection).values()), 0
    for name in sorted(n for n in names if n is not None):
        table = session.table(name)
        mine = table.c[session.collection_column] == collection.key
        key = table.c.id if calibration else table.c.dataset_id
        while keys := list(session.connection.scalars(sa.select(key).where(mine).order_by(key).limit(_PIECE))):
            session.execute(sa.delete(table).where(mine, key.in_(keys)))
            session.commit()
            done += len(keys)
            progress.rows(name, done, max(total, done))
