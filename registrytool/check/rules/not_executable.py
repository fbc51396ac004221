"""RT111: every script and schema file can be executed and defines what it must."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.catalog import Catalog
from registrytool.check.model import Finder
from registrytool.check.sources import explain
from registrytool.errors import ContentError
from registrytool.models import CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT111"
SUMMARY = "Every script and schema file can be executed and defines what it must."
GOOD_WAY = "Run the file with Python and mend what it says; docs/how-to/write-a-step.md shows what it must define."


def check(subject: Subject) -> Iterator[Finding]:
    """Execute all files."""
    find = Finder(subject, __name__)
    for script in subject.sources.scripts:
        if script.own and script.error is not None:
            yield find(f"The script cannot be executed as a revision: {script.error}.", script.path, script.error_line)
        revision = script.revision
        if script.own and revision is not None and not revision.origin and revision.target is not None:
            upgrade = script.function("upgrade")
            if upgrade is None:
                yield find(
                    "The script has no function upgrade.", script.path, script.line("revision"), about=revision.target
                )
    catalog = Catalog(subject.content)
    for file in subject.sources.schema_files:
        if not file.own or file.version.component in CONFIGURATIONS:
            continue
        try:
            module = catalog.module(file.version)
        except ContentError as error:
            what, line = explain(error, file.path)
            yield find(f"The schema file cannot be executed: {what}.", file.path, line, about=file.version)
            continue
        if not callable(getattr(module, "tables", None)):
            yield find("The schema file has no function tables.", file.path, about=file.version)
