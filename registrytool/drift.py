"""Known drift: which differences are known, what they mean (``schemas/drift.yaml``)."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .config import Content, read_yaml
from .errors import ContentError
from .models import Difference, Drift, Judgement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .structure import Structure
    from .universe import Universe


def load_drift(content: Content) -> dict[str, Drift]:
    """Read the kinds of drift that the content knows, by identifier.

    Raises
    ------
    ContentError
        The file is malformed.
    """
    path = content.schema_file("drift.yaml")
    if not path.exists():
        return {}
    judgements = {"harmless": Judgement.HARMLESS, "repair": Judgement.REPAIR}
    try:
        return {
            item["id"]: Drift(
                item["id"],
                item["summary"],
                item["era"],
                judgements[item["judgement"]],
                item["origin"],
                tuple(item["match"]),
                item.get("dialect"),
                item.get("prepare"),
            )
            for item in read_yaml(path)
        }
    except (KeyError, TypeError) as error:
        message = f"{path} is malformed: {error}."
        raise ContentError(message) from error


def classify(
    differences: Iterable[Difference], known: Iterable[Drift], expected: Structure, universe: Universe
) -> list[Difference]:
    """Name the drift that each difference belongs to.

    Parameters
    ----------
    differences : iterable of `Difference`
        What differs.
    known : iterable of `Drift`
        Known kinds of drift; the first that matches counts.
    expected : `Structure`
        What the versions promise.
    universe : `Universe`
        Dimensions of the registry.

    Returns
    -------
    differences : `list` [`Difference`]
        The same, those that are known with their drift.
    """
    drifts = [d for d in known if d.dialect in (None, expected.dialect)]
    result = []
    for difference in differences:
        roles = _roles(difference, expected, universe)
        drift = next((d.id for d in drifts if any(_matches(difference, m, roles) for m in d.match)), None)
        result.append(dataclasses.replace(difference, drift=drift))
    return result


def _matches(difference: Difference, pattern: Mapping[str, Any], roles: set[str]) -> bool:
    for key, wanted in pattern.items():
        if key == "role":
            if wanted not in roles:
                return False
        elif key in ("table", "name"):
            if not fnmatchcase(getattr(difference, key), wanted):
                return False
        elif getattr(difference, key) != wanted:
            return False
    return True


def _roles(difference: Difference, expected: Structure, universe: Universe) -> set[str]:
    """Return what a column is in its table."""
    roles: set[str] = set()
    if difference.kind != "column":
        return roles
    table = expected.tables.get(difference.table)
    if table is not None and difference.name in table.primary_key:
        roles.add("primary_key")
    if table is not None and all(difference.name not in key.columns for key in table.foreign_keys):
        roles.add("free")
    if difference.table in universe:
        element = universe[difference.table]
        if difference.name in element.implied:
            roles.add("implied")
        if difference.name in element.checked_fields:
            roles.add("checked_key")
    return roles
