"""Ways to break correct content, each with the rule that must find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registrytool.check.laboratory import NAMESPACE
from tests.mutation import contents
from tests.mutation.contents import (
    ARCHIVE,
    ARCHIVE_ROWS,
    BEGIN,
    COLLECTIONS,
    INGEST,
    INGEST_ROWS,
    NOTE,
    NOTES,
    OBSERVER,
    OBSERVER_ROWS,
    SCANS,
    TOY_2,
    TOY_3,
    Tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

BASES: Mapping[str, Callable[[Path, Path], Tree]] = {
    "toy": contents.make_toy,
    "managers": contents.make_managers,
    "notes": contents.make_notes,
}


@dataclass(frozen=True)
class Mutation:
    """One way to break content.

    ``edits`` are pieces of files to replace; ``more`` does what cannot be said so.  What is released is broken after
    the release if ``released``, and released as it is then otherwise.
    """

    name: str
    base: str
    code: str
    edits: Sequence[tuple[str, str, str]] = ()
    more: Callable[[Tree], None] | None = None
    released: bool = False
    postgresql: bool = False

    def apply(self, tree: Tree) -> None:
        """Break a tree."""
        for name, old, new in self.edits:
            tree.edit(name, old, new.replace("{0}", _PLACE if self.postgresql else ""))
        if self.more is not None:
            self.more(tree)


def replace(name: str, old: str, new: str) -> tuple[tuple[str, str, str]]:
    """Say that a piece of a file is replaced."""
    return ((name, old, new),)


#: The namespace in a string of a script, whatever its quotes.
_PLACE = f'\\"{NAMESPACE}\\".'
RESHAPE = 'step.reshape(fill={"plate": {"long": _long(step.old("plate"))}})'
UP = "def upgrade(step: Step) -> None:\n"
DOWN = "def downgrade(step: Step) -> None:\n"
OBSERVER_FIELD = "      - {name: observer, type: string, length: 64}\n"
WAIVER = """\
- {{rule: {rule}, object: {object}, difference: {difference}, approval: {approval}, by: CCB, when: 2024-01-01,
   until: {until}, why: {why}}}
"""


def raw(sql: str, *, dialect: str = "") -> str:
    """Return a statement of a script that executes SQL, on all databases or on one of them."""
    statement = f"step.execute(sa.text({sql!r}))"
    return f'    if step.dialect == "{dialect}":\n        {statement}\n' if dialect else f"    {statement}\n"


def after_reshape(sql: str, dialect: str = "") -> tuple[tuple[str, str, str]]:
    """Say that the step to toy 2 does something more at its end."""
    return replace(OBSERVER, f"    {RESHAPE}\n", f"    {RESHAPE}\n{raw(sql, dialect=dialect)}")


def after_archive(sql: str, dialect: str = "") -> tuple[tuple[str, str, str]]:
    """Say that the step to collections 2.1.0 does something more at its end."""
    end = '    step.reshape(fill={"collection": {"archived": collection.c.type == 3}})\n'
    return replace(ARCHIVE, end, end + raw(sql, dialect=dialect))


def after_note(sql: str, **keep: str) -> tuple[tuple[str, str, str]]:
    """Say that the step to datasets 2.1.0 does something more at its beginning."""
    return replace(NOTE, UP, UP + raw(sql, dialect=keep.get("dialect", "postgresql")))


def waiting(timeout: str) -> tuple[tuple[str, str, str]]:
    """Say that the step to datasets 2.1.0 waits for its locks for another time."""
    set_it, set_back = (raw(f"SET LOCAL lock_timeout = '{t}'", dialect="postgresql") for t in (timeout, "5s"))
    return replace(NOTE, UP + "    step.reshape()\n", f"{UP}{set_it}    step.reshape()\n{set_back}")


def note_schema(old: str, new: str) -> tuple[tuple[str, str, str]]:
    return replace(NOTES, old, new)


NOTE_COLUMN = 'dataset.append_column(sa.Column("note", sa.Text()))'

ADD_AND_DROP = "ALTER TABLE {0}dataset ADD CONSTRAINT c %s; ALTER TABLE {0}dataset DROP CONSTRAINT c"
ASKING = (
    '    scan = step.old("scan")\n'
    '    step.refuse_loss(sa.select(*scan.primary_key.columns), "{count} scans, the first one is ({first})")\n'
)
KEY = "fkey_archive_collection_collection_id_collection_id"
OTHER_KEY = (
    f"ALTER TABLE {{0}}archive DROP CONSTRAINT {KEY}, ADD CONSTRAINT {KEY} "
    "FOREIGN KEY (collection_id) REFERENCES {0}collection (collection_id)"
)

# -- the tree of revisions -----------------------------------------------------------


def second_head(tree: Tree) -> None:
    from registrytool.naming import revision_id

    tree.copy(TOY_3, "schemas/dimensions-config/toy/4.yaml", ("version: 3", "version: 4"))
    name = "alembic/versions/dimensions-config/toy_v2_to_v4_more.py"
    new = revision_id("dimensions-config", "toy", "4")
    tree.copy(SCANS, name, ('"toy", "3"', '"toy", "4"'), ("18114554a6fa", new))


def missing_step(tree: Tree) -> None:
    tree.copy(TOY_3, "schemas/dimensions-config/toy/4.yaml", ("version: 3", "version: 4"))


STATIC = [
    Mutation("a version without a revision", "toy", "RT101", more=missing_step),
    Mutation("a revision without its version", "toy", "RT102", more=lambda t: t.delete(TOY_3)),
    Mutation("an identifier of one's own", "toy", "RT103", replace(SCANS, "18114554a6fa", "18114554a6fb")),
    Mutation("two heads", "toy", "RT105", more=second_head),
    Mutation("a step over a version", "toy", "RT107", replace(SCANS, "844b8b716e27", "5f9883672111")),
    Mutation(
        "a label of another implementation",
        "toy",
        "RT108",
        replace(BEGIN, "dimensions-config-toy", "dimensions-config-tony"),
    ),
    Mutation(
        "a dependency for Alembic", "toy", "RT109", replace(SCANS, "depends_on = None", 'depends_on = "f0a3531f97ca"')
    ),
    Mutation(
        "a need of a version that does not exist",
        "toy",
        "RT110",
        replace(SCANS, 'loses = "the scans"', 'loses = "the scans"\nneeds = {"datasets": "9.9.9"}'),
    ),
    Mutation("a script that cannot be executed", "toy", "RT111", replace(SCANS, "def upgrade(", "def upgrade((")),
    Mutation("a script without upgrade", "toy", "RT111", replace(SCANS, "def upgrade(", "def grade(")),
    Mutation("no way back and no reason", "toy", "RT112", replace(SCANS, "def downgrade(", "def _downgrade(")),
    Mutation(
        "an option that nobody declared", "toy", "RT113", replace(SCANS, UP, UP + '    step.option("resolution")\n')
    ),
    Mutation(
        "an option that nobody reads",
        "toy",
        "RT114",
        replace(SCANS, 'loses = "the scans"', 'loses = "the scans"\noptions = {"resolution": "How fine"}'),
    ),
    Mutation(
        "a schema file that imports the program",
        "managers",
        "RT116",
        replace(COLLECTIONS, "import sqlalchemy as sa\n", "import sqlalchemy as sa\nimport registrytool.naming\n"),
    ),
    Mutation("a universe under another number", "toy", "RT119", replace(TOY_3, "version: 3", "version: 33")),
    Mutation("a universe under another namespace", "toy", "RT119", replace(TOY_3, "namespace: toy", "namespace: tony")),
    Mutation("a universe that is none", "toy", "RT118", replace(TOY_3, "elements:", "element:")),
    Mutation("a circle of dimensions", "toy", "RT118", replace(TOY_3, "requires: [plate]", "requires: [scan]")),
    Mutation(
        "a file that nobody reads", "toy", "RT123", more=lambda t: t.write("schemas/dimensions-config/toy/x.yaml", "{}")
    ),
    Mutation(
        "something left to be filled in",
        "toy",
        "RT190",
        replace(OBSERVER_ROWS, "long: true", "long: FILL_IN"),
    ),
    # -- what is released
    Mutation("an edited script", "toy", "RT201", replace(OBSERVER, "600.0", "600.1"), released=True),
    Mutation(
        "an edited schema file",
        "managers",
        "RT201",
        replace(COLLECTIONS, "sa.String(16)", "sa.String(17)"),
        released=True,
    ),
    Mutation(
        "an edited comment in a script", "toy", "RT201", replace(SCANS, "The table scan", "The table"), released=True
    ),
    Mutation(
        "an edited universe",
        "toy",
        "RT203",
        replace(TOY_2, "type: string, length: 64", "type: string, length: 65"),
        released=True,
    ),
    Mutation(
        "edited words in a universe", "toy", "RT203", replace(TOY_2, "A photographic plate.", "A plate."), released=True
    ),
    Mutation(
        "a list of released files that is broken",
        "toy",
        "RT204",
        more=lambda t: t.edit("schemas/schemas.lock", "schemas/dimensions-config/toy/2.yaml", ""),
        released=True,
    ),
    # -- waivers
    Mutation(
        "an expired waiver",
        "toy",
        "RT503",
        more=lambda t: t.write(
            "schemas/waivers.yaml",
            WAIVER.format(rule="RT302", object="x", difference="y", approval="RFC-1", until="2024-02-01", why="so"),
        ),
    ),
    Mutation(
        "a waiver that covers nothing",
        "toy",
        "RT504",
        more=lambda t: t.write(
            "schemas/waivers.yaml",
            WAIVER.format(rule="RT302", object="x", difference="y", approval="RFC-1", until="2999-02-01", why="so"),
        ),
    ),
    Mutation(
        "a waiver without an approval",
        "toy",
        "RT502",
        more=lambda t: t.write(
            "schemas/waivers.yaml",
            WAIVER.format(rule="RT302", object="x", difference="y", approval='""', until="2999-02-01", why="so"),
        ),
    ),
    Mutation(
        "a waiver that is none", "toy", "RT501", more=lambda t: t.write("schemas/waivers.yaml", "- {rule: RT302}\n")
    ),
]


def delete_rows(tree: Tree) -> None:
    tree.edit(SCANS, UP, UP + raw("DELETE FROM dataset_location_trash"))
    tree.edit(SCANS, 'loses = "the scans"', 'loses = "the scans"\nclosed = "the trash goes"')
    tree.write(
        SCANS.replace(".py", ".rows.yaml"),
        "- case: the trash is empty\n"
        "  before: {dataset_location_trash: [{dataset_id: 00000000-0000-0000-0000-000000000001, datastore_name: a}]}\n"
        "  after: {dataset_location_trash: []}\n",
    )


def drop_emulsion(tree: Tree, *, declared: bool = False) -> None:
    tree.edit(TOY_3, "      - {name: emulsion, type: string, length: 32}\n", "")
    if declared:
        tree.edit(SCANS, 'loses = "the scans"', 'loses = "the scans"\ndrops = {"plate": ("emulsion",)}')
    else:
        tree.edit(SCANS, 'loses = "the scans"', 'loses = "the scans"\nclosed = "a column goes"')


def rename_emulsion(tree: Tree) -> None:
    tree.edit(TOY_3, "name: emulsion", "name: coating")
    tree.edit(SCANS, UP + "    step.reshape()", UP + '    step.reshape(renames={"plate": {"emulsion": "coating"}})')
    tree.edit(
        SCANS,
        '({first})")\n    step.reshape()',
        '({first})")\n    step.reshape(renames={"plate": {"coating": "emulsion"}})',
    )


def leap(tree: Tree) -> None:
    """Take the leap second of the middle of 1972 out of the conversion."""
    tree.edit(
        INGEST,
        "    dialect = step.dialect\n",
        "    dialect = step.dialect\n    from registrytool import timescale\n\n"
        "    everything = timescale.leap_seconds\n"
        "    timescale.leap_seconds = lambda: (everything()[0], *everything()[2:])\n",
    )
    tree.edit(
        INGEST,
        "dialect)}})\n\n\ndef downgrade",
        "dialect)}})\n    timescale.leap_seconds = everything\n\n\ndef downgrade",
    )


def cut_down(tree: Tree) -> None:
    path = tree.root / INGEST_ROWS
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("- case: TAI nanoseconds become")], encoding="utf-8")


# -- what steps do ---------------------------------------------------------------------

DYNAMIC = [
    # the way up leads elsewhere
    Mutation("a dropped column", "toy", "RT302", after_reshape("ALTER TABLE {0}plate DROP COLUMN observer")),
    Mutation("a column too many", "toy", "RT302", after_reshape("ALTER TABLE {0}plate ADD COLUMN extra TEXT")),
    Mutation(
        "a column of another name", "toy", "RT302", after_reshape("ALTER TABLE {0}plate RENAME observer TO observers")
    ),
    Mutation("a table too many", "toy", "RT302", after_reshape("CREATE TABLE {0}extra (a INTEGER)")),
    Mutation("a forgotten table", "toy", "RT302", replace(SCANS, UP + "    step.reshape()", UP + "    pass")),
    Mutation(
        "a dropped table",
        "toy",
        "RT302",
        replace(SCANS, UP + "    step.reshape()\n", UP + "    step.reshape()\n" + raw("DROP TABLE {0}scan")),
    ),
    Mutation("a forgotten index", "managers", "RT302", after_archive("DROP INDEX {0}collection_idx_type")),
    Mutation("an index too many", "managers", "RT302", after_archive("CREATE INDEX surplus ON {0}collection (doc)")),
    Mutation(
        "a unique index too many",
        "managers",
        "RT302",
        after_archive("CREATE UNIQUE INDEX surplus ON {0}collection (collection_id, type)"),
    ),
    Mutation(
        "another action of a foreign key",
        "managers",
        "RT302",
        after_archive(
            OTHER_KEY,
            "postgresql",
        ),
        postgresql=True,
    ),
    Mutation(
        "a forgotten foreign key",
        "managers",
        "RT302",
        after_archive(
            "ALTER TABLE {0}archive DROP CONSTRAINT fkey_archive_collection_collection_id_collection_id", "postgresql"
        ),
        postgresql=True,
    ),
    Mutation(
        "a foreign key that was never checked",
        "managers",
        "RT302",
        after_archive(
            OTHER_KEY + " ON DELETE CASCADE NOT VALID",
            "postgresql",
        ),
        postgresql=True,
    ),
    Mutation(
        "a forgotten default",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}collection ALTER archived DROP DEFAULT", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "another default",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}collection ALTER archived SET DEFAULT true", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "a forgotten NOT NULL",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}archive ALTER box DROP NOT NULL", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "a default too many",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}collection_chain ALTER child SET DEFAULT 1", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "another type",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}archive ALTER keeper TYPE VARCHAR(2000)", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "a forgotten unique constraint",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}archive DROP CONSTRAINT archive_unq_box", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "a constraint of another name",
        "managers",
        "RT302",
        after_archive("ALTER TABLE {0}archive RENAME CONSTRAINT archive_unq_box TO archive_box_key", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "an index of another name",
        "managers",
        "RT302",
        after_archive("ALTER INDEX {0}collection_idx_type RENAME TO collection_type", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "one database only: SQLite lacks an index",
        "managers",
        "RT302",
        after_archive("DROP INDEX collection_idx_type", "sqlite"),
    ),
    Mutation(
        "one database only: PostgreSQL has a table too many",
        "toy",
        "RT302",
        after_reshape("CREATE TABLE {0}extra (a INTEGER)", "postgresql"),
        postgresql=True,
    ),
    # the step fails
    Mutation("a script that raises", "toy", "RT301", replace(SCANS, UP, UP + '    raise ValueError("no")\n')),
    Mutation("a statement that no database knows", "toy", "RT301", replace(SCANS, UP, UP + raw("DO WHAT I MEAN"))),
    Mutation(
        "one database only: a function that PostgreSQL lacks",
        "toy",
        "RT301",
        replace(SCANS, UP, UP + raw("SELECT strftime('%Y', 1)", dialect="postgresql")),
        postgresql=True,
    ),
    Mutation(
        "NULL where that is not permitted any more",
        "managers",
        "RT301",
        replace(ARCHIVE, "collection.c.type == 3}", "sa.null()}"),
    ),
    Mutation(
        "rows that refer to nothing",
        "managers",
        "RT301",
        after_archive("INSERT INTO archive (collection_id, box) VALUES (999999, 'lost')", "sqlite"),
    ),
    Mutation("a way down that raises", "toy", "RT301", replace(SCANS, DOWN, DOWN + '    raise ValueError("no")\n')),
    Mutation(
        "a step that refuses what is permitted",
        "toy",
        "RT301",
        replace(
            SCANS, UP, UP + '    step.refuse_if(sa.select(step.old("plate").c.id), "{count} plates", "Sell them.")\n'
        ),
    ),
    # the way down leads elsewhere
    Mutation(
        "a way down that does nothing", "toy", "RT303", replace(SCANS, '({first})")\n    step.reshape()', '({first})")')
    ),
    Mutation(
        "a way down that leaves an index",
        "toy",
        "RT303",
        replace(
            SCANS,
            '({first})")\n    step.reshape()',
            '({first})")\n    step.reshape()\n' + raw("CREATE INDEX trace ON {0}plate (id)").rstrip(),
        ),
    ),
    Mutation(
        "a way down that leaves a table",
        "toy",
        "RT303",
        replace(
            SCANS,
            '({first})")\n    step.reshape()',
            '({first})")\n    step.reshape()\n' + raw("CREATE TABLE {0}scan_old (id INTEGER)").rstrip(),
        ),
    ),
    Mutation(
        "a way down that leaves an attribute",
        "toy",
        "RT303",
        replace(
            SCANS,
            '({first})")\n    step.reshape()',
            '({first})")\n    step.reshape()\n    step.set_attribute("trace", "1")',
        ),
        more=lambda t: t.write(
            SCANS.replace(".py", ".rows.yaml"),
            "- case: trace\n  direction: down\n"
            "  after: {butler_attributes: {like: {name: trace}, columns: [name], rows: [[trace]]}}\n",
        ),
    ),
    # rows
    Mutation("lost rows", "toy", "RT304", more=delete_rows),
    Mutation("values that change unseen", "toy", "RT304", after_reshape("UPDATE {0}plate SET emulsion = 'x'")),
    Mutation(
        "values that were declared to change and are not brought back",
        "toy",
        "RT304",
        (
            *after_reshape("UPDATE {0}plate SET emulsion = 'x'"),
            *replace(OBSERVER, "loses =", 'changes = {"plate": ("emulsion",)}\nloses ='),
        ),
    ),
    Mutation("a dropped column that is not declared", "toy", "RT304", more=drop_emulsion),
    Mutation(
        "a changed conversion that is not declared",
        "managers",
        "RT304",
        replace(INGEST, 'changes = {"dataset": ("ingest_date",)}\n', ""),
    ),
    # loss
    Mutation(
        "a loss without asking",
        "toy",
        "RT305",
        replace(
            SCANS,
            ASKING,
            "",
        ),
    ),
    Mutation("a loss that nobody declared", "toy", "RT305", replace(SCANS, 'loses = "the scans"\n', "")),
    # computed values
    Mutation("a wrong limit", "toy", "RT306", replace(OBSERVER, "600.0", "700.0")),
    Mutation(
        "a limit that counts for the other side", "toy", "RT306", replace(OBSERVER, "time > LONG_S", "time >= LONG_S")
    ),
    Mutation("one row of a backfill", "toy", "RT306", after_reshape("UPDATE {0}plate SET long = NULL WHERE id = 2")),
    Mutation("a forgotten backfill", "toy", "RT306", replace(OBSERVER, RESHAPE, "step.reshape()")),
    Mutation(
        "a row of test data that is wrong",
        "toy",
        "RT306",
        replace(OBSERVER_ROWS, "{id: 2, long: false", "{id: 2, long: true"),
    ),
    Mutation(
        "a missing row in a new table",
        "managers",
        "RT306",
        replace(
            ARCHIVE,
            "collection.c.type == 3)\n    step.execute",
            "sa.and_(collection.c.type == 3, collection.c.name != 'c'))\n    step.execute",
        ),
    ),
    Mutation("a leap second", "managers", "RT306", more=leap),
    Mutation(
        "one database only: a backfill of PostgreSQL",
        "toy",
        "RT306",
        after_reshape("UPDATE {0}plate SET long = false WHERE id = 1", "postgresql"),
        postgresql=True,
    ),
    Mutation(
        "one leap second of the test data",
        "managers",
        "RT306",
        replace(INGEST_ROWS, "1483228837000000000", "1483228836000000000"),
    ),
    Mutation("no test data", "toy", "RT307", more=lambda t: t.delete(OBSERVER_ROWS)),
    Mutation("no test data for the way down", "managers", "RT307", more=cut_down),
    Mutation(
        "no test data for a new table",
        "managers",
        "RT307",
        replace(
            ARCHIVE_ROWS,
            "    archive:\n      columns: [collection_id, box, keeper]\n"
            "      rows: [[2, box 2, null], [3, box 3, null]]\n",
            "",
        ),
    ),
    Mutation(
        "a required option without a value",
        "toy",
        "RT307",
        (
            *replace(OBSERVER, "loses =", 'options = {"who": "Who observed"}\nrequired_options = ("who",)\nloses ='),
            *replace(OBSERVER, UP, UP + '    step.option("who")\n'),
        ),
    ),
    Mutation(
        "a step that looks at rows in Python",
        "toy",
        "RT308",
        replace(
            SCANS,
            UP + "    step.reshape()\n",
            UP + '    if step.fetch(sa.select(step.old("plate").c.id)):\n        step.reshape()\n',
        ),
    ),
    Mutation(
        "a value that only the database knows",
        "toy",
        "RT308",
        replace(
            OBSERVER,
            RESHAPE,
            'plates = step.fetch(sa.select(step.old("plate").c.id))\n'
            '    time = step.old("plate").c.exposure_time\n'
            "    limit = 600.0 if plates else 0.0\n"
            "    long = sa.case((time > limit, sa.true()), (time <= limit, sa.false()), else_=sa.null())\n"
            '    step.reshape(fill={"plate": {"long": long}})',
        ),
    ),
]

DANGEROUS = [
    Mutation(
        "every row of a big table again",
        "notes",
        "RT401",
        after_note("CLUSTER {0}dataset USING dataset_pkey"),
        postgresql=True,
    ),
    Mutation(
        "an index of a big table",
        "notes",
        "RT402",
        note_schema(NOTE_COLUMN, NOTE_COLUMN + '\n    sa.Index("dataset_idx_note", dataset.c.note)'),
        postgresql=True,
    ),
    Mutation(
        "a check of a big table",
        "notes",
        "RT403",
        after_note(ADD_AND_DROP % "CHECK (ingest_date > 0)"),
        postgresql=True,
    ),
    Mutation(
        "a foreign key of a big table",
        "notes",
        "RT403",
        after_note(ADD_AND_DROP % "FOREIGN KEY (dataset_type_id) REFERENCES {0}dataset_type (id)"),
        postgresql=True,
    ),
    Mutation(
        "a unique constraint of a big table",
        "notes",
        "RT404",
        after_note(ADD_AND_DROP % "UNIQUE (id, dataset_type_id)"),
        postgresql=True,
    ),
    Mutation(
        "a NOT NULL of a big table",
        "notes",
        "RT405",
        after_note("ALTER TABLE {0}dataset ALTER COLUMN ingest_date SET NOT NULL"),
        postgresql=True,
    ),
    Mutation(
        "another type of a big table",
        "notes",
        "RT406",
        after_note(
            "ALTER TABLE {0}dataset ALTER COLUMN ingest_date TYPE NUMERIC; "
            "ALTER TABLE {0}dataset ALTER COLUMN ingest_date TYPE BIGINT"
        ),
        postgresql=True,
    ),
    Mutation("a lock without a timeout", "notes", "RT407", waiting("0"), postgresql=True),
    Mutation("a lock with a longer timeout", "notes", "RT407", waiting("10h"), postgresql=True),
    Mutation(
        "all rows of a big table",
        "notes",
        "RT408",
        after_note("UPDATE {0}dataset SET ingest_date = ingest_date"),
        more=lambda t: t.write(
            NOTE.replace(".py", ".rows.yaml"),
            "- case: dates stay\n"
            "  before: {dataset: [{id: 00000000-0000-0000-0000-000000000001, ingest_date: 5}]}\n"
            "  after: {dataset: [{ingest_date: 5}]}\n",
        ),
        postgresql=True,
    ),
    Mutation(
        "a column that clients read", "toy", "RT409", more=lambda t: drop_emulsion(t, declared=True), postgresql=True
    ),
    Mutation("another name of a column that clients read", "toy", "RT409", more=rename_emulsion, postgresql=True),
]
