"""The shortest plain SQL for the big steps: what `scripts/benchmark migrate` compares registrytool with.

Nothing is planned, checked, locked or recorded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

NAMESPACE = "registry"
#: TAI - UTC since 2017, in ns: all that the floor has to know, since all rows are younger.
TAI_MINUS_UTC_NS = 37_000_000_000

#: For each step: the rows of the mapping on SQLite and PostgreSQL, the texts to replace in definitions, and the
#: columns with keys.
_HEX = (
    "lower(hex(randomblob(6))) || '4' || substr(lower(hex(randomblob(2))), 2) || 'a' || "
    "substr(lower(hex(randomblob(8))), 2)"
)
SWITCHES: Mapping[str, tuple[str, str, tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "datasets": (
        f"SELECT id, {_HEX} FROM dataset",
        "SELECT id AS old, gen_random_uuid() AS new FROM dataset",
        (("id INTEGER", "id CHAR(32)"), ("dataset_id BIGINT", "dataset_id CHAR(32)")),
        ("dataset_id",),
    ),
    "collections": (
        "SELECT name, row_number() OVER (ORDER BY name) FROM collection",
        "SELECT name AS old, row_number() OVER (ORDER BY name) AS new FROM collection",
        (
            ("collection_name TEXT", "collection_id BIGINT"),
            ("run_name TEXT", "run_id BIGINT"),
            ("parent VARCHAR", "parent BIGINT"),
            ("child VARCHAR", "child BIGINT"),
            ("collection_name", "collection_id"),
            ("run_name", "run_id"),
            ("REFERENCES collection (name)", "REFERENCES collection (collection_id)"),
            ("REFERENCES run (name)", "REFERENCES run (collection_id)"),
            ("REFERENCES collection(name)", "REFERENCES collection(collection_id)"),
            ("REFERENCES run(name)", "REFERENCES run(collection_id)"),
        ),
        ("collection_name", "run_name", "parent", "child"),
    ),
}


def run_floor(connection: sa.Connection, target: str) -> None:
    """Do what a step does, in the shortest way that the database has."""
    lite = connection.dialect.name == "sqlite"
    component, _, version = target.partition("=")
    if component == "dimensions-config":
        (sqlite_universe if lite else postgresql_universe)(connection)
    elif version == "2.0.0":
        (sqlite_dates if lite else postgresql_dates)(connection)
    else:
        (sqlite_switch if lite else postgresql_switch)(connection, component)


# -- SQLite ---------------------------------------------------------------------


def _rewrite(connection: sa.Connection, name: str, definition: str, query: str, indexes: list[str]) -> None:
    head, _, body = definition.partition("(")
    connection.exec_driver_sql(head.replace(name, "new_" + name) + "(" + body)
    connection.exec_driver_sql(f'INSERT INTO "new_{name}" {query}')
    connection.exec_driver_sql(f'DROP TABLE "{name}"')
    connection.exec_driver_sql(f'ALTER TABLE "new_{name}" RENAME TO "{name}"')
    for index in indexes:
        connection.exec_driver_sql(index)


def _tables(connection: sa.Connection) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
    return {str(name): str(sql) for name, sql in connection.exec_driver_sql(query)}


def _indexes(connection: sa.Connection, name: str) -> list[str]:
    query = f"SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '{name}'"
    return [str(sql) for sql in connection.exec_driver_sql(query).scalars()]


def _columns(connection: sa.Connection, name: str) -> list[str]:
    return [str(row[1]) for row in connection.exec_driver_sql(f'PRAGMA table_info("{name}")')]


def sqlite_dates(connection: sa.Connection) -> None:
    """Datasets 2.0.0: write the table of datasets again."""
    definition = _tables(connection)["dataset"].replace("TIMESTAMP DEFAULT CURRENT_TIMESTAMP", "BIGINT")
    date = (
        "strftime('%s', substr(ingest_date, 1, 19)) * 1000000000 "
        f"+ substr(ingest_date || '000000', 21, 6) * 1000 + {TAI_MINUS_UTC_NS}"
    )
    values = ", ".join(date if c == "ingest_date" else f'"{c}"' for c in _columns(connection, "dataset"))
    _rewrite(connection, "dataset", definition, f"SELECT {values} FROM dataset", _indexes(connection, "dataset"))


def sqlite_universe(connection: sa.Connection) -> None:
    """Universe 5: write all tables again that have names of instruments."""
    for name, sql in _tables(connection).items():
        if "VARCHAR(16)" in sql:
            definition = sql.replace("VARCHAR(16)", "VARCHAR(32)").replace("<=16", "<=32")
            _rewrite(connection, name, definition, f'SELECT * FROM "{name}"', _indexes(connection, name))


def sqlite_switch(connection: sa.Connection, component: str) -> None:
    """Write all tables again that have the keys."""
    rows, _, texts, _ = SWITCHES[component]
    kind = "" if component == "collections" else "INTEGER"
    connection.exec_driver_sql(f"CREATE TEMP TABLE m (old {kind} PRIMARY KEY, new)")
    connection.exec_driver_sql(f"INSERT INTO m {rows}")
    for name, sql in _tables(connection).items():
        found = _columns(connection, name)
        keys = _keys(component, name, found)
        if not keys:
            continue
        definition, values = (
            _replaced(sql, texts),
            [f"m{keys.index(c)}.new" if c in keys else f't."{c}"' for c in found],
        )
        if component == "collections" and name == "collection":
            definition = definition.replace("name TEXT NOT NULL", "collection_id INTEGER NOT NULL, name TEXT UNIQUE")
            definition = definition.replace("(name)", "(collection_id)")
            values.insert(1, "t.name")
        elif component == "collections" and name == "run":
            definition = definition.replace("name VARCHAR", "collection_id BIGINT").replace("(name)", "(collection_id)")
        _rewrite(
            connection,
            name,
            definition,
            f'SELECT {", ".join(values)} FROM "{name}" AS t {_joins(keys)}',
            [_replaced(index, texts) for index in _indexes(connection, name)],
        )


def _replaced(text: str, texts: tuple[tuple[str, str], ...]) -> str:
    for old, new in texts:
        text = text.replace(old, new)
    return text


# -- PostgreSQL -----------------------------------------------------------------


def postgresql_dates(connection: sa.Connection) -> None:
    """Datasets 2.0.0: change the type of a column."""
    connection.exec_driver_sql(
        f"ALTER TABLE {NAMESPACE}.dataset ALTER ingest_date DROP DEFAULT, ALTER ingest_date TYPE bigint "
        f"USING (extract(epoch FROM ingest_date) * 1000000)::bigint * 1000 + {TAI_MINUS_UTC_NS}"
    )


def postgresql_universe(connection: sa.Connection) -> None:
    """Universe 5: lengthen the names of instruments."""
    query = (
        "SELECT table_name, string_agg(format('ALTER %%I TYPE varchar(32)', column_name), ', ') "
        f"FROM information_schema.columns WHERE table_schema = '{NAMESPACE}' AND character_maximum_length = 16 "
        "AND (column_name = 'instrument' OR (table_name, column_name) = ('instrument', 'name')) GROUP BY 1"
    )
    for table, changes in connection.exec_driver_sql(query).all():
        connection.exec_driver_sql(f'ALTER TABLE {NAMESPACE}."{table}" {changes}')


def postgresql_switch(connection: sa.Connection, component: str) -> None:
    """Write all tables again that have the keys, and then make constraints and indexes."""
    _, rows, texts, _ = SWITCHES[component]

    def run(sql: str) -> None:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

    run("SET LOCAL search_path TO registry")
    run(f"CREATE TEMP TABLE m AS {rows}")
    run("ANALYZE m")
    query = (
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position), array_agg(is_nullable = 'NO' "
        "ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'registry' GROUP BY 1"
    )
    after: list[str] = []
    last: list[str] = []
    changes: list[list[str]] = []
    for table, found, required in connection.exec_driver_sql(query).all():
        owner = component == "collections" and table in ("run", "collection")
        keys = _keys(component, table, found)
        if not keys:
            continue
        definitions = connection.exec_driver_sql(
            "SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint "
            f"WHERE conrelid = 'registry.{table}'::regclass ORDER BY contype DESC"
        ).all()
        for name, kind, text in definitions:
            changed = _replaced(text, texts)
            changed = changed.replace("(name)", "(collection_id)") if owner else changed
            (last if kind == "f" else after).append(f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" {changed}')
        names = [d[0] for d in definitions]
        indexes = connection.exec_driver_sql(
            f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'registry' AND tablename = '{table}'"
        ).all()
        after.extend(_replaced(text, texts) for name, text in indexes if name not in names)
        renamed = [("collection_id" if owner and c == "name" else _replaced(c, texts)) for c in found]
        values = [
            f'm{keys.index(c)}.new AS "{r}"' if c in keys else f't."{c}"' for c, r in zip(found, renamed, strict=True)
        ]
        if table == "collection":
            after.append("ALTER TABLE collection ADD UNIQUE (name)")
            values.append("t.name")
        not_null = ", ".join(f'ALTER "{r}" SET NOT NULL' for r, n in zip(renamed, required, strict=True) if n)
        changes.append(
            [
                f'CREATE TABLE "new_{table}" AS SELECT {", ".join(values)} FROM "{table}" AS t {_joins(keys)}',
                f'DROP TABLE "{table}" CASCADE',
                f'ALTER TABLE "new_{table}" RENAME TO "{table}"',
                f'ALTER TABLE "{table}" {not_null}',
            ]
        )
    for statement in (*(s for statements in changes for s in statements), *after, *last):
        run(statement)


def _keys(component: str, table: str, columns: list[str]) -> list[str]:
    """Return the columns of a table that hold keys that change."""
    own = {"dataset": "id"} if component == "datasets" else {"collection": "name", "run": "name"}
    return [c for c in columns if c in SWITCHES[component][3] or own.get(table) == c]


def _joins(keys: list[str]) -> str:
    return " ".join(f'JOIN m AS m{n} ON m{n}.old = t."{c}"' for n, c in enumerate(keys))
