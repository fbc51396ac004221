"""RT118: every file of a universe is a dimension universe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.sources import Finder, yaml_lines
from registrytool.config import read_yaml
from registrytool.errors import ContentError
from registrytool.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Finding, Subject

CODE = "RT118"
SUMMARY = "Every file of a universe is a dimension universe."
GOOD_WAY = "Mend what the message names; the universe before is an example of the form."


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
        except (ContentError, KeyError) as error:
            what = error.message if isinstance(error, ContentError) else f"There is no element {error}."
            what = what.removeprefix(f"{file.path} is ")
            yield find(
                f"The file is not a universe: {what}", file.path, yaml_lines(file.path)("elements"), about=file.version
            )
