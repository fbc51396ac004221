"""Correct contents to break: small ones, so that each of many breaks is checked in a moment."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registrytool.check.lock import LOCK, release
from registrytool.config import Content
from registrytool.naming import revision_id

if TYPE_CHECKING:
    from collections.abc import Collection

PROJECT = Path(__file__).parents[2]
THIRD_PARTY = PROJECT / "tests" / "data" / "thirdparty"

TOY_1 = "schemas/dimensions-config/toy/1.yaml"
TOY_2 = "schemas/dimensions-config/toy/2.yaml"
TOY_3 = "schemas/dimensions-config/toy/3.yaml"
BEGIN = "alembic/versions/dimensions-config/toy_v1.py"
OBSERVER = "alembic/versions/dimensions-config/toy_v1_to_v2_observer.py"
OBSERVER_ROWS = "alembic/versions/dimensions-config/toy_v1_to_v2_observer.rows.yaml"
SCANS = "alembic/versions/dimensions-config/toy_v2_to_v3_scans.py"

_UUID = "ByDimensionsDatasetRecordStorageManagerUUID"
INGEST = "alembic/versions/datasets/uuid_v1_0_0_to_v2_0_0_ingest_date_tai.py"
INGEST_ROWS = "alembic/versions/datasets/uuid_v1_0_0_to_v2_0_0_ingest_date_tai.rows.yaml"
DATASETS = f"schemas/datasets/{_UUID}/v2_0_0.py"
COLLECTIONS = "schemas/collections/SynthIntKeyCollectionManager/v2_1_0.py"
ARCHIVE = "alembic/versions/collections/synth_int_v2_0_0_to_v2_1_0_archive.py"
ARCHIVE_ROWS = "alembic/versions/collections/synth_int_v2_0_0_to_v2_1_0_archive.rows.yaml"
NOTES = f"schemas/datasets/{_UUID}/v2_1_0.py"
NOTE = "alembic/versions/datasets/uuid_v2_0_0_to_v2_1_0_note.py"


@dataclass(frozen=True)
class Tree:
    """A content folder that can be broken."""

    root: Path
    below: Path

    @property
    def content(self) -> Content:
        """The content, over what lies below it."""
        return Content(self.root.resolve(), Content(self.below.resolve()))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file that must be there."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not have {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def copy(self, name: str, new: str, *changes: tuple[str, str]) -> None:
        """Copy a file, with other pieces of text."""
        self.write(new, (self.root / name).read_text(encoding="utf-8"))
        for old, wanted in changes:
            self.edit(new, old, wanted)

    def delete(self, name: str) -> None:
        """Remove a file."""
        (self.root / name).unlink()

    def files(self) -> dict[str, bytes]:
        """Return all files by name."""
        paths = (p for p in self.root.rglob("*") if p.is_file() and p.suffix != ".pyc")
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}

    def lock(self) -> None:
        """Release everything as it is now."""
        (self.root / "schemas" / LOCK).unlink(missing_ok=True)
        release(self.content)

    def unlock(self, changed: Collection[str]) -> None:
        """Take back the release of files, and of the steps that have to do with them."""
        stems = {name.partition(".")[0] for name in changed if name.startswith("alembic/")}
        components = {name.split("/")[1] for name in changed if name.startswith("schemas/")}
        path = self.root / "schemas" / LOCK
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            name = line.split()[-1]
            if name.partition(".")[0] in stems or name in changed:
                continue
            if name.startswith("alembic/") and name.split("/")[2] in components:
                continue
            kept.append(line)
        path.write_text("".join(kept), encoding="utf-8")


def make_below(folder: Path) -> Path:
    """Copy the content of the project, without its releases: steps begin in newest states only."""
    for name in ("schemas", "alembic"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("releases.yaml", "schemas.lock"):
        (folder / "schemas" / name).unlink(missing_ok=True)
    return folder


def make_toy(folder: Path, below: Path) -> Tree:
    """Make the content of another project: three versions of a small universe."""
    shutil.copytree(THIRD_PARTY, folder, ignore=shutil.ignore_patterns("__pycache__", "schemas.lock"))
    return Tree(folder, below)


def make_managers(folder: Path, below: Path) -> Tree:
    """Make content with steps of managers: the ingest dates of datasets, and an archive of collections."""
    tree = _begin(folder, below)
    for name in (INGEST, INGEST_ROWS, DATASETS):
        tree.write(name, (PROJECT / name).read_text(encoding="utf-8"))
    tree.write(COLLECTIONS, _COLLECTIONS)
    up = revision_id("collections", "SynthIntKeyCollectionManager", "2.1.0")
    down = revision_id("collections", "SynthIntKeyCollectionManager", "2.0.0")
    tree.write(ARCHIVE, _ARCHIVE.format(up=up, down=down))
    tree.write(ARCHIVE_ROWS, _ARCHIVE_ROWS)
    return tree


def make_notes(folder: Path, below: Path) -> Tree:
    """Make content with a step that does nothing dangerous to a big table."""
    tree = _begin(folder, below)
    tree.write(NOTES, _NOTES)
    up, down = (revision_id("datasets", _UUID, v) for v in ("2.1.0", "2.0.0"))
    tree.write(NOTE, _NOTE.format(up=up, down=down))
    return tree


def _begin(folder: Path, below: Path) -> Tree:
    tree = Tree(folder, below)
    for name in (TOY_1, BEGIN):
        tree.write(name, (THIRD_PARTY / name).read_text(encoding="utf-8"))
    return tree


def without_moved(below: Path) -> None:
    """Take away from below what the content of managers has itself."""
    for name in (INGEST, INGEST_ROWS, DATASETS):
        (below / name).unlink()


_COLLECTIONS = '''"""Collections with integer keys, 2.1.0: collections can be archived in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder

REFERENCES = {
    "collection": ("collection_id", sa.BigInteger(), "collection", "collection_id"),
    "run": ("run_id", sa.BigInteger(), "run", "collection_id"),
}


def tables(registry: Builder) -> None:
    registry.table(
        "collection",
        registry.autoincrement("collection_id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("doc", sa.Text()),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        registry.unique("name"),
        registry.index("type"),
    )
    registry.table(
        "run",
        registry.reference("collection", primary_key=True),
        sa.Column("host", sa.Text()),
        *registry.timespan(),
        registry.reference_key("collection", ondelete="CASCADE"),
    )
    registry.table(
        "collection_chain",
        registry.reference("collection", column="parent", primary_key=True),
        sa.Column("position", sa.SmallInteger(), primary_key=True),
        registry.reference("collection", column="child"),
        registry.reference_key("collection", column="parent", ondelete="CASCADE"),
        registry.reference_key("collection", column="child"),
    )
    registry.table(
        "archive",
        registry.reference("collection", primary_key=True),
        sa.Column("box", sa.String(16), nullable=False),
        sa.Column("keeper", sa.Text()),
        registry.reference_key("collection", ondelete="CASCADE"),
        registry.unique("box"),
    )
'''

_ARCHIVE = '''"""Let collections be archived.

Chains are archived from the beginning.  Going back loses the archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.1.0"

revision = "{up}"
down_revision = "{down}"
branch_labels = None
depends_on = None

loses = "the archive"


def upgrade(step: Step) -> None:
    collection = step.old("collection")
    step.create_tables()
    box = sa.literal_column("'box '").concat(sa.cast(collection.c.collection_id, sa.Text()))
    boxes = sa.select(collection.c.collection_id, box).where(collection.c.type == 3)
    step.execute(sa.insert(step.new("archive")).from_select(["collection_id", "box"], boxes))
    step.reshape(fill={{"collection": {{"archived": collection.c.type == 3}}}})


def downgrade(step: Step) -> None:
    collection, archive = step.old("collection"), step.old("archive")
    step.refuse_loss(sa.select(archive.c.collection_id), "{{count}} archived collections")
    step.refuse_loss(sa.select(collection.c.name).where(collection.c.archived), "{{count}} marks of the archive")
    step.reshape()
'''

_ARCHIVE_ROWS = """\
- case: chains are in the archive
  before:
    collection:
      columns: [collection_id, name, type]
      rows: [[1, a, 1], [2, b, 3], [3, c, 3]]
  after:
    collection:
      columns: [collection_id, archived]
      rows: [[1, false], [2, true], [3, true]]
    archive:
      columns: [collection_id, box, keeper]
      rows: [[2, box 2, null], [3, box 3, null]]
"""

_NOTES = '''"""Datasets with UUIDs, 2.1.0: with notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from registrytool.catalog import Builder

REFERENCES = {"dataset": ("dataset_id", sa.Uuid(), "dataset", "id")}


def _base(registry: Builder) -> ModuleType:
    return registry.version("datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "2.0.0")


def tables(registry: Builder) -> None:
    _base(registry).tables(registry)
    dataset = next(t for t in registry.metadata.tables.values() if t.name == "dataset")
    dataset.append_column(sa.Column("note", sa.Text()))


def tags(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).tags(registry, name, dimensions)


def calibs(registry: Builder, name: str, dimensions: Sequence[str]) -> None:
    _base(registry).calibs(registry, name, dimensions)
'''

_NOTE = '''"""Let datasets have notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "2.1.0"

revision = "{up}"
down_revision = "{down}"
branch_labels = None
depends_on = None

loses = "notes"


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    dataset = step.old("dataset")
    step.refuse_loss(sa.select(dataset.c.id).where(dataset.c.note.is_not(None)), "{{count}} notes")
    step.reshape()
'''
