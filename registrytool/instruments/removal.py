"""The removal of what was registered: instruments and sky maps, with the records that registration has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.errors import RegistryStateError
from registrytool.maintain.dependants import delete_records, preview_delete
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import planned_change

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository


@dataclass(frozen=True, slots=True)
class Removal:
    """An instrument or a sky map that is going to be removed, and what hangs on it.

    Attributes
    ----------
    element : `str`
        ``instrument`` or ``skymap``.
    name : `str`
        Its name.
    registered : `dict` [`str`, `int`]
        Number of records, by element, that registration makes.
    dependants : `dict` [`str`, `int`]
        Number of other records, by element, and of ``dataset``.
    dataset_types : `dict` [`str`, `int`]
        The datasets by type.
    """

    element: str
    name: str
    registered: Mapping[str, int]
    dependants: Mapping[str, int]
    dataset_types: Mapping[str, int]

    @property
    def changed(self) -> bool:
        """Whether anything is different afterwards."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            self.element: self.name,
            "registered": dict(self.registered),
            "dependants": dict(self.dependants),
            "dataset_types": dict(self.dataset_types),
        }


def remove_registered(
    repository: Repository,
    element: str,
    name: str,
    own: Callable[[Session], Collection[str]],
    *,
    what: str,
    cascade: bool = False,
    preview: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> Removal:
    """Remove the record of a governor, with those that registration has made.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    element : `str`
        The governor: ``instrument`` or ``skymap``.
    name : `str`
        Its name.
    own : callable
        Returns the elements whose records registration makes.
    what : `str`
        The same in words, such as ``sky map``.
    cascade : `bool`, optional
        Whether other records that refer to it go too; datasets never do.
    preview : `bool`, optional
        Whether a dry run says what hangs on it where it would be refused because of that.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether to change nothing.

    Returns
    -------
    plan : `Removal`
        What was removed.

    Raises
    ------
    RegistryStateError
        There is no such record; or something hangs on it, and ``cascade`` is not set; or datasets do.
    """

    def work(session: Session, *, act: bool) -> Removal:
        require_record(session, element, name, what)
        found = preview_delete(session, element, {"name": name})
        mine = set(own(session))
        registered = {e: n for e, n in found.dependants.items() if e in mine}
        dependants = {e: n for e, n in found.dependants.items() if e not in mine}
        plan = Removal(element, name, registered, dependants, found.dataset_types)
        if not (preview and dry_run):
            _refuse(plan, what, cascade=cascade)
        if act:
            delete_records(session, element, {"name": name}, cascade=True)
        return plan

    return planned_change(repository, f"remove the {what} {name}", work, catalog=catalog, dry_run=dry_run)


def _refuse(plan: Removal, what: str, *, cascade: bool) -> None:
    if plan.dataset_types:
        listed = ", ".join(f"{number} of {kind}" for kind, number in plan.dataset_types.items())
        message = f"Cannot remove the {what} {plan.name}: datasets refer to it ({listed})."
        raise RegistryStateError(message, hint="Remove those first, with 'registrytool dataset remove'.")
    if plan.dependants and not cascade:
        listed = ", ".join(f"{number} of {element}" for element, number in plan.dependants.items())
        message = f"Cannot remove the {what} {plan.name}: other records refer to it ({listed})."
        raise RegistryStateError(message, hint="Remove it with all of them with --cascade.")


def require_record(session: Session, element: str, name: str, what: str) -> dict[str, Any]:
    """Return the record of an instrument or a sky map.

    Raises
    ------
    RegistryStateError
        There is none.
    """
    known = load_records(session, element) if element in session.universe else []
    found = next((record for record in known if record["name"] == name), None)
    if found is None:
        message = f"The registry of {session.repository.name} has no {what} {name}."
        raise RegistryStateError(message, hint=f"It has {', '.join(r['name'] for r in known) or 'none'}.")
    return found
