"""RT116: a schema file imports SQLAlchemy and the standard library only."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from registrytool.check.model import Finder
from registrytool.check.sources import imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.finding import Finding
    from registrytool.check.model import Subject

CODE = "RT116"
SUMMARY = "A schema file imports SQLAlchemy and the standard library only."
GOOD_WAY = (
    "Write out what it needs: a released schema file must mean the same in five years. The rules of the format "
    "are methods of the Builder."
)


#: Parts of the standard library that load other files.
_LOADERS = ("importlib", "runpy", "imp")


def check(subject: Subject) -> Iterator[Finding]:
    """Look for imports of anything else."""
    find = Finder(subject, __name__)
    for file in subject.sources.schema_files:
        if not file.own or file.path.suffix != ".py":
            continue
        try:
            tree = ast.parse(file.path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue  # another rule says so
        for name, line in imported(tree):
            top = name.partition(".")[0]
            known = top in sys.stdlib_module_names and top not in _LOADERS
            if top != "sqlalchemy" and not known:
                yield find(
                    f"The schema file imports {name.removesuffix('.*')}.",
                    file.path,
                    line,
                    about=file.version,
                    difference=f"import of {name}",
                )
