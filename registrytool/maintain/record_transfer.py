"""Dimension records from registries to files, from files to registries, and compared between registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.dimension_data import day_obs_offsets
from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.models import to_plain

from .export_file import converted, read_export, write_export
from .record_files import read_csv, read_parquet, write_csv, write_parquet
from .record_reading import iter_records
from .record_text import format_record
from .record_values import Shape
from .records import RecordReport, apply_records, plan_records
from .session import change, look, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .records import OnConflict
    from .session import Session

YAML, CSV, PARQUET = "yaml", "csv", "parquet"
_SUFFIXES = {".yaml": YAML, ".yml": YAML, ".csv": CSV, ".parquet": PARQUET, ".parq": PARQUET}


def format_of(path: Path) -> str:
    """Return what kind of file a name stands for: ``yaml``, ``csv`` or ``parquet``.

    Raises
    ------
    ConfigurationError
        It ends with something else.
    """
    if path.suffix.lower() not in _SUFFIXES:
        message = f"The name of {path} does not say what kind of file it is."
        raise ConfigurationError(message, hint=f"It must end with one of {', '.join(_SUFFIXES)}.")
    return _SUFFIXES[path.suffix.lower()]


def offsets_of(catalog: Catalog) -> Callable[[str, int], int | None]:
    """Return a function that says when a day of observation of an instrument begins, in seconds after 0 h TAI."""
    known = day_obs_offsets(catalog, {})

    def offset_s(instrument: str, day: int) -> int | None:
        pieces = [offset for first, offset in known.get(instrument, ()) if first <= day]
        return pieces[-1] if pieces else None

    return offset_s


def export_records(
    repository: Repository,
    path: Path,
    elements: Sequence[str] = (),
    *,
    where: Callable[[Session, str], sa.ColumnElement[bool] | None] | None = None,
    catalog: Catalog | None = None,
) -> dict[str, int]:
    """Write dimension records to a file.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    path : `~pathlib.Path`
        The file: ``.yaml`` is an export file of the Butler, ``.csv`` and ``.parquet`` hold one element.  It appears
        when it is complete.
    elements : `~collections.abc.Sequence` [`str`], optional
        Elements; by default all.
    where : callable, optional
        Is given the session and an element; returns a condition on its table.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    records : `dict` [`str`, `int`]
        How many records of each element were written.

    Raises
    ------
    ConfigurationError
        The file cannot be written, or cannot hold more than one element.
    RegistryStateError
        There is no such element.
    """
    kind = format_of(path)
    if kind != YAML and len(elements) != 1:
        message = f"A file such as {path} holds the records of one element."
        raise ConfigurationError(message, hint="Name one element, or export to a .yaml file.")
    partial = path.with_name(f".{path.name}.partial")
    counts: dict[str, int] = {}
    try:
        with reading(repository, catalog=catalog) as session:
            names = [Shape.of(session.universe, n).element.name for n in elements]
            # In an order in which they can be inserted.
            names = [e.name for e in session.universe if e.has_table and (e.name in names or not names)]

            def counted(name: str) -> Iterator[dict[str, Any]]:
                counts[name] = 0
                for record in iter_records(session, name, where(session, name) if where is not None else None):
                    counts[name] += 1
                    yield record

            if kind == YAML:
                try:
                    with partial.open("w", encoding="utf-8") as stream:
                        write_export(stream, session.universe, ((name, counted(name)) for name in names))
                except OSError as error:
                    message = f"Cannot write {path}: {error.strerror}."
                    raise ConfigurationError(message) from error
            else:
                write = write_csv if kind == CSV else write_parquet
                write(partial, Shape.of(session.universe, names[0]), counted(names[0]))
        # Only now it is known that nothing was missed.
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return counts


def read_records(session: Session, path: Path, element: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Read the dimension records of a file, as the universe of a registry wants them.

    Parameters
    ----------
    session : `Session`
        The registry.
    path : `~pathlib.Path`
        The file.
    element : `str`, optional
        The element of a CSV or Parquet file; by default the name of the file.  Of an export file, the only element that
        is wanted.

    Returns
    -------
    records : `dict` [`str`, `list` [`dict`]]
        Records by element, in the order in which they can be inserted.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or does not fit the universe.
    RegistryStateError
        There is no such element or field.
    """
    kind = format_of(path)
    if kind == YAML:
        records = converted(read_export(path), session.universe, offsets_of(session.catalog))
        return records if element is None else {element: records.get(element, [])}
    shape = Shape.of(session.universe, element or path.stem)
    return {shape.element.name: list((read_csv if kind == CSV else read_parquet)(path, shape))}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    elements : `tuple` [`RecordReport`, ...]
        By element.
    dry_run : `bool`
        Whether nothing was written.
    """

    elements: tuple[RecordReport, ...]
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


def import_records(
    repository: Repository,
    path: Path,
    element: str | None = None,
    *,
    on_conflict: OnConflict = "fail",
    dry_run: bool = False,
    catalog: Catalog | None = None,
) -> Imported:
    """Insert the dimension records of a file, in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    path : `~pathlib.Path`
        Export file of a Butler (``.yaml``), or records of one element (``.csv``, ``.parquet``).
    element : `str`, optional
        See `read_records`.
    on_conflict : `str`, optional
        What to do with records that exist: ``fail``, ``skip`` or ``replace``.
    dry_run : `bool`, optional
        Only say what would be done.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    imported : `Imported`
        What was done.
    """

    def work(session: Session) -> Imported:
        reports: list[RecordReport] = []
        promised: dict[str, list[tuple[Any, ...]]] = {}
        for name, rows in read_records(session, path, element).items():
            plan = plan_records(session, name, rows, on_conflict=on_conflict, promised=promised)
            if dry_run:
                key = Shape.of(session.universe, name).key_of
                promised[name] = [key(row) for row in plan.new]
                reports.append(RecordReport(name, len(plan.new), len(plan.changes), plan.kept))
            else:
                reports.append(apply_records(session, plan))
        return Imported(tuple(reports), dry_run)

    if dry_run:
        return look(repository, work, catalog=catalog)
    return change(repository, f"import dimension records from {path}", work, catalog=catalog)


# -- differences --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordDifference:
    """A record that two registries do not have alike.

    Attributes
    ----------
    element : `str`
        The element.
    key : `dict` [`str`, `object`]
        Its primary key.
    first, second : `dict` or `None`
        The fields that differ, as text and numbers; `None` where the record is missing.
    """

    element: str
    key: Mapping[str, Any]
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None


def diff_records(
    first: Repository, second: Repository, elements: Sequence[str] = (), *, catalog: Catalog | None = None
) -> Iterator[RecordDifference]:
    """Compare the dimension records of two registries, without holding them in memory.

    Fields that only one of the universes has are not compared.

    Parameters
    ----------
    first, second : `Repository`
        The repositories.
    elements : `~collections.abc.Sequence` [`str`], optional
        Elements; by default all that both universes have.
    catalog : `Catalog`, optional
        The content.

    Yields
    ------
    difference : `RecordDifference`
        One record.

    Raises
    ------
    RegistryStateError
        One of the universes has no such element, or its records have other keys there.
    """
    with reading(first, catalog=catalog) as one, reading(second, catalog=catalog) as two:
        names = list(elements) or [e.name for e in one.universe if e.has_table and e.name in two.universe]
        for name in names:
            shape, other = Shape.of(one.universe, name), Shape.of(two.universe, name)
            if shape.key != other.key:
                message = f"Records of {name} cannot be compared: their keys are {shape.key} and {other.key}."
                raise RegistryStateError(message, hint="Migrate the older registry first.")
            yield from _merge(shape, set(shape.fields) & set(other.fields), one, two)


def _merge(shape: Shape, common: set[str], one: Session, two: Session) -> Iterator[RecordDifference]:
    """Walk through the records of both registries, which come in the order of their keys."""
    name = shape.element.name
    # The database sorts text by rules of its own: what has no partner yet is kept until it comes, or the end.
    waiting: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    sources = iter_records(one, name), iter_records(two, name)
    live = [True, True]
    while any(live):
        for side in (0, 1):
            record = next(sources[side], None)
            if record is None:
                live[side] = False
                continue
            key = shape.key_of(record)
            partner = waiting[1 - side].pop(key, None)
            if partner is None:
                waiting[side][key] = record
                continue
            before, after = (record, partner) if side == 0 else (partner, record)
            differ = [n for n in shape.fields if n in common and before[n] != after[n]]
            if differ:
                yield RecordDifference(
                    name,
                    dict(zip(shape.key, key, strict=True)),
                    format_record(shape, {n: before[n] for n in differ}),
                    format_record(shape, {n: after[n] for n in differ}),
                )
    for side in (0, 1):
        for key, record in waiting[side].items():
            shown = format_record(shape, {n: v for n, v in record.items() if n in common and n not in shape.key})
            yield RecordDifference(
                name,
                dict(zip(shape.key, key, strict=True)),
                shown if side == 0 else None,
                shown if side == 1 else None,
            )
