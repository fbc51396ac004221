"""``registrytool verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ._options import BackupTo, ContentFolder, Db, Namespace, NoBackup, OutputFormat, Repo, Settings, Wait, Yes
from ._output import answer, confirmed, count, hide_passwords, parse_settings, progress, say, show_table
from .doctor import show_findings

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.models import Verification


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    context: typer.Context,
    repo: Repo,
    db: Db = None,
    namespace: Namespace = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair known drift.")] = False,
    yes: Yes = False,
    backup: BackupTo = None,
    no_backup: NoBackup = False,
    settings: Settings = None,
    wait: Wait = 5.0,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Compare the structure of a registry with what its versions promise, and check its instruments.

    Exits with 4 if the structure differs, or an instrument contradicts what the registry says of it. Warnings about
    instruments change no exit code; 'doctor' shows the same ones.
    """
    from registrytool.catalog import Catalog
    from registrytool.instruments.checks import check_repository
    from registrytool.repository import open_repository
    from registrytool.verify import repair_registry, verify_registry

    catalog = Catalog.find(content)
    repository = open_repository(repo, db=db, namespace=namespace)
    if repair:
        confirmed(f"Repair known drift in {hide_passwords(repo)}?", yes=yes)
        with progress(context) as shown:
            found = repair_registry(
                repository,
                catalog=catalog,
                backup=not no_backup,
                backup_to=backup,
                settings=parse_settings(settings),
                wait_s=wait,
                progress=shown,
            )
    else:
        found = verify_registry(repository, catalog=catalog)
    # What is stored can only be read where the tables are as expected.
    odd = [] if found.unknown else check_repository(repository, catalog=catalog)
    wrong = sum(finding.severity == "error" for finding in odd)

    def table() -> None:
        _show(found, catalog)
        if odd:
            say(f"Instruments: {count(wrong, 'error')}, {count(len(odd) - wrong, 'warning')}.")
            show_findings(odd)

    data = _data(found, catalog)
    data |= {"clean": data["clean"] and not wrong, "instruments": [finding.to_dict() for finding in odd]}
    answer(context, output, data, table)
    if found.differences or wrong:
        raise typer.Exit(4)


def _data(found: Verification, catalog: Catalog) -> dict[str, object]:
    kinds = catalog.drift
    names = {d.drift for d in found.differences if d.drift}
    return {
        **found.to_dict(),
        "clean": not found.differences,
        "unknown": len(found.unknown),
        "drift": [kinds[n].to_dict() for n in sorted(names)],
    }


def _show(found: Verification, catalog: Catalog) -> None:
    if found.repaired:
        names = ", ".join(sorted({str(d.drift) for d in found.repaired}))
        say(f"Repaired {count(len(found.repaired), 'difference')}: {names}.")
    if found.unknown:
        say("Unknown differences:")
        show_table(
            ("table", "object", "name", "what", "expected", "found"),
            [(d.table, d.kind, d.name, d.aspect, d.expected, d.found) for d in found.unknown],
        )
    kinds = catalog.drift
    for name in sorted({d.drift for d in found.differences if d.drift}):
        kind = kinds[name]
        objects = [str(d) for d in found.differences if d.drift == name]
        say(f"Known drift: {name} ({kind.judgement.value}; {kind.era})")
        say(f"  {kind.summary}")
        for text in objects[:10]:
            say(f"    {text}")
        if len(objects) > 10:
            say(f"    and {len(objects) - 10} more (--format json lists all)")
    for note in found.notes:
        say(f"Note: {note}.")
    if not found.differences:
        say(f"{found.registry}: all {found.tables} tables are what the versions promise.")
    else:
        known = len(found.differences) - len(found.unknown)
        differences = count(len(found.differences), "difference")
        say(f"{found.registry}: {differences}, {known} known and {len(found.unknown)} unknown.")
        if any(d.kind == "revision" for d in found.unknown):
            say("'registrytool stamp --purge' rewrites the revisions from the versions.")
        if not found.unknown:
            say("'registrytool verify --repair' mends known drift, and so does every migration.")
