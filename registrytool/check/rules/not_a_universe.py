"""RT118: every file of a universe is a dimension universe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registrytool.check.model import Finder
from registrytool.check.sources import yaml_lines
from registrytool.config import read_yaml
from registrytool.errors import ContentError
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT118"
SUMMARY = "Every file of a universe is a dimension universe."
GOOD_WAY = "Mend what the message names; the universe before is an example of the form."
#: What clients read of a column of an element.
_COLUMN = {"name", "type", "length", "nbytes", "nullable", "doc"}


def check(subject: Subject) -> Iterator[Finding]:
    """Read all universes."""
    find = Finder(subject, __name__)
    for file in subject.sources.schema_files:
        if not file.own or file.version.component != "dimensions-config":
            continue
        try:
            config = read_yaml(file.path)
            if not isinstance(config, dict):
                yield find("The file does not hold a mapping.", file.path, about=file.version)
                continue
            universe = Universe(config)
            for element in universe:
                if element.spatial and element.has_table:
                    universe.governor(element)
            _ = universe.spatial_families
            for name, column, names in _strange(config):
                yield find(
                    f"{name}.{column} has {names}, which columns do not have.",
                    file.path,
                    yaml_lines(file.path)("elements", name),
                    about=file.version,
                )
        except (ContentError, KeyError) as error:
            what = error.message if isinstance(error, ContentError) else f"There is no element {error}."
            what = what.removeprefix(f"{file.path} is ")
            yield find(
                f"The file is not a universe: {what}", file.path, yaml_lines(file.path)("elements"), about=file.version
            )


def _strange(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give element, column, and what is written of it that nothing reads."""
    for name, element in config["elements"].items():
        for column in (*(element.get("keys") or ()), *(element.get("metadata") or ())):
            if unknown := ", ".join(sorted(column.keys() - _COLUMN)):
                yield name, column["name"], unknown
