"""Let collections have documentation strings.

collection.doc is new and empty.  In the same week the datastore of files got another name: its table
posix_datastore_records becomes file_datastore_records, if it has no such table yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.models import DynamicContent
    from registrytool.step import Step

component, implementation, version = "collections", "SynthIntKeyCollectionManager", "2.0.0"

revision = "8c57494cabcc"
down_revision = "97a6aabd8998"
branch_labels = None
depends_on = None

changes = {"opaque_meta": ("table_name",), "posix_datastore_records": ("*",)}
irreversible = "nothing older than the registries of week 2020.46 can be had again"

OLD, NEW = "posix_datastore_records", "file_datastore_records"
#: Classes of datastores that became one, and the table, in the configuration; datastores keep their names.
_PACKAGE = "lsst.daf.butler.datastores"
configuration = {
    OLD: NEW,
    f"{_PACKAGE}.posixDatastore.PosixDatastore": f"{_PACKAGE}.fileDatastore.FileDatastore",
    f"{_PACKAGE}.s3Datastore.S3Datastore": f"{_PACKAGE}.fileDatastore.FileDatastore",
    f"{_PACKAGE}.webdavDatastore.WebdavDatastore": f"{_PACKAGE}.fileDatastore.FileDatastore",
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
    step.reshape()
