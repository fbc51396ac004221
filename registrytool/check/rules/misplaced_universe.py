"""RT119: the path of a universe is its namespace and its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import yaml_lines
from registrytool.config import read_yaml
from registrytool.errors import ContentError
from registrytool.universe import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT119"
SUMMARY = "The path of a universe is its namespace and its number."
GOOD_WAY = "Let namespace and version in the file say what the path says: dimensions-config/NAMESPACE/NUMBER.yaml."


def check(subject: Subject) -> Iterator[Finding]:
    """Compare universes with their paths."""
    find = Finder(subject, __name__)
    for file in subject.sources.schema_files:
        version = file.version
        if not file.own or version.component != "dimensions-config":
            continue
        try:
            config = read_yaml(file.path)
        except ContentError:
            continue  # another rule says so
        if not isinstance(config, dict) or "version" not in config:
            continue
        line = yaml_lines(file.path)
        # Universe 0 has no namespace; it is that of the Butler.
        namespace = str(config.get("namespace") or DEFAULT_NAMESPACE)
        if namespace != version.implementation:
            yield find(
                f"The universe is of the namespace {namespace}, but lies in the folder {version.implementation}.",
                file.path,
                line("namespace"),
                about=version,
                difference=f"namespace {namespace}",
            )
        if str(config["version"]) != version.version:
            yield find(
                f"The universe has the version {config['version']}, but its file is {file.path.name}.",
                file.path,
                line("version"),
                about=version,
                difference=f"version {config['version']}",
            )
