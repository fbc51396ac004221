"""``migrate --step-by-step`` commits each verified step; what fails leaves the last verified state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.database import Database
from registrytool.repository import open_repository
from registrytool.status import registry_log
from registrytool.verify import verify_registry
from tests.support.registries import assert_clean

if TYPE_CHECKING:
    from tests.support.places import Place, Run


def test_a_failure_leaves_the_last_verified_state_and_the_same_command_goes_on(place: Place, run: Run) -> None:
    namespace = ("--namespace", place.namespace) if place.namespace else ()
    assert run("create", place.folder, "--db", place.url, *namespace, "--at", "w_2023_32").exit_code == 0
    repository = open_repository(place.url, namespace=place.namespace)
    table = sa.table("instrument", sa.column("name"), sa.column("class_name"), schema=place.namespace)
    exposure = sa.table(
        "exposure",
        *(sa.column(c) for c in ("instrument", "id", "obs_id", "physical_filter")),
        sa.column("group_name"),
        schema=place.namespace,
    )
    physical = sa.table(
        "physical_filter", *(sa.column(c) for c in ("instrument", "name", "band")), schema=place.namespace
    )
    with Database.of(repository).write("fill") as connection:
        connection.execute(sa.insert(table).values(name="I", class_name="c"))
        connection.execute(sa.insert(physical).values(instrument="I", name="f", band="b"))
        connection.execute(sa.insert(exposure).values(instrument="I", id=1, obs_id="o", physical_filter="f"))
    words = ("migrate", place.url, *namespace, "--yes", "--no-backup", "--step-by-step")

    failed = run(*words)

    assert (failed.exit_code, failed.stdout) == (3, "")
    said = failed.stderr.splitlines()[-1]
    assert said.startswith("Error: 1 records of exposure have no group_name, the first one is (I, 1). ")
    assert " steps are done and verified; the same command goes on." in said
    between = verify_registry(repository)
    assert between.differences == ()
    assert between.state["datasets"].version == "2.0.0"
    assert between.state["dimensions-config"].version == "5"
    with Database.of(repository).write("mend") as connection:
        connection.execute(sa.update(exposure).values(group_name="g"))
        connection.execute(sa.text(f"UPDATE {_qualified(place, 'exposure')} SET day_obs = 20240101"))

    done = run(*words)

    assert done.exit_code == 0, done.stderr
    assert_clean(repository)
    steps = [step for entry in registry_log(repository) for step in entry.details["steps"]]
    assert all(len(entry.details["steps"]) == 1 for entry in registry_log(repository))
    assert "dimensions-config daf_butler 5 -> 6" in steps
    assert len(steps) == len(set(steps)) > 4


def _qualified(place: Place, table: str) -> str:
    return f"{place.namespace}.{table}" if place.namespace else table
