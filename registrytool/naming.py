"""Names of the format: database entities, revisions, files, versions and weeks; pure functions.

Sources: the Butler registry format (entity names and their shrinking on PostgreSQL, and the rule by which the
existing migration tool derives revision identifiers), verified against real registries in ``tests/``.
"""

from __future__ import annotations

import hashlib
import re
import uuid

#: Namespace of all version 5 UUIDs of the format: the UUID of ``lsst.org`` in the DNS namespace.
NAMESPACE_UUID = uuid.UUID("840b31d9-05cd-5161-b2c8-00d32b280d0f")

#: Longest identifier of each dialect that shortens names; other dialects keep names of any length.
MAX_IDENTIFIER = {"postgresql": 63}


def shrink(name: str, dialect: str) -> str:
    """Shorten an entity name as the Butler does.

    Parameters
    ----------
    name : `str`
        Full name.
    dialect : `str`
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    shrunk : `str`
        The name itself if it fits, else its first 54 characters, an underscore and 8 hexadecimal digits of the
        BLAKE2b hash of the full name.
    """
    limit = MAX_IDENTIFIER.get(dialect)
    if limit is None or len(name) <= limit:
        return name
    digest = hashlib.blake2b(name.encode("ascii"), digest_size=4).hexdigest()
    return f"{name[: limit - 9]}_{digest}"


#: What the names of objects begin with that exist only while an online migration is under way.
HELPER = "registrytool_"
#: What the names of tables begin with that keep what a step has no other place for, so that the way back restores it.
KEPT = "migration_"


def helper_name(kind: str, *parts: str) -> str:
    """Return the name of an object of an online migration, which fits whatever the parts are."""
    name = f"{HELPER}{kind}_{'_'.join(parts)}"
    if len(name.encode()) <= MAX_IDENTIFIER["postgresql"]:
        return name
    digest = hashlib.blake2b("\0".join((kind, *parts)).encode(), digest_size=8).hexdigest()
    return f"{name.encode()[:46].decode(errors='ignore')}_{digest}"


def is_helper(name: str) -> bool:
    """Return whether an object belongs to an online migration."""
    return name.startswith(HELPER)


def revision_id(component: str, implementation: str | None = None, version: str | None = None) -> str:
    """Compute the identifier of a revision.

    Parameters
    ----------
    component : `str`
        Component, the name of the tree.
    implementation : `str`, optional
        Class name without module, or namespace of a configuration.
    version : `str`, optional
        Version; without implementation and version the identifier is that of the root of the tree.

    Returns
    -------
    identifier : `str`
        12 hexadecimal digits.
    """
    name = "-".join(part for part in (component, implementation, version) if part is not None)
    return uuid.uuid5(NAMESPACE_UUID, name).hex[-12:]


def version_key(version: str) -> tuple[int, ...]:
    """Return a key that sorts versions such as ``1.10.0`` or ``8``.

    Parameters
    ----------
    version : `str`
        Integers separated by points.

    Returns
    -------
    key : `tuple` [`int`, ...]
        The integers.

    Raises
    ------
    ValueError
        The version is something else.
    """
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        message = f"not a version: {version!r}"
        raise ValueError(message)
    return tuple(int(part) for part in version.split("."))


def module_name(version: str) -> str:
    """Return the name of the schema file of a version, ``v1_0_1`` for ``1.0.1``."""
    return "v" + version.replace(".", "_")


def parse_module_name(name: str) -> str | None:
    """Return the version in the name of a schema file, or `None` if it has none."""
    match = re.fullmatch(r"v(\d+(?:_\d+)*)", name)
    return match.group(1).replace("_", ".") if match else None


def parse_week(text: str) -> tuple[int, int] | None:
    """Return year and week of a weekly release.

    Parameters
    ----------
    text : `str`
        A weekly in any of its spellings: ``w_2026_43``, ``w.2026.43``, ``30.2026.4300``.

    Returns
    -------
    week : `tuple` [`int`, `int`] or `None`
        Year and week, or `None` if the text is not a weekly release.
    """
    if match := re.fullmatch(r"w[._](\d{4})[._](\d{1,2})", text):
        return int(match.group(1)), int(match.group(2))
    if match := re.fullmatch(r"\d+\.(20\d\d)\.(\d{1,2})\d\d", text):
        return int(match.group(1)), int(match.group(2))
    return None


def format_week(week: tuple[int, int]) -> str:
    """Return the name of a weekly release, ``w_2026_43``."""
    return f"w_{week[0]:04d}_{week[1]:02d}"
