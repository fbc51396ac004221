"""``registrytool instrument``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from . import _removal
from ._options import OutputFormat
from ._output import answer, count, say, show_table, tell, write_file
from ._registry import Registry, changes, reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.instruments.definition import InstrumentDefinition
    from registrytool.instruments.register import Difference, InstrumentPlan

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


@reads(app, "list", optional=True)
def list_(registry: Registry) -> None:
    """List the instruments of a repository, or without REPO those that come with registrytool."""
    if registry.repo is None:
        from registrytool.instruments.library import bundled_definitions, load_definition

        rows = [_summary(load_definition(name)) for name in bundled_definitions()]
    else:
        from registrytool.instruments.checks import registered_instruments

        with registry.reading() as session:
            rows = registered_instruments(session)
    columns = ("instrument", "class", "filters", "detectors")
    shown = [(r["name"], r["class_name"], r["filters"], r["detectors"]) for r in rows]
    registry.answer({"instruments": rows}, lambda: show_table(columns, shown))


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


@changes(app)
def register(registry: Registry, instruments: _Definitions) -> None:
    """Register instruments, all in one transaction; what is there already stays."""
    _register(registry, instruments, update=False)


@changes(app)
def update(registry: Registry, instruments: _Definitions) -> None:
    """Bring registered instruments up to date, and show what changes."""
    _register(registry, instruments, update=True)


def _register(registry: Registry, instruments: Sequence[str], *, update: bool) -> None:
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.register import register_instruments

    definitions = [load_definition(name) for name in instruments]
    for definition in definitions:
        for warning in definition.warnings:
            tell(f"Warning: {definition.name}: {warning}")
    act = partial(register_instruments, registry.repository, definitions, update=update, catalog=registry.catalog)
    plans = registry.carry_out(act)
    registry.answer({"instruments": [p.to_dict() for p in plans]}, lambda: _show_plans(plans, dry_run=registry.dry_run))


def _show_plans(plans: Sequence[InstrumentPlan], *, dry_run: bool) -> None:
    if dry_run:
        say("Nothing was changed. It would be:")
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


def _show_differences(differences: Sequence[Difference]) -> None:
    if differences:
        show_table(
            ("element", "key", "field", "registry", "definition"),
            [(d.element, d.key, d.field, d.registry, d.definition) for d in differences],
        )


@reads(app)
def diff(registry: Registry, instruments: _Definitions) -> None:
    """Compare instruments of a repository with their definitions; exits with 4 if they differ."""
    from registrytool.instruments.library import load_definition
    from registrytool.instruments.register import compare_instrument
    from registrytool.models import to_plain

    definitions = [load_definition(name) for name in instruments]
    with registry.reading() as session:
        found = {d.name: compare_instrument(session, d) for d in definitions}

    def table() -> None:
        for name, differences in found.items():
            say(f"{name}: {count(len(differences), 'difference') if differences else 'no difference'}")
            _show_differences(differences)

    registry.answer({"instruments": {n: [to_plain(d) for d in ds] for n, ds in found.items()}}, table)
    if any(found.values()):
        raise typer.Exit(4)


@reads(app)
def export(
    registry: Registry,
    name: _Name,
    file: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option("--output", "-o", metavar="FILE", help="File to write; otherwise it is printed."),
    ] = None,
) -> None:
    """Write a definition of an instrument from what a repository holds."""
    from registrytool.instruments.register import export_instrument

    with registry.reading() as session:
        text = export_instrument(session, name)
    if file is not None:
        write_file(file, text)
        tell(f"Wrote {file}.")
    written = {"file": None if file is None else str(file), "definition": text}
    registry.answer({"instrument": name, **written}, lambda: typer.echo(text, nl=False) if file is None else None)


@changes(app, asks=True)
def remove(registry: Registry, name: _Name, cascade: _removal.Cascade = False) -> None:
    """Remove an instrument; shows what goes with it, and asks."""
    from registrytool.instruments.register import remove_instrument

    _removal.remove(registry, remove_instrument, name, "instrument", cascade=cascade)
