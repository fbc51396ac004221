"""Keys of collections: from names to integers and back, for steps between the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from .step import Step

_MAPPING = "registrytool_collection_key"
#: Tables of which the rows are keys, or have them.
_OWNERS = ("collection", "run")


def to_integers(step: Step) -> None:
    """Give all collections integers as keys, in the order of their names.

    Parameters
    ----------
    step : `Step`
        The step.
    """
    import sqlalchemy as sa

    collection = step.old("collection")
    number = sa.func.row_number().over(order_by=collection.c.name)
    mapping = _mapping(step, sa.select(number, collection.c.name))
    source = collection.outerjoin(mapping, mapping.c.name == collection.c.name)
    _rewrite(step, mapping, mapping.c.name, mapping.c.id, {"collection": ({"collection_id": mapping.c.id}, source)})
    step.set_sequence("collection_seq_collection_id", step.new("collection").c.collection_id)


def to_names(step: Step) -> None:
    """Let the names of collections be their keys.

    Parameters
    ----------
    step : `Step`
        The step.
    """
    import sqlalchemy as sa

    collection = step.old("collection")
    mapping = _mapping(step, sa.select(collection.c.collection_id, collection.c.name))
    _rewrite(step, mapping, mapping.c.id, mapping.c.name, {})


def _mapping(step: Step, rows: sa.Select[Any]) -> sa.Table:
    """Make and fill the table of integers and names, which is there while the step runs."""
    import sqlalchemy as sa
    from sqlalchemy.schema import CreateTable

    sqlite = step.dialect == "sqlite"
    mapping = sa.Table(
        _MAPPING,
        sa.MetaData(schema=step.before.metadata.schema),
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text(), unique=True),
        prefixes=[] if sqlite else ["UNLOGGED"],
    )
    step.execute(CreateTable(mapping))
    step.execute(sa.insert(mapping).from_select(["id", "name"], rows))
    step.analyze(mapping)
    return mapping


def _rewrite(
    step: Step,
    mapping: sa.Table,
    key: sa.Column[Any],
    value: sa.Column[Any],
    own: dict[str, tuple[dict[str, sa.ColumnElement[Any]], sa.FromClause]],
) -> None:
    """Write all tables again that refer to collections."""
    from sqlalchemy.schema import DropTable

    fill = {name: columns for name, (columns, _) in own.items()}
    sources: dict[str, sa.FromClause] = {name: source for name, (_, source) in own.items()}
    renames: dict[str, dict[str, str]] = {}
    for name in step.before.structure.tables:
        if name not in step.after.structure.tables:
            continue
        old = step.old(name)
        for number, (before, after) in enumerate(_references(old, step.new(name))):
            other = mapping.alias(f"key_{number}")
            source = sources.get(name, old)
            # A row without a new key, which cannot be, would fail for being NULL instead of vanishing.
            sources[name] = source.outerjoin(other, other.c[key.name] == old.c[before])
            fill.setdefault(name, {})[after] = other.c[value.name]
            if before != after:
                renames.setdefault(name, {})[before] = after
    step.reshape(fill=fill, renames=renames, sources=sources)
    step.execute(DropTable(mapping))


def _references(old: sa.Table, new: sa.Table) -> Iterator[tuple[str, str]]:
    """Give the columns that hold keys of collections or runs, by their old and new names."""
    before, after = ([*_single_keys(table)] for table in (old, new))
    for column, owner in before:
        same = [c for c, o in after if o == owner and c == column]
        # A column that is called otherwise is the only one that refers to the same table.
        others = [c for c, o in after if o == owner]
        yield column, (same or others)[0]


def _single_keys(table: sa.Table) -> Iterator[tuple[str, str]]:
    for key in sorted(table.foreign_key_constraints, key=lambda k: tuple(k.column_keys)):
        if key.referred_table.name in _OWNERS and len(key.column_keys) == 1:
            yield key.column_keys[0], key.referred_table.name
