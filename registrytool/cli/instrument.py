"""``registrytool instrument``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ._options import Db, DryRun, Namespace, OutputFormat, Repo, Yes
from ._output import answer, confirmed, count, say, show_table, tell, write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.instruments.definition import InstrumentDefinition
    from registrytool.instruments.register import Difference, InstrumentPlan, RemovalPlan

app = typer.Typer(no_args_is_help=True, help="Define, register, compare and remove instruments.")

_Definitions = Annotated[
    list[str],
    typer.Argument(
        metavar="INSTRUMENT...",
        help="Names of instruments that come with registrytool, or files with definitions.",
        show_default=False,
    ),
]
_Definition = Annotated[
    str,
    typer.Argument(
        metavar="INSTRUMENT",
        help="Name of an instrument that comes with registrytool, or file with a definition.",
        show_default=False,
    ),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the instrument.", show_default=False)]
_Cascade = Annotated[
    bool, typer.Option("--cascade", help="Remove what was observed with the instrument too, but no datasets.")
]


@app.command("list")
def list_(
    context: typer.Context,
    repo: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Argument(metavar="[REPO]", help="Repository; without it, what comes with registrytool."),
    ] = None,
    db: Db = None,
    namespace: Namespace = None,
    output: OutputFormat = None,
) -> None:
    """List the instruments that come with registrytool, or those of a repository."""
    if repo is None:
        from registrytool.instruments.library import bundled_definitions, load_definition

        rows = [_summary(load_definition(name)) for name in bundled_definitions()]
    else:
        from registrytool.instruments.checks import registered_instruments
        from registrytool.maintain.session import reading
        from registrytool.repository import open_repository

        with reading(open_repository(repo, db=db, namespace=namespace)) as session:
            rows = registered_instruments(session)

    def table() -> None:
        columns = ("instrument", "class", "filters", "detectors")
        show_table(columns, [(r["name"], r["class_name"], r["filters"], r["detectors"]) for r in rows])

    answer(context, output, {"instruments": rows}, table)


def _summary(definition: InstrumentDefinition) -> dict[str, object]:
    return {
        "name": definition.name,
        "class_name": definition.class_name,
        "universe": definition.namespace,
        "filters": len(definition.filters),
        "detectors": len(definition.detectors),
    }


@app.command("show")
def show(context: typer.Context, instrument: _Definition, output: OutputFormat = None) -> None:
    """Show a definition."""
    from registrytool.instruments.library import load_definition
    from registrytool.models import to_plain

    definition = load_definition(instrument)

    def table() -> None:
        for key, value in definition.record().items():
            say(f"{key}: {'' if value is None else value}")
        say(f"universe: {definition.namespace}")
        show_table(
            ("filter", "band", "aliases", "wavelength (nm)"),
            [
                (f.physical_filter, f.band, ", ".join(f.aliases), "-".join(f"{w:g}" for w in f.wavelength_nm or ()))
                for f in definition.filters
            ],
        )
        show_table(
            ("detector", "name", "raft", "in raft", "purpose"),
            [(d.id, d.full_name, d.raft, d.name_in_raft, d.purpose) for d in definition.detectors],
        )

    answer(context, output, {"instrument": to_plain(definition)}, table)


@app.command("universe")
def universe(instrument: _Definition) -> None:
    """Print the dimension universe of an instrument that has its own, for 'create --universe'."""
    from registrytool.errors import ConfigurationError
    from registrytool.instruments.library import load_definition, universe_file

    definition = load_definition(instrument)
    path = universe_file(definition.namespace)
    if path is None:
        message = f"No universe {definition.namespace} comes with registrytool apart from those of the releases."
        raise ConfigurationError(message, hint="'registrytool create' without --universe makes the newest one.")
    typer.echo(path.read_text(encoding="utf-8"), nl=False)


@app.command("validate")
def validate(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Definitions.", show_default=False)],
    output: OutputFormat = None,
) -> None:
    """Check definitions; exits with 4 if something is wrong."""
    from registrytool.errors import DefinitionError
    from registrytool.instruments.library import load_definition

    results: list[dict[str, object]] = []
    for file in files:
        try:
            found = load_definition(file)
            results.append({"file": str(file), "faults": [], "warnings": list(found.warnings)})
        except DefinitionError as error:
            results.append({"file": str(file), "faults": error.faults, "warnings": []})
    wrong = any(r["faults"] for r in results)

    def table() -> None:
        for result in results:
            lines = [("fault", text) for text in _texts(result["faults"])]
            lines += [("warning", text) for text in _texts(result["warnings"])]
            say(f"{result['file']}: {'valid' if not result['faults'] else 'not valid'}")
            for kind, text in lines:
                say(f"  {kind}: {text}")

    answer(context, output, {"valid": not wrong, "files": results}, table)
    if wrong:
        raise typer.Exit(4)


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []


@app.command("register")
def register(
    context: typer.Context,
    repo: Repo,
    instruments: _Definitions,
    db: Db = None,
    namespace: Namespace = None,
    dry_run: DryRun = False,
    output: OutputFormat = None,
) -> None:
    """Register instruments, all in one transaction; what is there already stays."""
    _register(context, repo, instruments, db, namespace, output, dry_run=dry_run, update=False)


@app.command("update")
def update(
    context: typer.Context,
    repo: Repo,
    instruments: _Definitions,
    db: Db = None,
    namespace: Namespace = None,
    dry_run: DryRun = False,
    output: OutputFormat = None,
) -> None:
    """Bring registered instruments up to date, and show what changes."""
    _register(context, repo, instruments, db, namespace, output, dry_run=dry_run, update=True)


def _register(
    context: typer.Context,
    repo: str,
    instruments: Sequence[str],
    db: str | None,
    namespace: str | None,
    output: OutputFormat,
    *,
    dry_run: bool,
    update: bool,
) -> None:
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.register import register_instruments
    from registrytool.repository import open_repository

    definitions = [load_definition(name) for name in instruments]
    for definition in definitions:
        for warning in definition.warnings:
            tell(f"Warning: {definition.name}: {warning}")
    repository = open_repository(repo, db=db, namespace=namespace)
    plans = register_instruments(repository, definitions, update=update, dry_run=dry_run)
    data = {"dry_run": dry_run, "instruments": [p.to_dict() for p in plans]}
    answer(context, output, data, lambda: _show_plans(plans, dry_run=dry_run))


def _show_plans(plans: Sequence[InstrumentPlan], *, dry_run: bool) -> None:
    for plan in plans:
        new = ", ".join(f"{number} of {element}" for element, number in plan.new.items())
        parts = [f"new: {new}"] if new else []
        if plan.changes:
            parts.append(count(len(plan.changes), "change"))
        parts.append(f"{plan.unchanged} as they were")
        say(f"{plan.instrument}: {'; '.join(parts)}")
        _show_differences(plan.changes)
        for item in plan.extra:
            say(f"  kept: {item}")
    if dry_run:
        tell("Nothing was changed (--dry-run).")


def _show_differences(differences: Sequence[Difference]) -> None:
    if differences:
        show_table(
            ("element", "key", "field", "registry", "definition"),
            [(d.element, d.key, d.field, d.registry, d.definition) for d in differences],
        )


@app.command("diff")
def diff(
    context: typer.Context,
    repo: Repo,
    instruments: _Definitions,
    db: Db = None,
    namespace: Namespace = None,
    output: OutputFormat = None,
) -> None:
    """Compare instruments of a repository with their definitions; exits with 4 if they differ."""
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.register import compare_instrument
    from registrytool.maintain.session import reading
    from registrytool.models import to_plain
    from registrytool.repository import open_repository

    definitions = [load_definition(name) for name in instruments]
    with reading(open_repository(repo, db=db, namespace=namespace)) as session:
        found = {d.name: compare_instrument(session, d) for d in definitions}

    def table() -> None:
        for name, differences in found.items():
            say(f"{name}: {count(len(differences), 'difference') if differences else 'no difference'}")
            _show_differences(differences)

    answer(context, output, {"instruments": {n: [to_plain(d) for d in ds] for n, ds in found.items()}}, table)
    if any(found.values()):
        raise typer.Exit(4)


@app.command("export")
def export(
    repo: Repo,
    name: _Name,
    file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", metavar="FILE", help="File to write; otherwise it is printed."),
    ] = None,
    db: Db = None,
    namespace: Namespace = None,
) -> None:
    """Write a definition of an instrument from what a repository holds."""
    from registrytool.instruments.register import export_instrument
    from registrytool.maintain.session import reading
    from registrytool.repository import open_repository

    with reading(open_repository(repo, db=db, namespace=namespace)) as session:
        text = export_instrument(session, name)
    if file is None:
        typer.echo(text, nl=False)
        return
    write_file(file, text)
    tell(f"Wrote {file}.")


@app.command("remove")
def remove(
    context: typer.Context,
    repo: Repo,
    name: _Name,
    db: Db = None,
    namespace: Namespace = None,
    cascade: _Cascade = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputFormat = None,
) -> None:
    """Remove an instrument; --dry-run shows what hangs on it."""
    from registrytool.instruments.register import remove_instrument
    from registrytool.repository import open_repository

    repository = open_repository(repo, db=db, namespace=namespace)
    if not dry_run:
        confirmed(f"Remove the instrument {name} from {repository.name}?", yes=yes)
    plan = remove_instrument(repository, name, cascade=cascade, dry_run=dry_run)
    answer(context, output, {"dry_run": dry_run, **plan.to_dict()}, lambda: _show_removal(plan, dry_run=dry_run))


def _show_removal(plan: RemovalPlan, *, dry_run: bool) -> None:
    say(f"{'Would remove' if dry_run else 'Removed'} {plan.instrument}")
    for element, number in {**plan.registered, **plan.dependants}.items():
        say(f"  {number} of {element}")
    for name, number in plan.dataset_types.items():
        say(f"    {number} of {name}")
    if dry_run:
        tell("Nothing was changed (--dry-run).")
