"""Random registries come back from the newest versions as they were.

They differ in versions, also between those of two releases, in dimension groups, extreme values, empty and NULL-rich
tables, known drift, and in what administrators and others have put beside the registry.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.models import ComponentVersion
from registrytool.universe import Universe
from registrytool.verify import verify_registry
from tests.integration.test_drift import DRIFT as KINDS
from tests.integration.test_drift import MAKERS
from tests.migration.test_steps import UNAMBIGUOUS, assert_same_rows, never_null, newest_like
from tests.support.content_states import CATALOG, releases
from tests.support.registries import SETTINGS, make_state, migrate, target
from tests.support.rows import execute, fill_registry, read_content

if TYPE_CHECKING:
    from registrytool.models import State
    from registrytool.repository import Repository
    from tests.support.places import Place

UUID = "ByDimensionsDatasetRecordStorageManagerUUID"
NAME_KEY = "NameKeyCollectionManager"

EXTREME: dict[type[Any], tuple[Any, ...]] = {
    sa.BigInteger: (-(2**63), 2**63 - 1, 0, -1),
    sa.Float: (float("inf"), -0.0, 5e-324, -1.7976931348623157e308),
    sa.Text: ("", "'", "\\", "%s :x %(y)s", "日本", "\n\t ; --", "x" * 70_000),
}

CHANGED = {
    "exposure": ("exposure_time", "seq_num", "group_id", "target_name", "science_program"),
    "visit": ("exposure_time", "target_name", "zenith_angle"),
    "instrument": ("visit_max",),
    "run": ("host",),
    "collection": ("doc",),
}
"""Columns in which a row gets an extreme value, where the registry has them."""


def groups(rng: random.Random, universe: Universe) -> list[tuple[str, ...]]:
    """Return groups of dimensions, of those that one dataset type can have."""
    dimensions = [element for element in universe if element.keys]
    found: set[tuple[str, ...]] = set()
    while len(found) < 4:
        chosen = rng.sample(dimensions, rng.randint(1, 3))
        required = set().union(*(element.required for element in chosen))
        decided = universe.implied_by(required)
        if any(decided & set(universe[name].required) for name in required - decided):
            # The client cannot make its table.
            continue
        pixels = {"htm9"} if rng.random() < 0.3 else set()
        found.add(universe.sorted(sorted((required - decided) | pixels)))
    return sorted(found)


def go_to_extremes(rng: random.Random, repository: Repository) -> None:
    """Give one row of each column of `CHANGED` an extreme value."""
    database = Database.of(repository)
    with database.write("go to extremes") as connection:
        for name, columns in CHANGED.items():
            table = sa.Table(name, sa.MetaData(schema=database.namespace), autoload_with=connection)
            key = list(table.primary_key.columns)
            for column in (table.c[c] for c in columns if c in table.c):
                row = rng.choice(connection.execute(sa.select(*key)).all())
                values = next(v for kind, v in EXTREME.items() if isinstance(column.type, kind))
                same = (a == b for a, b in zip(key, row, strict=True))
                connection.execute(sa.update(table).where(*same).values({column.name: rng.choice(values)}))


def start(rng: random.Random) -> State:
    """Return versions from which there is a way to the newest ones and back."""
    states = [r.state for r in releases() if r.state["datasets"].implementation == UUID]
    state = rng.choice(states)
    if rng.random() < 0.3:
        state = state.replace(ComponentVersion("collections", NAME_KEY, state["collections"].version))
    return state


DRIFT = ("alternate-key-not-null", "primary-key-name", "records-without-path-index")
"""Known drift that any registry can have."""

OF_OTHERS = (
    'CREATE TABLE {s}"mine, too" (id INT, name TEXT)',
    "CREATE TABLE {s}notes (instrument VARCHAR(32) REFERENCES {s}instrument (name), note TEXT)",
    "INSERT INTO {s}opaque_meta (table_name) VALUES ('strange: \"%s\"')",
    "CREATE INDEX \"admin: '%s'\" ON {s}exposure (target_name, id)",
    "CREATE INDEX admin_some ON {s}visit (id) WHERE exposure_time > 3",
    "CREATE INDEX admin_lower ON {s}collection (lower(name))",
    "CREATE INDEX admin_type ON {s}dataset (dataset_type_id)",
)
"""What an administrator or another program may have made."""


def add_what_others_make(rng: random.Random, repository: Repository) -> None:
    """Add tables and indexes that do not belong to the registry."""
    for statement in rng.sample(OF_OTHERS, rng.randint(0, 4)):
        execute(repository, statement)
        if "opaque_meta" in statement:
            execute(repository, 'CREATE TABLE {s}"strange: ""%s""" (dataset_id TEXT, "a: %" FLOAT)')


def drift(rng: random.Random, repository: Repository, place: Place) -> None:
    """Let the registry differ from its snapshot in known ways."""
    for name in rng.sample(DRIFT, rng.randint(0, 2)):
        if KINDS[name].dialect in (None, place.dialect):
            MAKERS[name](repository, place)


def halfway(rng: random.Random, repository: Repository, old: State, new: State) -> State:
    """Migrate some components, as a run of the existing tool that ended too early, and return the state."""
    changed = [name for name in new.components if old[name] != new[name] and name != "dimensions-config"]
    for name in rng.sample(changed, rng.randint(0, min(2, len(changed)))):
        migrate(repository, target(new[name]))
    return verify_registry(repository).state


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 14])
def test_a_random_registry_comes_back_as_it_was(seed: int, odd_namespace: str, place: Place) -> None:
    rng = random.Random(seed)  # noqa: S311 (the same each time)
    old = start(rng)
    new, universe = newest_like(old), Universe(CATALOG.universe_config(old["dimensions-config"]))
    known = groups(rng, universe)
    repository = make_state(place, old)
    old = halfway(rng, repository, old, new)
    if rng.random() < 0.9:
        fill_registry(repository, never_null=never_null(old), groups=known, calibration=rng.choice(known))
        go_to_extremes(rng, repository)
        drift(rng, repository, place)
    if universe.version < 2:
        execute(repository, UNAMBIGUOUS)
    add_what_others_make(rng, repository)
    steps = range(universe.version + 1, int(new["dimensions-config"].version) + 1)
    settings = {name: value for step in steps for name, value in SETTINGS.get(str(step), {}).items()}
    before, notes = read_content(repository), verify_registry(repository).notes

    def assert_right(state: State) -> None:
        found = verify_registry(repository)
        assert (found.state, found.differences) == (state, ())
        assert [n for n in found.notes if not n.endswith("keeps what a step back restores")] == list(notes)

    migrate(repository, *(target(v) for v in new.components.values()), **settings)

    assert_right(new)
    above = read_content(repository)
    migrate(repository, *(target(v) for v in old.components.values()))
    assert_right(old)
    assert_same_rows(before, read_content(repository))
    migrate(repository, *(target(v) for v in new.components.values()), **settings)
    assert_right(new)
    assert_same_rows(above, read_content(repository))
