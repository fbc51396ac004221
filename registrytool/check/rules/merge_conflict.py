"""RT601: a branch can be merged with the revision that it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registrytool.check.model import Subject

CODE = "RT601"
SUMMARY = "A branch can be merged with the revision that it is compared with."
GOOD_WAY = "Rebase the branch, or merge the revision into it, and mend the conflicts by hand."

_RULE = "merge_conflict"


def check(subject: Subject) -> Iterable[Finding]:  # noqa: ARG001 (what a branch is merged with is not in the content)
    """Find nothing: `registrytool.check.against.check_against` knows both sides and asks `finding`."""
    return ()


def finding(path: str, revision: str) -> Finding:
    """Return what there is to say of a file with conflicts."""
    message = f"The file cannot be merged with {revision}."
    return Finding(CODE, _RULE, message, path, "conflict", path, 1, GOOD_WAY)
