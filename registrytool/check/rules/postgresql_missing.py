"""RT300: steps are checked on PostgreSQL when that is demanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrytool.check.model import Subject

CODE = "RT300"
SUMMARY = "Steps are checked on PostgreSQL when that is demanded."
GOOD_WAY = (
    "Set REGISTRYTOOL_TEST_POSTGRES_URL to the URL of a server where databases may be made, or install the programs of "
    "PostgreSQL; without --require-postgresql the check does without."
)

_RULE = "postgresql_missing"


def check(subject: Subject) -> Iterator[Finding]:
    """Look for the server."""
    laboratory = subject.laboratory
    if laboratory is not None and laboratory.require_postgresql and laboratory.server is None:
        message = laboratory.missing or "There is no PostgreSQL server."
        yield Finding(CODE, _RULE, message, "postgresql", "missing", ".", 1, GOOD_WAY)
