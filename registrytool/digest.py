"""Digests of table definitions, which registries with attributes before 1.0.1 hold; nobody checks them any more.

The rule is that of the clients to week 2023.11: the MD5 of the sorted descriptions of the tables of a manager, each
made of the table name and its columns and foreign keys, sorted and joined by semicolons.  Before week 2022.23, which
brought dimensions 6.0.2, most columns of primary keys counted as if they could be NULL.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from .naming import version_key
from .structure import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from .catalog import Catalog
    from .models import State
    from .universe import Universe

_FIXED = {
    "attributes": ("butler_attributes",),
    "opaque": ("opaque_meta",),
    "datastores": ("dataset_location", "dataset_location_trash"),
    "collections": ("collection", "run", "collection_chain"),
    "datasets": ("dataset_type", "dataset"),
}


def schema_digests(
    catalog: Catalog, state: State, metadata: sa.MetaData, universe: Universe, dialect: str
) -> dict[str, str]:
    """Compute the digest of every manager.

    Parameters
    ----------
    catalog : `Catalog`
        Class names.
    state : `State`
        Managers of the registry.
    metadata : `sqlalchemy.MetaData`
        Table definitions of the registry.
    universe : `Universe`
        Its dimensions.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    attributes : `dict` [`str`, `str`]
        Attributes ``schema_digest:<class>`` and their values.
    """
    tables = {table.name: table for table in metadata.tables.values()}
    old = version_key(state["dimensions"].version) < (6, 0, 2)
    checked = {e.name: e.checked_fields for e in universe}
    result = {}
    for component, names in (*_FIXED.items(), ("dimensions", tuple(_dimension_tables(tables, universe)))):
        stored = catalog.stored_class(component, state[component].implementation)
        null_key = old and component != "dimensions"
        texts = sorted(
            _describe(tables[name], dialect, checked.get(name, frozenset()), null_key=null_key) for name in names
        )
        result[f"schema_digest:{stored}"] = hashlib.md5("".join(texts).encode(), usedforsecurity=False).hexdigest()
    return result


def _dimension_tables(tables: dict[str, sa.Table], universe: Universe) -> Iterator[str]:
    elements = {e.name for e in universe if e.has_table}
    for name in tables:
        # The overlaps of versions before 6.0.0, of which the names begin otherwise, never counted.
        if name in elements or (name.endswith(("_overlap", "_overlap_summary")) and "_htm7_" not in name):
            yield name


def _describe(table: sa.Table, dialect: str, checked: frozenset[str], *, null_key: bool) -> str:
    items = []
    for column in table.columns:
        kind = column.type.compile(DIALECTS[dialect])
        # Clients that stored digests still made the checked fields NOT NULL (known drift: alternate-key-not-null).
        nullable = column.nullable and not column.primary_key and column.name not in checked
        nullable = nullable or (null_key and column.primary_key and column.name != "datastore_name")
        flags = (",PK" if column.primary_key else "") + (",NULL" if nullable else "")
        items.append(f"COL,{column.name},{kind}{flags}")
    for key in table.foreign_key_constraints:
        targets = ",".join(element.column.name for element in key.elements)
        items.append(f"FK,{key.name},{targets}")
    return ";".join([table.name, *sorted(items)])
