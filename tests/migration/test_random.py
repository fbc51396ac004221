"""Registries with random dimension groups and extreme values come back from the newest versions as they were."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.database import Database
from registrytool.models import ComponentVersion
from registrytool.universe import Universe
from tests.migration.test_steps import UNAMBIGUOUS, assert_same_rows, never_null, newest_like
from tests.support.content_states import CATALOG, releases
from tests.support.registries import SETTINGS, assert_clean, make_state, migrate, target
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


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 14])
def test_a_random_registry_comes_back_as_it_was(seed: int, odd_namespace: str, place: Place) -> None:
    rng = random.Random(seed)  # noqa: S311 (the same each time)
    old = start(rng)
    new, universe = newest_like(old), Universe(CATALOG.universe_config(old["dimensions-config"]))
    known = groups(rng, universe)
    repository = make_state(place, old)
    fill_registry(repository, never_null=never_null(old), groups=known, calibration=rng.choice(known))
    go_to_extremes(rng, repository)
    if universe.version < 2:
        execute(repository, UNAMBIGUOUS)
    steps = range(universe.version + 1, int(new["dimensions-config"].version) + 1)
    settings = {name: value for step in steps for name, value in SETTINGS.get(str(step), {}).items()}
    before = read_content(repository)

    migrate(repository, *(target(v) for v in new.components.values()), **settings)

    assert_clean(repository, new)
    above = read_content(repository)
    migrate(repository, *(target(v) for v in old.components.values()))
    assert_clean(repository, old)
    assert_same_rows(before, read_content(repository))
    migrate(repository, *(target(v) for v in new.components.values()), **settings)
    assert_same_rows(above, read_content(repository))
