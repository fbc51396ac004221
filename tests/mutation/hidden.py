"""Ways to break content that look harmless: behind a comment, in a block of code, in a declaration, in the session."""

from __future__ import annotations

from tests.mutation.contents import ARCHIVE, NOTE, OBSERVER, OBSERVER_ROWS, SCANS, TOY_3, Tree
from tests.mutation.ways import RESHAPE, UP, WAIVER, Mutation, after_archive, after_note, after_reshape, raw, replace

DATES_STAY = (
    "- case: dates stay\n"
    "  before: {dataset: [{id: 00000000-0000-0000-0000-000000000001, ingest_date: 5}]}\n"
    "  after: {dataset: [{ingest_date: 5}]}\n"
)
LOSES = 'loses = "the scans"'
UPDATE = "UPDATE {0}dataset SET ingest_date = ingest_date"
NOT_NULL = "ALTER TABLE {0}dataset ALTER COLUMN ingest_date SET NOT NULL"
END_OF_NOTE = UP + "    step.reshape()\n"


def with_dates(tree: Tree) -> None:
    """Say which values come out, so that only the way to them is bad."""
    tree.write(NOTE.replace(".py", ".rows.yaml"), DATES_STAY)


def waive_everything(tree: Tree) -> None:
    for script in (OBSERVER, SCANS):
        tree.edit(script, "def downgrade(", "def _downgrade(")
    text = WAIVER.format(
        rule="RT112", object="", difference="no downgrade", approval="RFC-1", until="2999-02-01", why="so"
    )
    tree.write("schemas/waivers.yaml", text)


def no_downgrade_approved(tree: Tree) -> None:
    tree.edit(SCANS, "def downgrade(", "def _downgrade(")
    about = "dimensions-config toy 3"
    text = WAIVER.format(
        rule="RT112", object=about, difference="no downgrade", approval="RFC-1", until="2999-02-01", why="so"
    )
    tree.write("schemas/waivers.yaml", text)


def observer_rows(*changes: tuple[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((OBSERVER_ROWS, old, new) for old, new in changes)


def declare(what: str) -> tuple[tuple[str, str, str]]:
    """Say that the step to toy 3 declares something more."""
    return replace(SCANS, LOSES, f"{LOSES}\n{what}")


HIDDEN = [
    # what is sent to the database
    Mutation(
        "rows of a big table, after WITH",
        "notes",
        "RT408",
        after_note(f"WITH a AS (SELECT 1) {UPDATE}"),
        more=with_dates,
        postgresql=True,
    ),
    Mutation(
        "rows of a big table, in a block",
        "notes",
        "RT408",
        after_note(f"DO $$ BEGIN IF true THEN {UPDATE}; END IF; END $$"),
        more=with_dates,
        postgresql=True,
    ),
    Mutation(
        "a NOT NULL behind a comment and another statement",
        "notes",
        "RT405",
        after_note(f"/* ; */ SELECT 1; -- now\n{NOT_NULL}"),
        postgresql=True,
    ),
    Mutation(
        "a NOT NULL in a string of a block",
        "notes",
        "RT405",
        after_note(f"DO $$ BEGIN EXECUTE '{NOT_NULL}'; END $$"),
        postgresql=True,
    ),
    Mutation("indexes of a big table again", "notes", "RT402", after_note("REINDEX TABLE {0}dataset"), postgresql=True),
    Mutation(
        "no timeout for the next step",
        "notes",
        "RT302",
        replace(NOTE, END_OF_NOTE, END_OF_NOTE + raw("SET LOCAL lock_timeout = 0", dialect="postgresql")),
        postgresql=True,
    ),
    Mutation("the end of the transaction", "toy", "RT301", after_reshape("COMMIT")),
    Mutation(
        "the end of the transaction on PostgreSQL",
        "toy",
        "RT301",
        after_reshape("COMMIT", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "the namespace of one repository",
        "toy",
        "RT301",
        after_reshape("UPDATE registry.plate SET long = long", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "a sequence that begins again",
        "managers",
        "RT302",
        after_archive("ALTER SEQUENCE {0}collection_seq_collection_id RESTART WITH 1", "postgresql"),
        postgresql=True,
    ),
    # what test data says
    Mutation(
        "test data without the column",
        "toy",
        "RT307",
        (
            *observer_rows(("long: true, ", ""), ("long: false, ", ""), ("long: null, ", "")),
            *replace(OBSERVER, "600.0", "700.0"),
        ),
    ),
    Mutation(
        "test data without rows",
        "toy",
        "RT307",
        more=lambda t: t.write(OBSERVER_ROWS, "- case: x\n  after: {plate: {columns: [long], rows: []}}\n"),
    ),
    Mutation(
        "NULL that is lost",
        "toy",
        "RT307",
        (
            *replace(
                OBSERVER,
                RESHAPE,
                RESHAPE.replace("}})", ', "emulsion": sa.func.coalesce(step.old("plate").c.emulsion, "x")}})'),
            ),
            *replace(OBSERVER, "loses =", 'drops = {"plate": ("emulsion",)}\nloses ='),
        ),
    ),
    # what is declared
    Mutation("a loss that is a blank", "toy", "RT125", replace(SCANS, LOSES, 'loses = " "')),
    Mutation("a closed repository without a reason", "toy", "RT125", declare('closed = ""')),
    Mutation("a variable that nobody reads", "toy", "RT125", declare('drop = {"plate": ("emulsion",)}')),
    Mutation("a phase that there is not", "toy", "RT125", declare('phase = "contracts"')),
    Mutation("a dropped column that never was", "toy", "RT304", declare('drops = {"plate": ("emulsions",)}')),
    Mutation("a property that columns do not have", "toy", "RT118", replace(TOY_3, "length: 64", "lenght: 64")),
    # what is asked
    Mutation("a question about another table", "toy", "RT305", replace(SCANS, 'step.old("scan")', 'step.old("plate")')),
    Mutation(
        "half of a question",
        "managers",
        "RT305",
        replace(
            ARCHIVE,
            "    step.refuse_loss(sa.select(collection.c.name).where(collection.c.archived), "
            '"{count} marks of the archive")\n',
            "",
        ),
    ),
    # what is approved
    Mutation("a waiver for any version", "toy", "RT505", more=waive_everything),
]

#: What a step leaves on PostgreSQL that no snapshot describes: the statement, and what is said of it.
TRACES = {
    "CREATE FUNCTION {0}f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'": "function f is unexpected",
    "CREATE TRIGGER t BEFORE INSERT ON {0}run FOR EACH ROW EXECUTE FUNCTION {0}f()": "run: trigger t is unexpected",
    "CREATE VIEW {0}v AS SELECT 1 AS a": "v: view v is unexpected",
    "CREATE TYPE {0}mood AS ENUM ('a')": "type mood is unexpected",
    "CREATE RULE r AS ON DELETE TO {0}run DO INSTEAD NOTHING": "run: rule r is unexpected",
    "ALTER TABLE {0}run ENABLE ROW LEVEL SECURITY": "run: storage run: state is 'row security', expected None",
    "CREATE POLICY p ON {0}run": "run: policy p is unexpected",
    "ALTER TABLE {0}archive SET (fillfactor=10)": "archive: storage archive: state is 'fillfactor=10', expected None",
    "ALTER TABLE {0}archive DISABLE TRIGGER ALL": (
        "archive: trigger fkey_archive_collection_collection_id_collection_id is unexpected"
    ),
    'ALTER TABLE {0}run ALTER host TYPE text COLLATE "C"': (
        "run: column host: state is 'collation \"C\"', expected None"
    ),
    "ALTER SEQUENCE {0}collection_seq_collection_id CYCLE": (
        "collection_seq_collection_id: sequence collection_seq_collection_id: state is 'cycles', expected None"
    ),
    "DROP INDEX {0}collection_idx_type": None,
    "CREATE INDEX collection_idx_type ON {0}collection (type DESC)": (
        "collection: index collection_idx_type: state is ' USING btree (type DESC)', expected None"
    ),
    "ALTER TABLE {0}archive DROP CONSTRAINT archive_unq_box": None,
    "ALTER TABLE {0}archive ADD CONSTRAINT archive_unq_box UNIQUE NULLS NOT DISTINCT (box) DEFERRABLE": (
        "archive: constraint archive_unq_box: state is 'deferrable', expected None"
    ),
    "SET LOCAL search_path = pg_catalog": "setting search_path: state is 'pg_catalog', expected None",
}
#: The same on SQLite.
SQLITE_TRACES = {
    "CREATE TRIGGER t BEFORE INSERT ON plate BEGIN SELECT 1; END": "plate: trigger t is unexpected",
    "CREATE VIEW v AS SELECT 1 AS a": "v: view v is unexpected",
    "PRAGMA user_version = 7": "setting user_version: state is '7', expected '0'",
}
