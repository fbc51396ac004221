"""The definitions that come with registrytool, and those in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registrytool.errors import ConfigurationError

from ._reader import read_definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .definition import InstrumentDefinition


def bundled_definitions() -> Sequence[str]:
    """Return the names of the instruments that come with registrytool."""
    return sorted((path.stem for path in _bundled().glob("*.yaml")), key=str.casefold)


def find_definition(name: str | Path) -> Path:
    """Return the file of a definition.

    Parameters
    ----------
    name : `str` or `~pathlib.Path`
        File, or name of an instrument that comes with registrytool.

    Raises
    ------
    ConfigurationError
        It is neither.
    """
    own = _bundled() / f"{name}.yaml"
    if isinstance(name, str) and name in bundled_definitions():
        return own
    path = Path(name)
    if not path.is_file():
        message = f"There is no file {name}, and no instrument of that name comes with registrytool."
        raise ConfigurationError(message, hint=f"Known instruments: {', '.join(bundled_definitions())}.")
    return path


def universe_file(namespace: str) -> Path | None:
    """Return the file with the universe of a namespace that comes with registrytool, `None` if there is none."""
    path = _bundled().parent / "universes" / f"{namespace}.yaml"
    return path if path.is_file() else None


def load_definition(name: str | Path) -> InstrumentDefinition:
    """Load the definition of an instrument.

    Parameters
    ----------
    name : `str` or `~pathlib.Path`
        File, or name of an instrument that comes with registrytool.

    Returns
    -------
    definition : `InstrumentDefinition`
        The definition; each call makes a new one.

    Raises
    ------
    ConfigurationError
        There is no such file or instrument.
    DefinitionError
        The file is wrong; all faults are named.
    """
    return read_definition(find_definition(name))


def _bundled() -> Path:
    return Path(__file__).parent / "definitions"
