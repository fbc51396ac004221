"""``registrytool skymap``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _removal
from ._output import say, show_table, tell
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.instruments.skymap import SkyMapPlan

app = typer.Typer(no_args_is_help=True, help="Register, list and remove sky maps.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the sky map.", show_default=False)]


@changes(app)
def register(
    registry: Registry,
    skymap: Annotated[
        str,
        typer.Argument(
            metavar="SKYMAP",
            help="Name of a sky map that comes with registrytool, or file with a definition.",
            show_default=False,
        ),
    ],
    export: Annotated[bool, typer.Option("--export", help="The file is an export of the Butler.")] = False,
) -> None:
    """Register a sky map with its tracts and patches."""
    from registrytool.instruments.skymap import load_skymap, register_export, register_skymap

    if export:
        act = partial(register_export, registry.repository, Path(skymap), catalog=registry.catalog)
        plans = registry.carry_out(act)
    else:
        one = partial(register_skymap, registry.repository, load_skymap(skymap), catalog=registry.catalog)
        plans = [registry.carry_out(one, shows_progress=True)]
    data = {"skymaps": [p.to_dict() for p in plans]}
    registry.answer(data, lambda: _registered(plans, dry_run=registry.dry_run))


def _registered(plans: Sequence[SkyMapPlan], *, dry_run: bool) -> None:
    for plan in plans:
        done = "is there already" if plan.exists else "would be registered" if dry_run else "registered"
        numbers = f"{plan.tracts} tracts, {plan.patches} patches"
        say(f"{plan.skymap} {done}: {numbers}, hash {plan.hash}")
    if not dry_run and not all(plan.exists for plan in plans):
        tell("Tasks also read a dataset skyMap: its type and run skymaps are there, and lsst.skymap can put it in.")


@reads(app, "list")
def list_(registry: Registry) -> None:
    """List the sky maps of a repository."""
    from registrytool.instruments.skymap import list_skymaps

    with registry.reading() as session:
        found = list_skymaps(session)
    columns = ("sky map", "tracts", "patches", "hash")
    rows = [(s["name"], s["tracts"], s["patches"], s["hash"]) for s in found]
    registry.answer({"skymaps": found}, lambda: show_table(columns, rows))


@changes(app, asks=True)
def remove(registry: Registry, name: _Name, cascade: _removal.Cascade = False) -> None:
    """Remove a sky map; shows what goes with it, and asks."""
    from registrytool.instruments.skymap import remove_skymap

    _removal.remove(registry, remove_skymap, name, "sky map", cascade=cascade)
