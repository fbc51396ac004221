"""Attributes of a registry: what it says about itself, and changing that where it stays true.

Butlers read the attributes when they open a registry, and never write them.  A wrong one makes it unreadable or, worse,
readable with tables that it does not have.  So a change is refused unless the structure is what the attributes promise
then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registrytool.errors import ContentError, RegistryStateError
from registrytool.inspection import inspect
from registrytool.models import CONFIGURATIONS, MANAGERS, _Model
from registrytool.state import ATTRIBUTES, LOG_PREFIX, parse_state, write_attribute

from .collections import suggestion
from .session import planned_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrytool.catalog import Catalog
    from registrytool.repository import Repository

    from .session import Session

#: Beginnings of names that mean something to Butlers.
_RESERVED = ("config:", "version:", "schema_digest:")


@dataclass(frozen=True, slots=True)
class AttributeReport(_Model):
    """What happens, or happened, to an attribute.

    Attributes
    ----------
    registry, name : `str`
        The registry, and the name of the attribute.
    before, after : `str` or `None`
        Its value; `None` where there is none.
    """

    registry: str
    name: str
    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether anything is different from before."""
        return self.before != self.after


def list_attributes(session: Session) -> dict[str, str]:
    """Return all attributes, by name and in alphabetical order; not the log of registrytool.

    Parameters
    ----------
    session : `Session`
        The open registry.

    Returns
    -------
    attributes : `dict` [`str`, `str`]
        Values by name.
    """
    found = session.recorded.attributes
    return {name: found[name] for name in sorted(found) if not name.startswith(LOG_PREFIX)}


def get_attribute(session: Session, name: str) -> str:
    """Return the value of an attribute.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.

    Returns
    -------
    value : `str`
        Its value.

    Raises
    ------
    RegistryStateError
        There is none of that name.
    """
    found = session.recorded.attributes
    if name not in found:
        message = f"The registry of {session.repository.name} has no attribute {name!r}."
        known = [n for n in found if not n.startswith(LOG_PREFIX)]
        raise RegistryStateError(message, hint=suggestion(name, known, "registrytool attributes list"))
    return found[name]


def plan_set_attribute(session: Session, name: str, value: str | None) -> AttributeReport:
    """Say what setting an attribute would do; only `set_attribute` compares the structure as well.

    Parameters
    ----------
    session : `Session`
        The open registry.
    name : `str`
        Its name.
    value : `str` or `None`
        Its new value; `None` takes it away.

    Raises
    ------
    RegistryStateError
        The name has no meaning, or the registry could not be read any more.
    """
    attributes = dict(session.recorded.attributes)
    where = session.repository.name
    _check_name(session, name, attributes)
    before = attributes.pop(name, None)
    if value is not None:
        attributes[name] = value
    elif before is None:
        get_attribute(session, name)
    try:
        parse_state(attributes, session.catalog, where=where)
    except (RegistryStateError, ContentError) as error:
        raise _refused(name, error.message) from error
    return AttributeReport(where, name, before, value)


def _check_name(session: Session, name: str, attributes: Mapping[str, str]) -> None:
    """Check that a name means something to Butlers, or nothing at all."""
    if name.startswith(LOG_PREFIX):
        message = f"The attribute {name!r} belongs to the log of registrytool."
        raise RegistryStateError(message, hint="'registrytool log' shows it.")
    if not name or not name.isprintable():
        message = f"An attribute cannot have the name {name!r}."
        raise RegistryStateError(message, hint="A name has at least one sign, and none that cannot be printed.")
    if name in attributes or not name.startswith(_RESERVED):
        return
    classes = [
        catalogue["stored"]
        for component in (*MANAGERS, "obscore")
        for catalogue in session.catalog.content.implementations.get(component, {}).values()
    ]
    known = {
        *CONFIGURATIONS.values(),
        *(f"config:registry.managers.{component}" for component in (*MANAGERS, "obscore")),
        *(f"{kind}:{stored}" for stored in classes for kind in ("version", "schema_digest")),
    }
    if name not in known:
        message = f"The attribute {name!r} would mean nothing to anybody."
        raise RegistryStateError(message, hint=suggestion(name, known, "registrytool attributes list"))


def set_attribute(
    repository: Repository,
    name: str,
    value: str | None,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> AttributeReport:
    """Set an attribute, or take it away, if what the registry says about itself is true afterwards.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    name : `str`
        Its name.
    value : `str` or `None`
        Its new value; `None` takes it away.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing; the structure is not compared then.

    Returns
    -------
    report : `AttributeReport`
        What happened.

    Raises
    ------
    RegistryStateError
        See `plan_set_attribute`; or the structure would not be what the versions promise, or the versions would
        contradict ``alembic_version``.
    """

    def work(session: Session, *, act: bool) -> AttributeReport:
        report = plan_set_attribute(session, name, value)
        if act:
            old = session.recorded
            write_attribute(session.connection, session.namespace, name, value)
            session.refresh()
            if (session.state, session.recorded.universe) != (old.state, old.universe):
                _check_true(session, name)
        return report

    wanted = f"set the attribute {name!r} of {repository.name}"
    return planned_change(repository, wanted, work, catalog=catalog, dry_run=dry_run)


def _check_true(session: Session, name: str) -> None:
    """Check that a registry is what it says, after it says something else."""
    found = inspect(session.connection, session.namespace, session.catalog, where=session.repository.name)
    if found.differences:
        message = f"the structure would not be what the versions promise ({found.differences[0]})"
        raise _refused(name, message)
    modified = next((note for note in found.notes if note.startswith("the dimension universe is not")), None)
    if modified is not None:
        raise _refused(name, modified)
    if session.recorded.foreign_stamps:
        message = "the versions would contradict the revisions in alembic_version"
        raise _refused(name, message)


def _refused(name: str, reason: str) -> RegistryStateError:
    message = f"The attribute {name!r} cannot have this value: {reason[0].lower()}{reason[1:].rstrip('.')}."
    hint = f"'registrytool migrate' changes versions; the table {ATTRIBUTES} is as it was."
    return RegistryStateError(message, hint=hint)
