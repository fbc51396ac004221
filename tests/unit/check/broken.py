"""Break content in one way and see what the rules find."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from registrytool.check.run import check_content
from registrytool.config import Content

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.check.finding import Finding
    from registrytool.check.model import Report

VERSIONS = "alembic/versions/dimensions-config"
UNIVERSES = "schemas/dimensions-config/toy"
V1, V1_TO_V2, V2_TO_V3 = (f"{VERSIONS}/toy_{name}.py" for name in ("v1", "v1_to_v2_observer", "v2_to_v3_scans"))


class Broken:
    """A copy of some content, to be broken."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def content(self) -> Content:
        return Content.find(self.root)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that is in a file exactly once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, (path, old)
        (self.root / path).write_text(text.replace(old, new))

    def append(self, path: str, text: str) -> None:
        """Add lines to the end of a file."""
        with (self.root / path).open("a") as file:
            file.write(textwrap.dedent(text))

    def write(self, path: str, text: str) -> None:
        """Make a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(textwrap.dedent(text))

    def remove(self, path: str) -> None:
        """Remove a file."""
        (self.root / path).unlink()

    def rename(self, path: str, name: str) -> None:
        """Give a file another name in its folder."""
        (self.root / path).rename((self.root / path).with_name(name))

    def check(self, base: Content | None = None) -> Report:
        """Run the rules that read files."""
        return check_content(self.content, base=base, databases=())

    def only(self, base: Content | None = None) -> Finding:
        """Return the only finding."""
        findings = self.check(base).findings
        assert len(findings) == 1, findings
        return findings[0]

    def found(self, base: Content | None = None) -> tuple[str, str, str]:
        """Return code, path and the text of the line of the only finding."""
        finding = self.only(base)
        path = self.root / finding.path
        lines = path.read_text().splitlines() if path.is_file() else []
        return finding.code, finding.path, lines[finding.line - 1].strip() if lines else ""
