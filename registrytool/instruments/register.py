"""Registration of instruments: what a definition makes of the records of a registry, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.record_values import Shape
from registrytool.maintain.records import RecordPlan, apply_records, plan_records
from registrytool.maintain.session import change, look
from registrytool.models import to_plain

from .removal import Removal, remove_registered, require_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition

#: Elements that a definition says all of; what else hangs on an instrument was observed or computed.
_OWN = ("physical_filter", "detector", "visit_system")
#: Maxima of the instrument, with the element whose numbers they bound.
_MAXIMA = (("visit_max", "visit"), ("exposure_max", "exposure"), ("detector_max", "detector"))
#: How many things a sentence names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a definition and a registry do not agree about.

    Attributes
    ----------
    element : `str`
        Element of the record.
    key : `str` or `int`
        Its key within the instrument.
    field : `str`
        The field that differs; empty if one side lacks the record.
    registry, definition : object
        The values; the record is missing where it is `None` and ``field`` is empty.
    """

    element: str
    key: str | int
    field: str
    registry: Any
    definition: Any

    def __str__(self) -> str:
        if self.field:
            shown = f"{self.field} is {self.registry!r} and should be {self.definition!r}"
        else:
            shown = "is missing" if self.registry is None else "is not in the definition"
        return f"{self.element} {self.key}: {shown}"


@dataclass(frozen=True, slots=True)
class InstrumentPlan:
    """What is going to be done to the records of one instrument.

    Attributes
    ----------
    instrument : `str`
        Its name.
    new : `dict` [`str`, `int`]
        Number of new records by element.
    changes : `tuple` [`Difference`]
        Fields that get another value.
    extra : `tuple` [`Difference`]
        Records that the definition does not have; they stay.
    unchanged : `int`
        Number of records that are as they should be.
    """

    instrument: str
    new: Mapping[str, int]
    changes: tuple[Difference, ...]
    extra: tuple[Difference, ...]
    unchanged: int

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not self.new and not self.changes

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


# -- comparing ----------------------------------------------------------------


def definition_rows(session: Session, definition: InstrumentDefinition) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a definition, with the columns that the universe of a registry has.

    Parameters
    ----------
    session : `Session`
        The registry.
    definition : `InstrumentDefinition`
        The definition.

    Returns
    -------
    rows : `dict` [`str`, `list` [`dict`]]
        Records by element, those that others refer to first.

    Raises
    ------
    RegistryStateError
        The instrument belongs to another universe.
    """
    universe = session.universe
    if universe.namespace != definition.namespace:
        message = (
            f"The instrument {definition.name} belongs to the universe {definition.namespace}, and the registry of "
            f"{session.repository.name} has {universe.namespace} {universe.version}."
        )
        raise RegistryStateError(message, hint="Give a repository with the universe of the instrument.")
    fields = Shape.of(universe, "instrument").fields
    # Older universes know no visit system, others no exposures.
    rows = {"instrument": [{k: v for k, v in definition.record().items() if k in fields}]}
    for element, records in definition.records.items():
        rows[element] = [{"instrument": definition.name, **record} for record in records]
    rows["physical_filter"] = [f.record() for f in definition.filters]
    rows["detector"] = [d.record() for d in definition.detectors]
    return rows


def _plan_rows(session: Session, rows: Mapping[str, list[dict[str, Any]]]) -> list[RecordPlan]:
    """Return what is to be done for the records of a definition, element by element."""
    promised = {
        element: [Shape.of(session.universe, element).key_of(_named(session, element, row)) for row in records]
        for element, records in rows.items()
        if element not in ("physical_filter", "detector")
    }
    return [
        plan_records(session, element, records, on_conflict="replace", promised=promised)
        for element, records in rows.items()
    ]


def _named(session: Session, element: str, row: Mapping[str, Any]) -> dict[str, Any]:
    shape = Shape.of(session.universe, element)
    return {shape.aliases.get(name, name): value for name, value in row.items()}


def compare_instrument(session: Session, definition: InstrumentDefinition) -> list[Difference]:
    """Return everything about which a definition and a registry do not agree.

    Raises
    ------
    RegistryStateError
        The instrument belongs to another universe.
    """
    rows = definition_rows(session, definition)
    plans = _plan_rows(session, rows)
    found = [
        Difference(p.element, _short(session, p.element, row), "", None, "present") for p in plans for row in p.new
    ]
    return [*found, *_changes(plans), *_extra(session, definition, rows)]


def _short(session: Session, element: str, row: Mapping[str, Any]) -> Any:
    return row[Shape.of(session.universe, element).key[-1]]


def _changes(plans: Sequence[RecordPlan]) -> list[Difference]:
    return [
        Difference(plan.element, change.key[-1], field, change.before[field], value)
        for plan in plans
        for change in plan.changes
        for field, value in change.after.items()
    ]


def _extra(
    session: Session, definition: InstrumentDefinition, rows: Mapping[str, list[dict[str, Any]]]
) -> list[Difference]:
    result = []
    for element, records in rows.items():
        if element == "instrument":
            continue
        known = {_named(session, element, row)[Shape.of(session.universe, element).key[-1]] for row in records}
        stored = load_records(session, element, {"instrument": definition.name})
        extra = [_short(session, element, row) for row in stored if _short(session, element, row) not in known]
        result += [Difference(element, key, "", "present", None) for key in extra]
    return result


# -- register and update ------------------------------------------------------


def plan_register(
    session: Session, definitions: Sequence[InstrumentDefinition], *, update: bool = False
) -> list[tuple[InstrumentPlan, list[RecordPlan]]]:
    """Say what the registration of instruments changes.

    Parameters
    ----------
    session : `Session`
        The registry.
    definitions : `~collections.abc.Sequence` [`InstrumentDefinition`]
        The instruments.
    update : `bool`, optional
        Whether records that exist and differ are changed; otherwise they are refused.

    Returns
    -------
    plans : `list` [`tuple` [`InstrumentPlan`, `list` [`RecordPlan`]]]
        For each instrument what is to be done, for people and for `apply_register`.

    Raises
    ------
    RegistryStateError
        An instrument is given twice, belongs to another universe, or contradicts what the registry holds.
    """
    names = [d.name for d in definitions]
    for name in names:
        if names.count(name) > 1:
            message = f"The instrument {name} is given {names.count(name)} times."
            raise RegistryStateError(message, hint="Give one definition of each instrument.")
    result = []
    for definition in definitions:
        rows = definition_rows(session, definition)
        plans = _plan_rows(session, rows)
        changes = _changes(plans)
        if update:
            _check_maxima(session, rows["instrument"][0])
        elif changes:
            listed = "; ".join(str(c) for c in changes[:_SHOWN])
            more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
            message = f"The registry of {session.repository.name} has another {definition.name}: {listed}{more}."
            raise RegistryStateError(message, hint="'registrytool instrument update' changes what differs.")
        new = {p.element: len(p.new) for p in plans if p.new}
        extra = tuple(_extra(session, definition, rows))
        plan = InstrumentPlan(definition.name, new, tuple(changes), extra, sum(p.kept for p in plans))
        result.append((plan, plans))
    return result


def _check_maxima(session: Session, row: Mapping[str, Any]) -> None:
    """Refuse limits that numbers in use exceed."""
    for field, element in _MAXIMA:
        limit = row.get(field)
        if limit is None or element not in session.universe:
            continue
        table = session.table(element)
        condition = sa.and_(table.c.instrument == row["name"], table.c.id >= limit)
        found = session.scalar(sa.select(sa.func.max(table.c.id)).where(condition))
        before = load_records(session, "instrument", {"name": row["name"]})
        # Numbers that are beyond the limit already, as some instruments have them, are no reason.
        if found is not None and before and (before[0][field] is None or before[0][field] > limit):
            message = (
                f"Cannot update {row['name']}: {field} would be {limit}, and the registry of {session.repository.name} "
                f"has {element} {found}."
            )
            raise RegistryStateError(message, hint=f"Give a {field} above it.")


def register_instruments(
    repository: Repository,
    definitions: Sequence[InstrumentDefinition],
    *,
    update: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> list[InstrumentPlan]:
    """Register instruments, all in one transaction; what is there already stays.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    definitions : `~collections.abc.Sequence` [`InstrumentDefinition`]
        The instruments.
    update : `bool`, optional
        Whether records that exist and differ are changed.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether nothing is written.

    Returns
    -------
    plans : `list` [`InstrumentPlan`]
        What was done, or would be, for each instrument.

    Raises
    ------
    RegistryStateError
        What `plan_register` refuses.
    """
    if dry_run:
        plans = look(repository, lambda s: plan_register(s, definitions, update=update), catalog=catalog)
        return [plan for plan, _ in plans]

    def work(session: Session) -> list[InstrumentPlan]:
        planned = plan_register(session, definitions, update=update)
        for _, plans in planned:
            for plan in plans:
                apply_records(session, plan)
        return [plan for plan, _ in planned]

    names = ", ".join(d.name for d in definitions)
    return change(repository, f"{'update' if update else 'register'} {names}", work, catalog=catalog)


# -- remove -------------------------------------------------------------------


def remove_instrument(
    repository: Repository,
    name: str,
    *,
    cascade: bool = False,
    preview: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> Removal:
    """Remove an instrument; with ``cascade`` what was observed with it goes too.  See `remove_registered`."""
    return remove_registered(
        repository,
        "instrument",
        name,
        lambda session: {*_OWN, *_further(session)},
        what="instrument",
        cascade=cascade,
        preview=preview,
        catalog=catalog,
        dry_run=dry_run,
    )


def _further(session: Session) -> Iterator[str]:
    """List further elements of the universe that detectors refer to, such as arms of a spectrograph."""
    for name in session.universe["detector"].implied:
        if session.universe[name].required == ("instrument", name) and session.universe[name].has_table:
            yield name


# -- back to a definition -----------------------------------------------------


def export_instrument(session: Session, name: str) -> str:
    """Return a definition of an instrument, from what a registry holds.

    Parameters
    ----------
    session : `Session`
        The registry.
    name : `str`
        The instrument.

    Returns
    -------
    text : `str`
        YAML.  It has no aliases, wavelengths, corners and headers, which registries do not hold.

    Raises
    ------
    RegistryStateError
        There is no such instrument, or a definition cannot say what the registry holds.
    """
    from ._writer import write_definition

    record = require_record(session, "instrument", name, "instrument")
    where = {"instrument": name}
    visit_systems: list[str] = []
    if "visit_system" in session.universe:
        visit_systems = [str(r["name"]) for r in load_records(session, "visit_system", where)]
    return write_definition(
        record,
        namespace=session.universe.namespace,
        filters=load_records(session, "physical_filter", where),
        detectors=load_records(session, "detector", where),
        visit_systems=visit_systems,
        records={element: load_records(session, element, where) for element in _further(session)},
    )
