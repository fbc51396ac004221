"""RT122: implementations.yaml, releases.yaml and drift.yaml have the form that the program reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import yaml_lines
from registrytool.config import read_yaml
from registrytool.drift import load_drift
from registrytool.errors import ContentError, RegistryToolError
from registrytool.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT122"
SUMMARY = "implementations.yaml, releases.yaml and drift.yaml have the form that the program reads."
GOOD_WAY = (
    "Mend what the message names; the comments at the head of the file in the content of the package say what "
    "its form is."
)


def check(subject: Subject) -> Iterator[Finding]:
    """Read the lists."""
    find = Finder(subject, __name__)
    schemas = subject.content.schemas
    path = schemas / "implementations.yaml"
    if path.exists():
        try:
            found = read_yaml(path)
        except ContentError as error:
            yield find(_without(error, str(path)), path)
            return  # nothing else can be read without it
        else:
            wrong = [k for k, v in found.items() if not isinstance(v, dict)] if isinstance(found, dict) else [""]
            for key in wrong:
                where = f"The entry {key}" if key else "The file"
                yield find(f"{where} does not hold a mapping.", path, yaml_lines(path)(key))
    path = schemas / "releases.yaml"
    if path.exists():
        try:
            Releases(subject.content).known()
        except (RegistryToolError, KeyError, TypeError, AttributeError, StopIteration) as error:
            yield find(_without(error, str(path)), path)
    path = schemas / "drift.yaml"
    if path.exists():
        try:
            load_drift(subject.content)
            identifiers = [item["id"] for item in read_yaml(path)]
        except (ContentError, AttributeError) as error:
            yield find(_without(error, str(path)), path)
        else:
            for number, identifier in enumerate(identifiers):
                if identifier in identifiers[:number]:
                    yield find(
                        f"There are two kinds of drift {identifier}.",
                        path,
                        yaml_lines(path)(number),
                        difference=identifier,
                    )


def _without(error: Exception, path: str) -> str:
    """Return what is wrong with a file, without its path."""
    if isinstance(error, RegistryToolError):
        return error.message.replace(path, "The file")
    return f"The file is malformed: {type(error).__name__}: {error}."
