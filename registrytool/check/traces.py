"""What a step can leave in a database that no snapshot describes.

A snapshot defines tables, constraints, indexes and sequences (`registrytool.structure`).  A database has more:
triggers, views, functions, rights, storage, settings of the session.  No version of a registry has any of it, so that
a step is compared with what there was before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.models import Difference

from .rows import sequence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Kind, table, name and description of what is not as PostgreSQL makes a table by itself.  Of indexes: descending,
#: carrying other columns along, NULLs that are alike, in another order than that of the type.  What a session sets
#: until its end, or for the rest of the transaction, is there for the next step.
_POSTGRESQL = r"""
WITH place AS (SELECT oid FROM pg_namespace WHERE nspname = :namespace)
SELECT 'trigger', c.relname, t.tgname, pg_get_triggerdef(t.oid)
  FROM pg_trigger AS t
  JOIN pg_class AS c ON c.oid = t.tgrelid
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND NOT t.tgisinternal
UNION ALL
SELECT DISTINCT 'trigger', c.relname, COALESCE(k.conname, t.tgname), 'disabled'
  FROM pg_trigger AS t
  JOIN pg_class AS c ON c.oid = t.tgrelid
  LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND t.tgenabled <> 'O'
UNION ALL
SELECT 'rule', c.relname, r.rulename, pg_get_ruledef(r.oid)
  FROM pg_rewrite AS r
  JOIN pg_class AS c ON c.oid = r.ev_class
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relkind IN ('r', 'p')
  AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', c.relname, p.polname, 'defined'
  FROM pg_policy AS p
  JOIN pg_class AS c ON c.oid = p.polrelid
  WHERE c.relnamespace = (SELECT oid FROM place)
UNION ALL
SELECT 'view', c.relname, c.relname, pg_get_viewdef(c.oid)
  FROM pg_class AS c
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relkind IN ('v', 'm')
UNION ALL
SELECT 'storage', c.relname, c.relname, concat_ws(', ', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
    CASE WHEN c.relrowsecurity THEN 'row security' END, array_to_string(c.reloptions, ', '),
    CASE WHEN c.relreplident NOT IN ('d', 'n') THEN 'replica identity' END)
  FROM pg_class AS c
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relkind IN ('r', 'p', 'i', 'S')
UNION ALL
SELECT 'owner', c.relname, c.relname, pg_get_userbyid(c.relowner)
  FROM pg_class AS c
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relkind IN ('r', 'p', 'S')
  AND c.relowner <> current_user\:\:regrole
UNION ALL
SELECT 'rights', c.relname, c.relname, c.relacl\:\:text
  FROM pg_class AS c
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relacl IS NOT NULL
UNION ALL
SELECT 'column', c.relname, a.attname, concat_ws(', ',
    CASE WHEN a.attcollation <> y.typcollation THEN 'collation ' || a.attcollation\:\:regcollation END,
    CASE a.attgenerated WHEN 's' THEN 'generated' END, CASE WHEN a.attacl IS NOT NULL THEN 'rights' END)
  FROM pg_attribute AS a
  JOIN pg_class AS c ON c.oid = a.attrelid
  JOIN pg_type AS y ON y.oid = a.atttypid
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND c.relkind IN ('r', 'p')
  AND a.attnum > 0
  AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', c.relname, k.conname, concat_ws(', ', CASE WHEN k.contype <> 'f'
  AND k.condeferrable THEN 'deferrable' END, CASE k.confmatchtype WHEN 'f' THEN 'match full' END)
  FROM pg_constraint AS k
  JOIN pg_class AS c ON c.oid = k.conrelid
  WHERE c.relnamespace = (SELECT oid FROM place)
UNION ALL
SELECT 'index', t.relname, c.relname, substring(pg_get_indexdef(i.indexrelid)
  FROM ' USING .*')
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid
  WHERE c.relnamespace = (SELECT oid FROM place)
  AND pg_get_indexdef(i.indexrelid) ~ '\) INCLUDE \(| DESC\y| NULLS (NOT|FIRST|LAST)\y|_ops\y| COLLATE '
UNION ALL
SELECT 'sequence', c.relname, c.relname, concat_ws(', ', CASE WHEN s.seqcycle THEN 'cycles' END,
    CASE WHEN s.seqcache <> 1 THEN 'cache ' || s.seqcache END,
    CASE WHEN s.seqmin <> 1 THEN 'from ' || s.seqmin END, CASE WHEN s.seqmax NOT IN (9223372036854775807,
    2147483647, 32767) THEN 'to ' || s.seqmax END)
  FROM pg_sequence AS s
  JOIN pg_class AS c ON c.oid = s.seqrelid
  WHERE c.relnamespace = (SELECT oid FROM place)
UNION ALL
SELECT 'function', '', p.proname, '(' || pg_get_function_identity_arguments(p.oid) || ')'
  FROM pg_proc AS p
  WHERE p.pronamespace = (SELECT oid FROM place)
UNION ALL
SELECT 'type', '', y.typname, y.typtype\:\:text
  FROM pg_type AS y
  LEFT JOIN pg_class AS c ON c.oid = y.typrelid
  WHERE y.typnamespace = (SELECT oid FROM place)
  AND y.typcategory <> 'A'
  AND (c.oid IS NULL OR c.relkind = 'c')
UNION ALL
SELECT 'setting', '', name, setting FROM pg_settings WHERE source = 'session'
"""
_SQLITE = """
SELECT type, tbl_name, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')
UNION ALL
SELECT 'column', m.name, x.name, 'generated'
  FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS x
  WHERE m.type = 'table'
  AND x.hidden <> 0
UNION ALL
SELECT 'index', m.tbl_name, m.name, group_concat(CASE WHEN x.desc THEN 'descending ' ELSE '' END || x.coll)
  FROM sqlite_master AS m, pragma_index_xinfo(m.name) AS x
  WHERE m.type = 'index'
  AND x.key
  AND (x.desc OR x.coll <> 'BINARY')
  GROUP BY m.tbl_name, m.name
"""
#: Kept in the file, or for as long as the connection lasts.
_PRAGMAS = ("application_id", "user_version", "writable_schema", "foreign_keys", "ignore_check_constraints")

#: Things of their own; the others are states of tables, columns, constraints, indexes, sequences and sessions.
_OBJECTS = ("trigger", "rule", "policy", "view", "function", "type")

Trace = tuple[str, str, str]


def read_traces(connection: sa.Connection, namespace: str | None) -> dict[Trace, str]:
    """Read everything of a registry that no snapshot describes.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database, in a transaction.
    namespace : `str` or `None`
        PostgreSQL schema.

    Returns
    -------
    traces : `dict`
        Descriptions by kind, table and name.
    """
    sqlite = connection.dialect.name == "sqlite"
    query, values = (_SQLITE, {}) if sqlite else (_POSTGRESQL, {"namespace": namespace or "public"})
    rows = connection.execute(sa.text(query), values)
    found: dict[Trace, str] = {(kind, table, name): what for kind, table, name, what in rows if what}
    if sqlite:
        for name in _PRAGMAS:
            found["setting", "", name] = str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())
    return found


def new_traces(before: Mapping[Trace, str], after: Mapping[Trace, str]) -> Iterator[Difference]:
    """List what a step has left, or changed, that no snapshot describes; what went with its table is not missed.

    Parameters
    ----------
    before, after : `~collections.abc.Mapping`
        What `read_traces` returned before and after the step.

    Yields
    ------
    difference : `Difference`
        One trace.
    """
    for trace, what in after.items():
        if before.get(trace) != what:
            kind, table, name = trace
            aspect = "unexpected" if kind in _OBJECTS else "state"
            yield Difference(table, kind, name, aspect, before.get(trace), what)
    for trace in before.keys() - after.keys():
        kind, table, name = trace
        if kind == "setting":
            yield Difference(table, kind, name, "missing", before[trace], None)


def sequences_behind(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[Difference]:
    """List the sequences that would give numbers again which rows have.

    Parameters
    ----------
    connection : `sqlalchemy.Connection`
        Connection to the database.
    metadata : `sqlalchemy.MetaData`
        What the registry consists of.

    Yields
    ------
    difference : `Difference`
        One sequence.
    """
    if connection.dialect.name != "postgresql":
        return
    plain = connection.execution_options(no_parameters=True)
    for table in metadata.tables.values():
        for column in table.columns:
            if not column.info.get("sequence"):
                continue
            name = sequence_of(column)
            following = plain.exec_driver_sql(f"SELECT last_value + is_called::int FROM {name}").scalar_one()
            highest = connection.scalar(sa.select(sa.func.max(column)))
            if highest is not None and following <= highest:
                number, wanted = f"goes on with {following}", f"goes on after {highest}"
                yield Difference("", "sequence", name, "number", wanted, number)
