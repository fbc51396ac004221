"""Let collections have documentation strings.

collection.doc is new and empty.  In the same week the datastore of files got another name: its table
posix_datastore_records becomes file_datastore_records, if it has no such table yet, and PosixDatastore in the names of
datastores FileDatastore.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.models import DynamicContent
    from registrytool.step import Step

component, implementation, version = "collections", "NameKeyCollectionManager", "2.0.0"

revision = "93341d68b814"
down_revision = "5e75e5391603"
branch_labels = None
depends_on = None

changes = {
    "dataset_location": ("datastore_name",),
    "dataset_location_trash": ("datastore_name",),
    "opaque_meta": ("table_name",),
    "posix_datastore_records": ("*",),
}
irreversible = "nothing older than the registries of week 2020.46 can be had again"

OLD, NEW = "posix_datastore_records", "file_datastore_records"
#: Datastores that became one, and how their names begin.
CLASSES = {"posixDatastore": "PosixDatastore", "s3Datastore": "S3Datastore", "webdavDatastore": "WebdavDatastore"}
DATASTORES = tuple(f"{name}@" for name in CLASSES.values())
FILE = "FileDatastore"

_PACKAGE = "lsst.daf.butler.datastores"
configuration = {
    OLD: NEW,
    **{f"{_PACKAGE}.{module}.{name}": f"{_PACKAGE}.fileDatastore.{FILE}" for module, name in CLASSES.items()},
}


def content(dynamic: DynamicContent, _up: bool, _catalog: Catalog) -> DynamicContent:  # noqa: FBT001
    """Return the tables that there are after the step."""
    if NEW in dynamic.record_tables:
        return dynamic
    return replace(dynamic, record_tables=tuple(NEW if name == OLD else name for name in dynamic.record_tables))


def upgrade(step: Step) -> None:
    if set(step.before.dynamic.record_tables) != set(step.after.dynamic.record_tables):
        step.create_tables()
        old, opaque = step.old(OLD), step.old("opaque_meta")
        rows = sa.select(*old.columns)
        step.execute(sa.insert(step.new(NEW)).from_select([c.name for c in old.columns], rows))
        step.execute(sa.update(opaque).where(opaque.c.table_name == OLD).values(table_name=NEW))
    for name in ("dataset_location", "dataset_location_trash"):
        table = step.old(name)
        for datastore in DATASTORES:
            root = sa.func.substr(table.c.datastore_name, sa.literal_column(str(len(datastore) + 1)))
            step.execute(
                sa.update(table)
                .where(table.c.datastore_name.startswith(datastore, autoescape=True))
                .values(datastore_name=sa.literal(f"{FILE}@").concat(root))
            )
    step.reshape()
