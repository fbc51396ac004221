"""The shortest plain SQL for the big steps: what `scripts/benchmark migrate` compares registrytool with.

Nothing is planned, checked, locked or recorded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

NAMESPACE = "registry"
#: TAI - UTC since 2017, in ns: all that the floor has to know, since all rows are younger.
TAI_MINUS_UTC_NS = 37_000_000_000

_HEX = (
    "lower(hex(randomblob(6))) || '4' || substr(lower(hex(randomblob(2))), 2) || 'a' || "
    "substr(lower(hex(randomblob(8))), 2)"
)


@dataclass(frozen=True)
class Switch:
    """A switch between implementations: what the mapping of keys is, and what changes in definitions.

    ``lite_rows`` and ``rows`` are queries for old and new keys on SQLite and PostgreSQL, ``kind`` the type of an old
    key on SQLite; ``texts`` are replaced in definitions, ``columns`` hold keys.  For the tables that own the keys,
    ``own`` says which column gets which name, or goes, and ``own_texts`` what is replaced before all others.
    """

    lite_rows: str
    rows: str
    kind: str
    texts: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    own: Mapping[str, Mapping[str, str | None]]
    own_texts: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def keys(self, table: str, columns: Sequence[str]) -> list[str]:
        """Return the columns of a table that hold keys that change."""
        own = self.own.get(table, {})
        return [c for c in columns if own.get(c) or (table not in self.own and c in self.columns)]

    def definition(self, table: str, text: str) -> str:
        """Return a definition as it is afterwards."""
        for old, new in (*self.own_texts.get(table, ()), *self.texts):
            text = text.replace(old, new)
        return text

    def column(self, table: str, column: str) -> str | None:
        """Return the name of a column afterwards."""
        own = self.own.get(table, {})
        return own[column] if column in own else self.definition("", column)


_NAMES_TO_INTEGERS = (
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
)
#: By the implementation to which they lead.
SWITCHES: Mapping[str, Switch] = {
    "ByDimensionsDatasetRecordStorageManagerUUID": Switch(
        f"SELECT id, {_HEX} FROM dataset",
        "SELECT id AS old, gen_random_uuid() AS new FROM dataset",
        "INTEGER",
        (("id INTEGER", "id CHAR(32)"), ("dataset_id BIGINT", "dataset_id CHAR(32)")),
        ("dataset_id",),
        {"dataset": {"id": "id"}},
    ),
    "ByDimensionsDatasetRecordStorageManager": Switch(
        "SELECT id, row_number() OVER (ORDER BY ingest_date, id) FROM dataset",
        "SELECT id AS old, row_number() OVER (ORDER BY ingest_date, id) AS new FROM dataset",
        "",
        (("id CHAR(32)", "id INTEGER"), ("dataset_id CHAR(32)", "dataset_id BIGINT")),
        ("dataset_id",),
        {"dataset": {"id": "id"}},
    ),
    "SynthIntKeyCollectionManager": Switch(
        "SELECT name, row_number() OVER (ORDER BY name) FROM collection",
        "SELECT name AS old, row_number() OVER (ORDER BY name) AS new FROM collection",
        "",
        _NAMES_TO_INTEGERS,
        ("collection_name", "run_name", "parent", "child"),
        {"collection": {"name": "collection_id"}, "run": {"name": "collection_id"}},
        {
            "collection": (
                ("name TEXT NOT NULL", "collection_id INTEGER NOT NULL, name TEXT UNIQUE"),
                ("(name)", "(collection_id)"),
            ),
            "run": (("name VARCHAR", "collection_id BIGINT"), ("(name)", "(collection_id)")),
        },
    ),
    "NameKeyCollectionManager": Switch(
        "SELECT collection_id, name FROM collection",
        "SELECT collection_id AS old, name AS new FROM collection",
        "INTEGER",
        tuple((new, old) for old, new in sorted(_NAMES_TO_INTEGERS, key=lambda pair: -len(pair[1]))),
        ("collection_id", "run_id", "parent", "child"),
        {"collection": {"collection_id": None}, "run": {"collection_id": "name"}},
        {
            "collection": (
                ("collection_id INTEGER NOT NULL,", ""),
                ("PRIMARY KEY (collection_id)", "PRIMARY KEY (name)"),
                (", \n\tCONSTRAINT collection_unq_name UNIQUE (name)", ""),
                ("UNIQUE (name)", ""),
            ),
            "run": (("collection_id BIGINT", "name VARCHAR"), ("(collection_id)", "(name)")),
        },
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
        (sqlite_switch if lite else postgresql_switch)(connection, SWITCHES[version.partition("/")[0]])


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


def sqlite_switch(connection: sa.Connection, switch: Switch) -> None:
    """Write all tables again that have the keys."""
    connection.exec_driver_sql(f"CREATE TEMP TABLE m (old {switch.kind} PRIMARY KEY, new)")
    connection.exec_driver_sql(f"INSERT INTO m {switch.lite_rows}")
    for name, sql in _tables(connection).items():
        columns = _columns(connection, name)
        keys = switch.keys(name, columns)
        if not keys and name not in switch.own:
            continue
        values = [f"m{keys.index(c)}.new" if c in keys else f't."{c}"' for c in columns if switch.column(name, c)]
        if name == "collection" and keys:
            values.insert(1, "t.name")
        _rewrite(
            connection,
            name,
            switch.definition(name, sql),
            f'SELECT {", ".join(values)} FROM "{name}" AS t {_joins(keys)}',
            [switch.definition(name, index) for index in _indexes(connection, name)],
        )


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


def postgresql_switch(connection: sa.Connection, switch: Switch) -> None:
    """Write all tables again that have the keys, and then make constraints and indexes."""

    def run(sql: str) -> None:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

    run("SET LOCAL search_path TO registry")
    run(f"CREATE TEMP TABLE m AS {switch.rows}")
    run("ANALYZE m")
    query = (
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position), array_agg(is_nullable = 'NO' "
        "ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'registry' GROUP BY 1"
    )
    references = connection.exec_driver_sql(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) "
        "FROM pg_constraint WHERE contype = 'f' AND connamespace = 'registry'::regnamespace"
    ).all()
    written: set[str] = set()
    after: list[str] = []
    last: list[str] = []
    changes: list[list[str]] = []
    for table, found, required in connection.exec_driver_sql(query).all():
        keys = switch.keys(table, found)
        if not keys and table not in switch.own:
            continue
        written.add(table)
        definitions = connection.exec_driver_sql(
            "SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint "
            f"WHERE conrelid = 'registry.{table}'::regclass ORDER BY contype DESC"
        ).all()
        for name, kind, text in definitions:
            changed = switch.definition(table, text)
            if changed:
                (last if kind == "f" else after).append(f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" {changed}')
        names = [d[0] for d in definitions]
        indexes = connection.exec_driver_sql(
            f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'registry' AND tablename = '{table}'"
        ).all()
        after.extend(switch.definition(table, text) for name, text in indexes if name not in names)
        renamed = {c: switch.column(table, c) for c in found}
        values = [f'm{keys.index(c)}.new AS "{r}"' if c in keys else f't."{c}"' for c, r in renamed.items() if r]
        if table == "collection" and keys:
            after.append("ALTER TABLE collection ADD UNIQUE (name)")
            values.append("t.name")
        pairs = zip(renamed.values(), required, strict=True)
        not_null = ", ".join(f'ALTER "{r}" SET NOT NULL' for r, n in pairs if r and n)
        changes.append(
            [
                f'CREATE TABLE "new_{table}" AS SELECT {", ".join(values)} FROM "{table}" AS t {_joins(keys)}',
                f'DROP TABLE "{table}" CASCADE',
                f'ALTER TABLE "new_{table}" RENAME TO "{table}"',
                f'ALTER TABLE "{table}" {not_null}',
            ]
        )
    # Tables that stay as they are lose their keys to those that are dropped.
    last.extend(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}"
        for table, target, name, text in references
        if table not in written and target in written
    )
    for statement in (*(s for statements in changes for s in statements), *after, *last):
        run(statement)


def _joins(keys: list[str]) -> str:
    return " ".join(f'JOIN m AS m{n} ON m{n}.old = t."{c}"' for n, c in enumerate(keys))
