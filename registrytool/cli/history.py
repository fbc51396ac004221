"""``registrytool history`` and ``releases``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ._options import ContentFolder, OutputFormat
from ._output import answer, say, show_table

if TYPE_CHECKING:
    from registrytool.models import Release


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("history")(history)
    app.command("releases")(releases)


def history(
    context: typer.Context,
    component: Annotated[Optional[str], typer.Argument(metavar="COMPONENT", help="Only this component.")] = None,  # noqa: UP045
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """List the revisions: the steps between versions."""
    from registrytool.config import Content
    from registrytool.errors import ConfigurationError
    from registrytool.history import History
    from registrytool.models import COMPONENTS

    if component is not None and component not in COMPONENTS:
        message = f"There is no component {component!r}."
        raise ConfigurationError(message, hint=f"The components are {', '.join(COMPONENTS)}.")
    tree = History(Content.find(content))
    rows: list[dict[str, Any]] = [
        {
            "component": r.component,
            "implementation": r.target.implementation if r.target else None,
            "version": r.target.version if r.target else None,
            "revision": r.id,
            "down_revision": r.down,
            "summary": r.summary,
            "kind": "root" if r.target is None else "origin" if r.origin else "step",
            "reversible": r.reversible if r.target is not None and not r.origin else None,
            "options": dict(r.options),
        }
        for r in sorted(tree.revisions.values(), key=lambda r: (r.component, str(r.path.name)))
        if component in (None, r.component)
    ]
    answer(context, output, {"revisions": rows}, lambda: _show_history(rows))


def _show_history(rows: list[dict[str, Any]]) -> None:
    back = {True: "yes", False: "no", None: ""}
    show_table(
        ("component", "implementation", "version", "revision", "after", "way back", "summary"),
        [
            (
                r["component"],
                r["implementation"],
                r["version"],
                r["revision"],
                r["down_revision"],
                back[r["reversible"]],
                r["summary"],
            )
            for r in rows
        ],
    )


def releases(
    context: typer.Context,
    release: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="RELEASE", help="Butler release, such as w_2024_10, 30.2026.4300 or 27.0."),
    ] = None,
    content: ContentFolder = None,
    output: OutputFormat = None,
) -> None:
    """Show which versions a Butler release makes; without a release, all that are known."""
    from registrytool.catalog import Catalog

    known = Catalog.find(content).releases
    found = [known.find(release)] if release else known.known()
    answer(
        context, output, {"releases": [r.to_dict() for r in found]}, lambda: _show_releases(found, one=bool(release))
    )


def _show_releases(found: list[Release], *, one: bool) -> None:
    if one:
        say(f"{found[0].name} makes the versions of {found[0].since or found[0].name}:")
        show_table(
            ("component", "implementation", "version"),
            [(v.component, v.implementation, v.version) for v in found[0].state.components.values()],
        )
        return
    names = ("attributes", "collections", "datasets", "datastores", "opaque", "dimensions")
    rows = []
    for release in found:
        versions = [release.state[n].version for n in names]
        kind = "UUID" if release.state["datasets"].implementation.endswith("UUID") else "int"
        versions[2] = f"{kind} {versions[2]}"
        universe = release.state.get("dimensions-config")
        rows.append((release.name, *versions, universe.version if universe else "-"))
    show_table(("release", *names, "universe"), rows)
