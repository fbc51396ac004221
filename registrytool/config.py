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
    below : `Content`, optional
        Content that this one adds to, file by file: what the folder lacks is taken from there.
    """

    root: Path
    below: Content | None = None

    @classmethod
    def find(cls, folder: Path | None = None) -> Content:
        """Find the content.

        A folder with ``schemas/implementations.yaml`` stands alone.  One without it has only what a project adds, such
        as its own universe and the steps between its versions, and lies over the content of the package.

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
            try:
                found = (root / "schemas").is_dir() and (root / "alembic").is_dir()
            except OSError as error:
                message = f"Cannot look for the content in {root}: {error.strerror}."
                raise ConfigurationError(message) from error
            if found:
                stands_alone = folder is None or (root / "schemas" / "implementations.yaml").exists()
                return cls(root.resolve(), None if stands_alone else cls.find())
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

    @property
    def layers(self) -> tuple[Content, ...]:
        """The content itself and all that lies below it, in the order in which files are looked for."""
        return (self, *(self.below.layers if self.below is not None else ()))

    @property
    def script_folders(self) -> tuple[Path, ...]:
        """Folders of migration scripts, of all layers."""
        folders = (layer.alembic / name for layer in reversed(self.layers) for name in ("versions", "switches"))
        return tuple(folder for folder in folders if folder.is_dir())

    @property
    def scripts(self) -> tuple[Path, ...]:
        """Migration scripts, of all layers; what a project adds comes last."""
        return tuple(path for folder in self.script_folders for path in sorted(folder.rglob("*.py")))

    def schema_file(self, *parts: str) -> Path:
        """Return the path of a file in ``schemas/``, in the first layer that has it; else where it should be."""
        paths = [layer.schemas.joinpath(*parts) for layer in self.layers]
        return next((p for p in paths if p.exists()), paths[0])

    @cached_property
    def implementations(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Class names by component and implementation (``implementations.yaml``)."""
        path = self.schema_file("implementations.yaml")
        result = read_yaml(path)
        if not isinstance(result, dict):
            message = f"{path} does not hold a mapping."
            raise ContentError(message)
        return result


def hide_passwords(text: str) -> str:
    """Return text in which every password of a URL or of connection settings is written as ``***``.

    Up to the last ``@`` of a word counts as the password: somebody will forget to write it as ``%40``.  A URL that was
    taken for the path of a file has lost one of its slashes.
    """
    text = re.sub(r"(:/+[^\s:@/?]*):\S*@", r"\1:***@", text)
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
