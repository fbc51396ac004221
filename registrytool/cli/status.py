"""``registrytool status``, ``log`` and ``stamp``."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import ContentFolder, Db, Namespace, OutputFormat, Repo, Wait
from ._output import answer, count, hide_passwords, say, show_table

if TYPE_CHECKING:
    from registrytool.models import LogEntry, Stamping, Status


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("log")(log)
    app.command("stamp")(stamp)


def status(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show the versions of a registry, what is pending, and which Butler releases can use it.

    Exits with 4 if migrations are pending.
    """
    from registrytool.catalog import Catalog
    from registrytool.repository import open_repository
    from registrytool.status import registry_status

    found = registry_status(open_repository(repo, db=db, namespace=namespace), catalog=Catalog.find(content))
    answer(context, output, {**found.to_dict(), "current": found.current}, lambda: _show(found))
    if not found.current:
        raise typer.Exit(4)


def _show(found: Status) -> None:
    namespace = f", namespace {found.namespace}" if found.namespace else ""
    say(f"{found.registry} ({found.dialect}{namespace})")
    show_table(
        ("component", "implementation", "version", "newest", "pending", "revision"),
        [
            (
                c.component,
                c.implementation,
                c.version,
                c.newest,
                c.pending or "",
                c.revision + ("" if c.stamped else " *"),
            )
            for c in found.components
        ],
    )
    say(f"Butler releases that can read it:  {found.readers}")
    say(f"Butler releases that can write it: {found.writers}")
    for note in found.notes:
        say(f"Note: {note.rstrip('.')}.")
    if found.pending:
        are = "is" if len(found.pending) == 1 else "are"
        say(
            f"{count(len(found.pending), 'step')} {are} pending; 'registrytool migrate {found.registry} --plan' shows "
            f"{'it' if len(found.pending) == 1 else 'them'}."
        )
    else:
        say("Up to date.")


def log(
    context: typer.Context, repo: Repo, db: Db = None, namespace: Namespace = None, output: OutputFormat = None
) -> None:
    """Show what registrytool did to a registry."""
    from registrytool.repository import open_repository
    from registrytool.status import registry_log

    entries = registry_log(open_repository(repo, db=db, namespace=namespace))
    data = {"registry": hide_passwords(repo), "entries": [e.to_dict() for e in entries]}
    answer(context, output, data, lambda: _show_log(entries))


def _show_log(entries: list[LogEntry]) -> None:
    if not entries:
        say("Nothing is recorded.")
    for entry in entries:
        say(f"{entry.when}  {entry.operation}  by {entry.who} with {entry.tool}")
        # A script does not know how long its steps take.
        for name, elapsed in zip_longest(entry.details.get("steps", ()), entry.details.get("elapsed_s", ())):
            say(f"    {name}" + (f"  ({elapsed:.1f} s)" if elapsed is not None else ""))
        for name in entry.details.get("repaired", ()):
            say(f"    repaired {name}")


def stamp(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    purge: Annotated[bool, typer.Option("--purge", help="Replace revisions that contradict the versions.")] = False,
    wait: Wait = 5.0,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Write alembic_version from the versions, after verifying the structure."""
    from registrytool.catalog import Catalog
    from registrytool.repository import open_repository
    from registrytool.status import stamp_registry

    stamping = stamp_registry(
        open_repository(repo, db=db, namespace=namespace),
        purge=purge,
        catalog=Catalog.find(content),
        wait_s=wait,
    )
    answer(context, output, stamping.to_dict(), lambda: _show_stamping(stamping))


def _show_stamping(stamping: Stamping) -> None:
    if stamping.before == stamping.after:
        say("The revisions are right already.")
        return
    for revision in stamping.after:
        say(f"{revision}  {'kept' if revision in stamping.before else 'added'}")
    for revision in stamping.before:
        if revision not in stamping.after:
            say(f"{revision}  removed")
