"""``registrytool calibration``."""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._datasets import FindFirst, Ids, InCollections, Where, make_query, read_ids, split
from ._output import count, say, show_table
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registrytool.maintain.calibrations import CalibrationChange
    from registrytool.maintain.certifications import CalibrationCheck, Certification, Choice
    from registrytool.maintain.timespans import Timespan

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="See and change which calibrations are valid, and when."
)


class TimeScale(enum.StrEnum):
    """Scale of times."""

    UTC = "utc"
    TAI = "tai"


_Text = Optional[str]  # noqa: UP045 (typer reads the annotation at run time)
_Names = Optional[list[str]]  # noqa: UP045
Collection = Annotated[
    str, typer.Argument(metavar="COLLECTION", help="Collection of type CALIBRATION.", show_default=False)
]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="Dataset type.", show_default=False)]
Types = Annotated[
    _Names, typer.Option("--dataset-type", "-t", metavar="TYPE", help="Dataset types, or patterns; can be repeated.")
]
Collections = Annotated[
    _Names,
    typer.Argument(metavar="COLLECTION", help="Collections, or patterns; chains are followed. None stands for all."),
]
Begin = Annotated[_Text, typer.Option(metavar="TIME", help="Begin, such as 2024-05-01T12:00:00; by default of old.")]
End = Annotated[_Text, typer.Option(metavar="TIME", help="End, which is not part of it; by default for ever.")]
Scale = Annotated[TimeScale, typer.Option("--scale", help="Time scale of what is read and shown.")]
At = Annotated[_Text, typer.Option(metavar="TIME", help="Only what is valid at a time.")]


def _time(text: str | None, scale: TimeScale) -> int | None:
    from registrytool.maintain.times import parse_time

    return None if text is None else parse_time(text, scale.value)


def _span(begin: str | None, end: str | None, scale: TimeScale) -> Timespan:
    from registrytool.maintain.timespans import Timespan

    return Timespan.of(_time(begin, scale), _time(end, scale))


def _choice(where: str | None, ids: Any, at: str | None, scale: TimeScale) -> Choice:
    from registrytool.maintain.certifications import Choice
    from registrytool.maintain.timespans import Timespan

    moment = _time(at, scale)
    return Choice(where, read_ids(ids), None if moment is None else Timespan.of(moment, moment + 1))


def _table(certifications: Sequence[Certification], scale: TimeScale, sign: str = "") -> list[tuple[Any, ...]]:
    from registrytool.maintain.times import format_time

    return [
        (
            *([sign] if sign else []),
            one.collection,
            one.dataset_type,
            ", ".join(f"{name}={value!r}" for name, value in one.data_id.items()),
            format_time(one.valid.begin, scale.value) or "-",
            format_time(one.valid.end, scale.value) or "-",
            one.dataset_id,
            one.run,
        )
        for one in certifications
    ]


_COLUMNS = ("collection", "type", "data ID", "begin", "end", "id", "run")


def _columns(scale: TimeScale) -> tuple[str, ...]:
    return tuple(f"{name} ({scale.value.upper()})" if name in ("begin", "end") else name for name in _COLUMNS)


@reads(app, "list")
def list_(
    registry: Registry,
    collections: Collections = None,
    types: Types = None,
    where: Where = None,
    ids: Ids = None,
    at: At = None,
    scale: Scale = TimeScale.UTC,
) -> None:
    """List which datasets are valid for which data IDs, and when.

    Exits with 4 if there are none.
    """
    from registrytool.maintain.certifications import list_certifications

    choice = _choice(where, ids, at, scale)
    with registry.reading() as session:
        found = list_certifications(session, split(collections), split(types), choice)
    data = {"certifications": [one.to_dict() for one in found]}

    def table() -> None:
        if found:
            show_table(_columns(scale), _table(found, scale))
        say(f"{count(len(found), 'certification')}.")

    registry.answer(data, table)
    if not found:
        raise typer.Exit(4)


@reads(app)
def check(
    registry: Registry,
    collections: Collections = None,
    types: Types = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Report times between two in which none is valid.")] = False,
    scale: Scale = TimeScale.UTC,
) -> None:
    """Look for datasets that are valid at the same time for one data ID.

    Exits with 4 if something is found.
    """
    from registrytool.maintain.certifications import check_certifications

    with registry.reading() as session:
        found = check_certifications(session, split(collections), split(types), gaps=gaps)
    registry.answer(found.to_dict(), lambda: _checked(found, scale))
    if found.problems:
        raise typer.Exit(4)


def _checked(found: CalibrationCheck, scale: TimeScale) -> None:
    rows = []
    for problem in found.problems:
        pair = [problem.first] if problem.kind == "empty" else [problem.first, problem.second]
        rows += _table(pair, scale, problem.kind)
    if rows:
        show_table(("problem", *_columns(scale)), rows)
    say(f"{count(found.certifications, 'certification')}: {count(len(found.problems), 'problem')}.")


def _change(
    registry: Registry, scale: TimeScale, act: Callable[..., CalibrationChange], verb: str | None = None
) -> None:
    """Plan, ask where certifications go, act, and answer."""

    def question(plan: CalibrationChange) -> str | None:
        return f"{verb} {count(len(plan.removed), 'dataset')} in {plan.collection}?" if plan.removed else None

    found = registry.carry_out(partial(act, catalog=registry.catalog), question if verb is not None else None)

    def table() -> None:
        rows = [*_table(found.removed, scale, "-"), *_table(found.added, scale, "+")]
        if rows:
            show_table(("", *_columns(scale)), rows)
        where = f"new collection {found.collection}" if found.new_collection else f"collection {found.collection}"
        added, removed = count(len(found.added), "certification"), len(found.removed)
        say(f"{added} {'would be ' if registry.dry_run else ''}added to the {where}, and {removed} removed.")

    registry.answer(found.to_dict(), table)


@changes(app)
def certify(
    registry: Registry,
    collection: Collection,
    dataset_type: Type,
    collections: InCollections = None,
    where: Where = None,
    find_first: FindFirst = False,
    ids: Ids = None,
    begin: Begin = None,
    end: End = None,
    scale: Scale = TimeScale.UTC,
) -> None:
    """Make datasets the valid calibrations of their data IDs for some time.

    The collection is made if there is none. Refuses where others are valid at that time.
    """
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.calibrations import certify as act

    if not collections and ids is None:
        message = "It was not said which datasets are to be certified."
        raise ConfigurationError(message, hint="Name their run by --collections, or list them by --ids.")
    query = make_query([dataset_type], collections, where, ids, find_first=find_first)
    valid = _span(begin, end, scale)
    _change(registry, scale, partial(act, registry.repository, collection, dataset_type, query, valid))


@changes(app, asks=True)
def decertify(
    registry: Registry,
    collection: Collection,
    dataset_type: Type,
    begin: Begin = None,
    end: End = None,
    where: Where = None,
    ids: Ids = None,
    scale: Scale = TimeScale.UTC,
) -> None:
    """Take validity away for some time; what reaches beyond it is cut."""
    from registrytool.maintain.calibrations import decertify as decertify_datasets

    choice, valid = _choice(where, ids, None, scale), _span(begin, end, scale)
    act = partial(decertify_datasets, registry.repository, collection, dataset_type, valid, choice)
    _change(registry, scale, act, "Decertify")


@changes(app, asks=True)
def shift(
    registry: Registry,
    collection: Collection,
    dataset_type: Type,
    by: Annotated[float, typer.Option(metavar="SECONDS", help="How much later; negative is earlier.")] = 0.0,
    begin: Annotated[_Text, typer.Option(metavar="TIME", help="New begin.")] = None,
    end: Annotated[_Text, typer.Option(metavar="TIME", help="New end.")] = None,
    where: Where = None,
    ids: Ids = None,
    at: At = None,
    scale: Scale = TimeScale.UTC,
) -> None:
    """Change when datasets are valid.

    Refuses where others would be valid at that time.
    """
    from registrytool.errors import ConfigurationError
    from registrytool.maintain.calibrations import shift as shift_certifications

    if not by and begin is None and end is None:
        message = "It was not said how validity is to change."
        raise ConfigurationError(message, hint="Say by how much with --by, or name a new --begin or --end.")
    choice = _choice(where, ids, at, scale)
    by_ns, begin_ns, end_ns = round(by * 1e9), _time(begin, scale), _time(end, scale)
    act = partial(
        shift_certifications,
        registry.repository,
        collection,
        dataset_type,
        choice,
        by_ns=by_ns,
        begin_ns=begin_ns,
        end_ns=end_ns,
    )
    _change(registry, scale, act, "Change the validity of")


@changes(app)
def copy(
    registry: Registry,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Collection of type CALIBRATION.", show_default=False)
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The same; it is made if missing.", show_default=False)
    ],
    types: Types = None,
    begin: Begin = None,
    end: End = None,
    where: Where = None,
    ids: Ids = None,
    scale: Scale = TimeScale.UTC,
) -> None:
    """Copy certifications from one collection to another; those that reach beyond the time are cut.

    Refuses where others are valid at that time.
    """
    import dataclasses

    from registrytool.maintain.calibrations import copy_certifications

    choice = _choice(where, ids, None, scale)
    if begin is not None or end is not None:
        choice = dataclasses.replace(choice, valid=_span(begin, end, scale))
    act = partial(copy_certifications, registry.repository, source, target, split(types), choice)
    _change(registry, scale, act)
