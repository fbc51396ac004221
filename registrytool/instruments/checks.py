"""What is odd about the instruments of a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import look
from registrytool.models import to_plain

from .library import bundled_definitions, load_definition
from .register import compare_instrument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition

Severity = Literal["error", "warning"]

#: Limits of instruments, and the elements whose numbers they bound.
_LIMITS = (("detector_max", "detector"), ("visit_max", "visit"), ("exposure_max", "exposure"))
#: How many things a sentence names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class InstrumentFinding:
    """Something odd.

    Attributes
    ----------
    check : `str`
        Which check found it.
    severity : `str`
        ``error`` for what no client would write, ``warning`` for what clients accept, or what can be meant.
    instrument : `str`
        The instrument; several are joined by commas.
    message : `str`
        One sentence.
    hint : `str`
        What to do about it.
    """

    check: str
    severity: Severity
    instrument: str
    message: str
    hint: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


def registered_instruments(session: Session) -> list[dict[str, Any]]:
    """Return the instruments of a registry with the numbers of their filters and detectors."""
    if "instrument" not in session.universe:
        return []

    def counts(element: str) -> dict[str, int]:
        if element not in session.universe:
            return {}
        table = session.table(element)
        query = sa.select(table.c.instrument, sa.func.count()).group_by(table.c.instrument)
        return {str(name): int(number) for name, number in map(tuple, session.rows(query))}

    filters, detectors = counts("physical_filter"), counts("detector")
    return [
        {
            "name": row["name"],
            "class_name": row["class_name"],
            "filters": filters.get(row["name"], 0),
            "detectors": detectors.get(row["name"], 0),
        }
        for row in load_records(session, "instrument")
    ]


def check_repository(
    repository: Repository,
    definitions: Sequence[InstrumentDefinition] | None = None,
    *,
    catalog: Catalog | None = None,
) -> list[InstrumentFinding]:
    """Check the instruments of a repository, as `check_instruments` does."""
    return look(repository, lambda session: check_instruments(session, definitions), catalog=catalog)


def check_instruments(
    session: Session, definitions: Sequence[InstrumentDefinition] | None = None
) -> list[InstrumentFinding]:
    """Check the instruments of a registry.

    Parameters
    ----------
    session : `Session`
        The registry.
    definitions : `~collections.abc.Sequence` [`InstrumentDefinition`], optional
        What instruments should be; by default the definitions that come with registrytool.

    Returns
    -------
    findings : `list` [`InstrumentFinding`]
        What was found.
    """
    if not _has(session, "instrument", "name"):
        return []
    known = {row["name"]: row for row in load_records(session, "instrument")}
    if definitions is None:
        definitions = [load_definition(name) for name in bundled_definitions() if name in known]
    wanted = {d.name: d for d in definitions}
    return [
        *_without_band(session),
        *_beyond_limits(session, known, wanted),
        *_same_obs_id(session, known),
        *_contradictions(session, [d for name, d in wanted.items() if name in known]),
    ]


def _has(session: Session, element: str, *columns: str) -> bool:
    """Return whether the universe, which can be that of another project, has an element with some columns."""
    known = element in session.universe and session.has_table(element)
    return known and all(name in session.table(element).c for name in columns)


def _without_band(session: Session) -> Iterator[InstrumentFinding]:
    if not _has(session, "physical_filter", "instrument", "name", "band"):
        return
    table = session.table("physical_filter")
    missing = sa.or_(table.c.band.is_(None), table.c.band == "")
    query = sa.select(table.c.instrument, table.c.name).where(missing).order_by(table.c.instrument, table.c.name)
    for instrument, name in map(tuple, session.rows(query)):
        message = f"The filter {name} of {instrument} has no band."
        hint = "Set it with 'registrytool record update'."
        yield InstrumentFinding("filter-without-band", "error", instrument, message, hint)


def _beyond_limits(
    session: Session, known: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, InstrumentDefinition]
) -> Iterator[InstrumentFinding]:
    for field, element in _LIMITS:
        if not _has(session, element, "instrument", "id"):
            continue
        table = session.table(element)
        for name, record in known.items():
            limit = record.get(field)
            if limit is None:
                continue
            mine = table.c.instrument == name
            # Two look-ups in the index of the primary key; only what is odd is worth a scan.
            bounds = sa.select(
                *(sa.select(f(table.c.id)).where(mine).scalar_subquery() for f in (sa.func.min, sa.func.max))
            )
            lowest, highest = next(map(tuple, session.rows(bounds)))
            if lowest is None or (lowest >= 0 and highest < limit):
                continue
            odd = sa.select(table.c.id).where(mine, sa.or_(table.c.id < 0, table.c.id >= limit)).order_by(table.c.id)
            # Some instruments are defined so.
            meant = {d.id for d in wanted[name].detectors} if element == "detector" and name in wanted else set()
            numbers = [number for (number,) in map(tuple, session.rows(odd)) if number not in meant]
            if numbers:
                message = (
                    f"The {element} numbers {_some(numbers)} of {name} are not within 0 and {field}, which is {limit}."
                )
                hint = (
                    "Identifiers that are packed from such numbers are ambiguous; raise the limit or correct the "
                    "numbers."
                )
                # Clients accept any number, and only some of their software packs them.
                yield InstrumentFinding("number-out-of-range", "warning", name, message, hint)


def _same_obs_id(session: Session, known: Iterable[str]) -> Iterator[InstrumentFinding]:
    for element in ("exposure", "visit"):
        if not _has(session, element, "instrument", "id", "obs_id"):
            continue
        table = session.table(element)
        # Within one instrument the registry keeps them apart.
        used = [
            name
            for name in known
            if any(session.rows(sa.select(table.c.id).where(table.c.instrument == name).limit(1)))
        ]
        if len(used) < 2:
            continue
        twice = sa.select(table.c.obs_id).group_by(table.c.obs_id).having(sa.func.count() > 1)
        query = (
            sa.select(table.c.obs_id, table.c.instrument, table.c.id)
            .where(table.c.obs_id.in_(twice))
            .order_by(table.c.obs_id, table.c.instrument, table.c.id)
        )
        found: dict[str, list[tuple[str, int]]] = {}
        for obs_id, instrument, number in map(tuple, session.rows(query)):
            found.setdefault(obs_id, []).append((instrument, number))
        # Of many there is one sentence for each set of instruments.
        by_names: dict[str, list[str]] = {}
        for obs_id, places in found.items():
            listed = ", ".join(f"{number} of {instrument}" for instrument, number in places)
            names = ", ".join(dict.fromkeys(instrument for instrument, _ in places))
            by_names.setdefault(names, []).append(f"{obs_id} ({element} {listed})")
        for names, texts in by_names.items():
            observations = "The observation" if len(texts) == 1 else "Observations"
            message = f"{observations} {_some(texts)} {'is' if len(texts) == 1 else 'are'} there more than once."
            hint = "Remove what was ingested by mistake."
            yield InstrumentFinding("same-obs-id", "warning", names, message, hint)


def _contradictions(session: Session, definitions: Sequence[InstrumentDefinition]) -> Iterator[InstrumentFinding]:
    for definition in definitions:
        try:
            # A repository that was registered earlier can lack filters, and that is no contradiction.
            differences = [d for d in compare_instrument(session, definition) if d.field]
        except RegistryStateError as error:
            yield InstrumentFinding("contradiction", "warning", definition.name, error.message, error.hint or "")
            continue
        if differences:
            listed = _some([str(d) for d in differences], "; ")
            message = f"{definition.name} contradicts its definition: {listed}."
            hint = (
                f"'registrytool instrument diff' shows all; 'registrytool instrument update' changes {definition.name}."
            )
            yield InstrumentFinding("contradiction", "warning", definition.name, message, hint)


def _some(items: Sequence[Any], separator: str = ", ") -> str:
    shown = separator.join(str(item) for item in items[:_SHOWN])
    return shown + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")
