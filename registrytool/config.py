"""Where the content is: ``schemas/``, ``alembic/`` and ``alembic.ini``; reading YAML; hiding passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, ContentError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Content:
    """A folder with ``schemas/`` and ``alembic/``, of this project or of another one.

    Parameters
    ----------
    root : `pathlib.Path`
        The folder.
    """

    root: Path

    @classmethod
    def find(cls, folder: Path | None = None) -> Content:
        """Find the content.

        Parameters
        ----------
        folder : `pathlib.Path`, optional
            Folder that the user named; otherwise the content that came with the package, in an installation or in a
            checkout.

        Raises
        ------
        ConfigurationError
            There is no content in the folder.
        """
        candidates = [folder] if folder is not None else [_PACKAGE / "_content", _PACKAGE.parent]
        for root in candidates:
            if (root / "schemas").is_dir() and (root / "alembic").is_dir():
                return cls(root.resolve())
        message = f"There are no folders schemas/ and alembic/ in {candidates[-1]}."
        raise ConfigurationError(message, hint="Name the folder that holds both with --content.")

    @property
    def schemas(self) -> Path:
        """Folder of the schema definitions."""
        return self.root / "schemas"

    @property
    def alembic(self) -> Path:
        """Folder of the migration scripts."""
        return self.root / "alembic"

    @cached_property
    def implementations(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Class names by component and implementation (``implementations.yaml``)."""
        result = read_yaml(self.schemas / "implementations.yaml")
        if not isinstance(result, dict):
            message = f"{self.schemas / 'implementations.yaml'} does not hold a mapping."
            raise ContentError(message)
        return result


def hide_passwords(text: str) -> str:
    """Return text in which every password of a URL or of connection settings is written as ``***``.

    Up to the last ``@`` of a word counts as the password: somebody will forget to write it as ``%40``.
    """
    text = re.sub(r"(://[^\s:@/?]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)(password=)('[^']*'|[^\s&'\"]+)", r"\1***", text)


def read_yaml(path: Path) -> Any:
    """Read a YAML file of the content.

    Raises
    ------
    ContentError
        The file is missing, cannot be read or is not YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror or error}."
        raise ContentError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is not a text file in UTF-8."
        raise ContentError(message) from error
    except ValueError as error:
        message = f"{path} is not YAML: {error}."
        raise ContentError(message) from error


def parse_yaml(text: str) -> Any:
    """Parse YAML with the fast parser if there is one.

    Raises
    ------
    ValueError
        The text is not YAML; the message names the place.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 (both are safe loaders)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        message = f"{getattr(error, 'problem', None) or getattr(error, 'reason', None) or 'malformed'}{where}"
        raise ValueError(message) from error
