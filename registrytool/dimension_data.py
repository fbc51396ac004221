"""Dimension records that must be computed: observing days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .catalog import MAX_NSEC, MIN_NSEC
from .config import read_yaml
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .catalog import Catalog

#: Option by which the user sets offsets, and its help.
DAY_OBS_OPTION = "day_obs_offset"
DAY_OBS_HELP = "When observing days begin, for instruments that are not known: NAME:SECONDS[,NAME:SECONDS...]"

_DAY_NS = 86_400_000_000_000


def day_obs_offsets(catalog: Catalog, options: Mapping[str, str]) -> dict[str, list[tuple[int, int]]]:
    """Return when the observing day begins.

    Parameters
    ----------
    catalog : `Catalog`
        The content, which knows some instruments.
    options : `~collections.abc.Mapping` [`str`, `str`]
        What the user set; ``day_obs_offset`` adds instruments and overrides those that are known.

    Returns
    -------
    offsets : `dict` [`str`, `list` [`tuple` [`int`, `int`]]]
        By instrument: first day (YYYYMMDD) and offset in seconds from 00:00 TAI, oldest first.

    Raises
    ------
    ConfigurationError
        The option is malformed.
    """
    path = catalog.content.schema_file("day-obs-offsets.yaml")
    known = read_yaml(path) if path.exists() else {}
    result = {name: [(int(day), int(offset)) for day, offset in pieces] for name, pieces in known.items()}
    for item in filter(None, options.get(DAY_OBS_OPTION, "").split(",")):
        name, _, seconds = item.rpartition(":")
        try:
            result[name.strip()] = [(0, int(seconds))]
        except ValueError as error:
            message = f"{item!r} does not say when an observing day begins."
            raise ConfigurationError(message, hint=f"It is set by --set {DAY_OBS_OPTION}=NAME:SECONDS.") from error
    return result


def day_obs_rows(
    days: sa.FromClause, target: sa.Table, offsets: Mapping[str, list[tuple[int, int]]], dialect: str
) -> sa.Select[Any]:
    """Return a query for records of observing days.

    Parameters
    ----------
    days : `sqlalchemy.FromClause`
        Distinct ``instrument`` and ``day_obs``.
    target : `sqlalchemy.Table`
        The table ``day_obs``; the columns of the query are in its order.
    offsets : `~collections.abc.Mapping`
        When observing days begin, by instrument; the timespan of others is NULL.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    """
    instrument, day = days.c.instrument, days.c.day_obs
    begin: sa.ColumnElement[Any] = sa.null()
    if offsets:
        begin = _day_start(day, dialect) + sa.case(
            *(
                (sa.and_(instrument == name, day >= first), _int(offset * 1_000_000_000))
                for name, pieces in offsets.items()
                # The newest piece first, since the first match counts.
                for first, offset in sorted(pieces, reverse=True)
            ),
            else_=sa.null(),
        )
    begin = sa.cast(begin, sa.BigInteger)
    end = begin + _int(_DAY_NS)
    if dialect == "sqlite":
        return sa.select(instrument, day, begin, end)
    span = sa.case((begin.is_not(None), sa.func.int8range(begin, end)), else_=sa.null())
    return sa.select(instrument, day, sa.cast(span, target.c.timespan.type))


def _day_start(day: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Return 00:00 of a day YYYYMMDD in ns since 1970; NULL if there is no such day in the time of the format."""
    if dialect == "sqlite":
        text = sa.cast(day, sa.Text())
        parts = [sa.func.substr(text, start, length) for start, length in ((1, 4), (5, 2), (7, 2))]
        date: sa.ColumnElement[Any] = parts[0].concat("-").concat(parts[1]).concat("-").concat(parts[2])
        # A day that does not exist is turned into one that does only if something is added to it.
        written, seconds = sa.func.strftime("%Y%m%d", date, "+0 days"), sa.func.strftime("%s", date)
    else:
        # make_date fails for a month that does not exist; a day that does not exist is another one when written again.
        month = sa.func.least(sa.func.greatest(day // _int(100) % _int(100), _int(1)), _int(12))
        first = sa.func.make_date(sa.cast(day // _int(10000), sa.Integer), sa.cast(month, sa.Integer), _int(1))
        date = first.op("+", return_type=sa.Date())(sa.cast(day % _int(100) - _int(1), sa.Integer))
        written, seconds = sa.func.to_char(date, sa.literal_column("'YYYYMMDD'")), sa.func.date_part("epoch", date)
    start = sa.cast(seconds, sa.BigInteger) * _int(1_000_000_000)
    exists = sa.case((sa.cast(written, sa.BigInteger) == day, start), else_=sa.null())
    return sa.case((day.between(_int(19700101), _int(20991231)), exists), else_=sa.null())


def _int(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.BigInteger())


def add_day_obs(
    execute: Callable[[Any], Any], target: sa.Table, days: sa.SelectBase, offsets: Mapping[str, Any], dialect: str
) -> None:
    """Insert records of observing days that are missing.

    Parameters
    ----------
    execute : callable
        Executes a statement.
    target : `sqlalchemy.Table`
        The table ``day_obs``.
    days : `sqlalchemy.Select`
        Distinct ``instrument`` and ``day_obs``.
    offsets : `~collections.abc.Mapping`
        When observing days begin.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    """
    wanted = days.subquery("days")
    present = target.alias("present")
    rows = day_obs_rows(wanted, target, offsets, dialect).where(
        ~sa.exists().where(present.c.instrument == wanted.c.instrument, present.c.id == wanted.c.day_obs)
    )
    execute(sa.insert(target).from_select([c.name for c in target.columns], rows))


def complete_visits(
    execute: Callable[[Any], Any],
    tables: Callable[[str], sa.Table],
    offsets: Mapping[str, list[tuple[int, int]]],
    dialect: str,
) -> None:
    """Give visits without an observing day the one of their exposures, or else the one in which they began.

    The second needs to know when observing days begin; visits of other instruments are left as they are.

    Parameters
    ----------
    execute : callable
        Executes a statement.
    tables : callable
        Returns the definition of a table.
    offsets : `~collections.abc.Mapping`
        When observing days begin, by instrument.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    """
    visit, exposure, definition = tables("visit"), tables("exposure"), tables("visit_definition")
    same_exposure = sa.and_(definition.c.instrument == exposure.c.instrument, definition.c.exposure == exposure.c.id)
    of_exposure = (
        sa.select(sa.func.min(exposure.c.day_obs))
        .select_from(definition.join(exposure, same_exposure))
        .where(definition.c.instrument == visit.c.instrument, definition.c.visit == visit.c.id)
        .correlate(visit)
        .scalar_subquery()
    )
    unknown = visit.c.day_obs.is_(None)
    execute(sa.update(visit).where(unknown).values(day_obs=of_exposure))
    if offsets:
        execute(sa.update(visit).where(unknown).values(day_obs=day_of_begin(visit, offsets, dialect)))


def day_of_begin(visit: sa.Table, offsets: Mapping[str, list[tuple[int, int]]], dialect: str) -> sa.ColumnElement[Any]:
    """Return the observing day in which a record begins; NULL where that is not known."""
    begin = visit.c.timespan_begin if dialect == "sqlite" else sa.func.lower(visit.c.timespan)
    # The bounds of time stand for "no bound" and for an empty timespan.
    bounded = sa.func.nullif(sa.func.nullif(sa.cast(begin, sa.BigInteger), _int(MIN_NSEC)), _int(MAX_NSEC))
    seconds = sa.cast(bounded, sa.BigInteger) // _int(1_000_000_000)

    def day(moment: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        if dialect == "sqlite":
            return sa.cast(sa.func.strftime("%Y%m%d", moment, "unixepoch"), sa.BigInteger)
        utc = sa.func.timezone("UTC", sa.func.to_timestamp(moment))
        return sa.cast(sa.func.to_char(utc, sa.literal_column("'YYYYMMDD'")), sa.BigInteger)

    return sa.case(
        *(
            (
                sa.and_(visit.c.instrument == name, day(seconds) >= first),
                day(seconds - _int(offset)),
            )
            for name, pieces in offsets.items()
            for first, offset in sorted(pieces, reverse=True)
        ),
        else_=sa.null(),
    )
