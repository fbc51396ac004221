"""Every exception of registrytool.

    RegistryToolError                 one sentence, fields, optional hint; exit 3
      ConfigurationError              settings missing or contradictory; exit 2
      DatabaseConnectionError         unreachable or refused
      RegistryStateError              the registry is not in the state the operation needs
        RegistryNotFoundError
        RegistryExistsError
        RegistryBusyError             somebody else holds the lock
        RegistryConflictError         a transaction and another one got in each other's way
        RegistryDriftError            the structure differs from what the versions promise
      ContentError                    something in schemas/ or alembic/ is wrong
        UnknownVersionError
        DefinitionError               a file that defines an instrument or a sky map is wrong
      UnknownFilterError              an instrument has no such filter
      PlanError                       no way from the state found to the state wanted
      MigrationError                  a step failed

Nothing of registrytool is imported here, but for checking types.  Messages never hold a password: URLs go through
`registrytool.config.hide_passwords` before they get here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .sessions import SessionInTheWay


class RegistryToolError(Exception):
    """A refusal or failure that the user can understand.

    Parameters
    ----------
    message : `str`
        One sentence: what was wanted, what was found.
    hint : `str`, optional
        What to do next.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigurationError(RegistryToolError):
    """Settings are missing, malformed or contradict each other."""

    exit_code = 2


class DatabaseConnectionError(RegistryToolError):
    """The database cannot be reached, or refuses the connection."""


class RegistryStateError(RegistryToolError):
    """The registry is not in the state that the operation needs."""


class RegistryNotFoundError(RegistryStateError):
    """There is no repository, or no registry in the database."""


class RegistryExistsError(RegistryStateError):
    """There is a repository or a table where a new registry should be made."""


class RegistryBusyError(RegistryStateError):
    """Another process holds the lock that the operation needs.

    Parameters
    ----------
    wanted : `str`
        What was wanted, such as ``"migrate /repo/main"``.
    holder : `str`
        Who holds the lock, as far as it can be told.
    sessions : sequence of `SessionInTheWay`, optional
        All sessions that are in the way, on PostgreSQL.
    """

    def __init__(self, wanted: str, holder: str, sessions: Sequence[SessionInTheWay] = ()) -> None:
        super().__init__(
            f"Cannot {wanted}: {holder} holds the lock.",
            hint="Wait until it has finished and run the same command again.",
        )
        self.wanted = wanted
        self.holder = holder
        self.sessions = tuple(sessions)


class RegistryConflictError(RegistryStateError):
    """The transaction and another one got in each other's way; nothing was changed, and it can be tried again.

    Parameters
    ----------
    wanted : `str`
        What was wanted.
    reason : `str`
        What the database says, without a full stop.
    """

    def __init__(self, wanted: str, reason: str) -> None:
        super().__init__(
            f"Cannot {wanted}: it and another session got in each other's way ({reason}).",
            hint="Nothing was changed; run the same command again.",
        )
        self.wanted = wanted


class RegistryDriftError(RegistryStateError):
    """The structure differs from what the versions promise, in a way that is not known.

    Parameters
    ----------
    differences : `list` [`str`]
        One line for each difference.
    when : `str`, optional
        When it was noticed, as the end of "The structure ... {when}".
    """

    def __init__(self, differences: list[str], *, when: str = "") -> None:
        shown = "; ".join(differences[:5])
        if len(differences) > 5:
            shown += f"; and {len(differences) - 5} more"
        super().__init__(
            f"The structure of the registry is not what its versions promise{when}: {shown}.",
            hint="Run 'registrytool verify' for the whole list and mend the differences first.",
        )
        self.differences = differences


class ContentError(RegistryToolError):
    """A file in ``schemas/`` or ``alembic/`` is wrong."""


class UnknownVersionError(ContentError):
    """A version, implementation or release that the content does not know.

    Parameters
    ----------
    what : `str`
        The kind of thing, such as ``"version"``.
    name : `str`
        The name that is not known.
    known : `list` [`str`], optional
        What is known instead.
    hint : `str`, optional
        What to do next.
    where : `str`, optional
        The registry that names it, if one does.
    """

    def __init__(
        self,
        what: str,
        name: str,
        known: list[str] | None = None,
        *,
        hint: str | None = None,
        where: str | None = None,
    ) -> None:
        choices = f" Known: {', '.join(known)}." if known else ""
        message = f"There is no {what} {name} in the schema content.{choices}"
        if where is not None:
            message = f"The registry of {where} has {what} {name}, which is not in the schema content.{choices}"
        super().__init__(message, hint=hint)
        self.where = where
        self.what = what
        self.name = name
        self.known = known or []


class DefinitionError(ContentError):
    """A file that defines an instrument or a sky map is wrong.

    Parameters
    ----------
    source : `str`
        The file.
    faults : `list` [`str`]
        Each names the line, the field, what is wrong and what is right, without a full stop.
    """

    def __init__(self, source: str, faults: list[str]) -> None:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source} has {number}: {'; '.join(faults)}.")
        self.source = source
        self.faults = faults


class UnknownFilterError(RegistryToolError):
    """An instrument has no filter of a name.

    Parameters
    ----------
    instrument, name : `str`
        The instrument; the name that none of its filters has.
    known : `list` [`str`]
        Its physical filters.
    """

    def __init__(self, instrument: str, name: str, known: list[str]) -> None:
        super().__init__(
            f"The instrument {instrument} has no filter {name!r}.",
            hint=f"Known: {', '.join(known) or 'none'}; add it to the definition, or as an alias of one of these.",
        )
        self.instrument = instrument
        self.name = name
        self.known = known


class PlanError(RegistryToolError):
    """There is no plan from the state that was found to the one that is wanted."""


class MigrationError(RegistryToolError):
    """A migration step failed.

    Parameters
    ----------
    step : `str`
        The step, such as ``"dimensions-config daf_butler 5 -> 6"``.
    reason : `str`
        What went wrong, one sentence without a full stop.
    rolled_back : `bool`
        Whether the registry is as it was before.
    hint : `str`, optional
        What to do next.
    """

    def __init__(self, step: str, reason: str, *, rolled_back: bool = True, hint: str | None = None) -> None:
        after = "The registry is as it was before." if rolled_back else "The registry could not be rolled back."
        super().__init__(f"The step {step} failed: {reason.rstrip('.')}. {after}", hint=hint)
        self.step = step
        self.reason = reason
        self.rolled_back = rolled_back
