"""Write and delete dimension records of a repository, each in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError, RegistryStateError

from .dependants import DeletePlan, delete_records, plan_delete, preview_delete
from .record_query import selection
from .record_reading import load_records
from .record_text import parse_assignments
from .record_values import Shape
from .records import RecordPlan, RecordReport, apply_records, plan_records, plan_update
from .session import planned_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .records import OnConflict
    from .session import Session


@dataclass(frozen=True, slots=True)
class RecordChange:
    """What is going to become, or became, of some records of an element.

    Attributes
    ----------
    shape : `Shape`
        The fields of the element.
    plan : `RecordPlan`
        Which records are new, and which differ.
    report : `RecordReport`
        Numbers of records.
    """

    shape: Shape
    plan: RecordPlan
    report: RecordReport

    @property
    def changed(self) -> bool:
        """Whether anything is different from before."""
        return bool(self.plan.new or self.plan.changes)


def insert_record(
    repository: Repository,
    element: str,
    fields: Sequence[str],
    *,
    existing: OnConflict = "fail",
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> RecordChange:
    """Insert a record whose fields people have written.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    element : `str`
        The element.
    fields : sequence of `str`
        Fields and values: ``name=text``.
    existing : `str`, optional
        What to do if it exists: ``fail``, ``skip`` or ``replace``.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `RecordChange`
        What was done.

    Raises
    ------
    RegistryStateError
        See `plan_records`.
    """

    def plan(session: Session) -> RecordPlan:
        row = parse_assignments(Shape.of(session.universe, element), list(fields))
        return plan_records(session, element, [row], on_conflict=existing)

    return _write(repository, f"insert records of {element}", element, plan, catalog, dry_run=dry_run)


def change_records(
    repository: Repository,
    element: str,
    fields: Sequence[str],
    where: str | None,
    values: Sequence[str],
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> RecordChange:
    """Change fields of records that people have described.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    element : `str`
        The element.
    fields : sequence of `str`
        Values that fields have: ``name=text``.
    where : `str` or `None`
        Expression that the records fulfil.
    values : sequence of `str`
        New values of fields: ``name=text``.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    change : `RecordChange`
        What was done.

    Raises
    ------
    ConfigurationError
        Nothing says which records are meant.
    RegistryStateError
        There are none, a field belongs to the key, or see `plan_update`.
    """

    def plan(session: Session) -> RecordPlan:
        shape = Shape.of(session.universe, element)
        new = parse_assignments(shape, list(values))
        fixed = [n for n in shape.key if n in new]
        if fixed:
            message = f"The key of a record cannot be changed: {', '.join(fixed)}."
            raise RegistryStateError(message, hint="Insert another record and delete the old one.")
        chosen = _chosen(session, element, fields, where)
        rows = [{**{n: r[n] for n in shape.key}, **new} for r in load_records(session, element, chosen)]
        if not rows:
            message = f"There are no such records of {element}."
            raise RegistryStateError(message, hint=f"'registrytool record list REPO {element}' lists them.")
        return plan_update(session, element, rows)

    return _write(repository, f"update records of {element}", element, plan, catalog, dry_run=dry_run)


def _chosen(session: Session, element: str, fields: Sequence[str], where: str | None) -> Any:
    found = selection(session, element, fields, where)
    if found is None:
        message = f"Nothing says which records of {element} are meant."
        raise ConfigurationError(message, hint="Give values of fields, or --where.")
    return found


def _write(
    repository: Repository,
    wanted: str,
    element: str,
    plan: Callable[[Session], RecordPlan],
    catalog: Catalog | None,
    *,
    dry_run: bool,
) -> RecordChange:
    def work(session: Session, *, act: bool) -> RecordChange:
        planned = plan(session)
        report = RecordReport(element, len(planned.new), len(planned.changes), planned.kept)
        if act:
            report = apply_records(session, planned)
        return RecordChange(Shape.of(session.universe, element), planned, report)

    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def remove_records(
    repository: Repository,
    element: str,
    fields: Sequence[str],
    where: str | None,
    *,
    cascade: bool = False,
    preview: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> DeletePlan:
    """Delete records that people have described.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    element : `str`
        The element.
    fields : sequence of `str`
        Values that fields have: ``name=text``.
    where : `str` or `None`
        Expression that the records fulfil.
    cascade : `bool`, optional
        Whether what hangs on the records is deleted too, datasets included.
    preview : `bool`, optional
        Whether a dry run says what hangs on the records where it would be refused because of that.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    plan : `DeletePlan`
        What was deleted.

    Raises
    ------
    ConfigurationError
        Nothing says which records are meant.
    RegistryStateError
        See `plan_delete`.
    """

    def work(session: Session, *, act: bool) -> DeletePlan:
        chosen = _chosen(session, element, fields, where)
        if act:
            return delete_records(session, element, chosen, cascade=cascade)
        if dry_run and preview:
            return preview_delete(session, element, chosen)
        return plan_delete(session, element, chosen, cascade=cascade)

    return planned_change(repository, f"delete records of {element}", work, catalog=catalog, dry_run=dry_run)
