"""Sessions of PostgreSQL that are in the way: who they are and what they hold; never what they ask."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .models import _Model


@dataclass(frozen=True, slots=True)
class SessionInTheWay(_Model):
    """A session that holds locks.

    ``host`` is ``local`` for a socket of the server; ``open_s`` is how long its transaction has been open, in seconds,
    `None` where that may not be known; ``holds`` lists modes of locks with their tables.
    """

    pid: int
    user: str | None
    host: str
    application: str | None
    open_s: float | None
    holds: tuple[str, ...]

    def __str__(self) -> str:
        what = f" ({self.application})" if self.application else ""
        return f"session {self.pid} of user {self.user} from {self.host}{what}"

    def describe(self) -> str:
        """Return one line with everything."""
        since = f", in its transaction for {self.open_s:.0f} s" if self.open_s is not None else ""
        more = f" and {len(self.holds) - 4} more" if len(self.holds) > 4 else ""
        return f"{self}{since}, holds {', '.join(self.holds[:4])}{more}"


def table_lock_holders(connection: sa.Connection, namespace: str | None, mode: str = "%") -> list[SessionInTheWay]:
    """Return the sessions that hold locks on tables of a namespace.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    namespace : `str` or `None`
        PostgreSQL schema.
    mode : `str`, optional
        Kind of lock, as a pattern of LIKE.
    """
    statement = sa.text(
        "SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'local'), a.application_name, "
        "EXTRACT(epoch FROM statement_timestamp() - a.xact_start)::float, "
        "array_agg(DISTINCT l.mode || ' on ' || c.relname ORDER BY l.mode || ' on ' || c.relname) "
        "FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation AND c.relkind IN ('r', 'p') "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_stat_activity AS a ON a.pid = l.pid "
        "JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database() "
        "WHERE n.nspname = :namespace AND l.granted AND l.pid <> pg_backend_pid() AND l.mode LIKE :mode "
        "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1"
    )
    rows = connection.execute(statement, {"namespace": namespace, "mode": mode})
    return [
        SessionInTheWay(pid, user, host, application, open_s, tuple(holds))
        for pid, user, host, application, open_s, holds in rows
    ]


def advisory_lock_holders(connection: sa.Connection, keys: dict[str, int]) -> list[SessionInTheWay]:
    """Return the sessions that hold an advisory lock of this database.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    keys : `dict` [`str`, `int`]
        The halves of its key, ``a`` and ``b``.
    """
    statement = sa.text(
        "SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'local'), a.application_name, "
        "EXTRACT(epoch FROM statement_timestamp() - coalesce(a.xact_start, a.backend_start))::float "
        "FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database "
        "WHERE datname = current_database()) AND l.classid = (:a)::bigint & 4294967295 "
        "AND l.objid = (:b)::bigint & 4294967295 ORDER BY 1"
    )
    holds = ("the lock of registrytool",)
    return [
        SessionInTheWay(pid, user, host, application, open_s, holds)
        for pid, user, host, application, open_s in connection.execute(statement, keys)
    ]
