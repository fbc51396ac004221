"""Removing an instrument or a sky map: what goes is shown, then asked about."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ._output import say, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from registrytool.instruments.removal import Removal

    from ._registry import Registry

Cascade = Annotated[bool, typer.Option("--cascade", help="Remove other records that refer to it too, but no datasets.")]


def remove(registry: Registry, act: Callable[..., Removal], name: str, what: str, *, cascade: bool) -> None:
    """Carry out a removal.

    Parameters
    ----------
    registry : `Registry`
        The registry.
    act : callable
        The operation.
    name, what : `str`
        What is removed, and what that is.
    cascade : `bool`
        Whether other records go too.
    """

    def question(plan: Removal) -> str:
        if not registry.dry_run:
            _show(plan, tell)
        return f"Remove the {what} {name} from {registry.repository.name}?"

    operation = partial(act, registry.repository, name, cascade=cascade, preview=registry.dry_run)
    plan = registry.carry_out(partial(operation, catalog=registry.catalog), question)

    def table() -> None:
        say(_title(plan, cascade=cascade, dry_run=registry.dry_run))
        _show(plan, say)

    registry.answer(plan.to_dict(), table)


def _title(plan: Removal, *, cascade: bool, dry_run: bool) -> str:
    if not dry_run:
        return "Removed:"
    if plan.dataset_types:
        return "Nothing was changed. Datasets are in the way; when these are gone, it would be removed:"
    way = "With --cascade it" if plan.dependants and not cascade else "It"
    return f"Nothing was changed. {way} would be removed:"


def _show(plan: Removal, write: Callable[[str], None]) -> None:
    write(f"  {plan.name}")
    for element, number in plan.registered.items():
        write(f"  {number} of {element}")
    for element, number in plan.dependants.items():
        write(f"  {number} of {element} that refer to it")
    for name, number in plan.dataset_types.items():
        write(f"    {number} of type {name}")
