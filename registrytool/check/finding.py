"""What a rule has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registrytool.models import to_plain


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say.

    Attributes
    ----------
    code : `str`
        Stable code of the rule, such as ``RT101``.
    rule : `str`
        Name of the rule, which is also the name of its documentation page.
    message : `str`
        One sentence: what is wrong.
    object : `str`
        What it is about, in a stable spelling that waivers use, such as ``dimensions-config daf_butler 9``.
    difference : `str`
        The exact thing that a waiver must name to cover it.
    path : `str`
        File, relative to the content folder.
    line : `int`
        Line in the file, from 1.
    good_way : `str`
        What to do instead.
    """

    code: str
    rule: str
    message: str
    object: str
    difference: str
    path: str
    line: int
    good_way: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result: dict[str, Any] = to_plain(self)
        result["documentation"] = f"docs/reference/rules/{self.rule}.md"
        return result
